//! HEAD on every route with a GET: the same status and headers, no body, no effect.

use axum::body::Body;
use axum::http::{Method, Request};
use sqlx::PgPool;

use super::matrix::rows::Fixture;
use crate::testing::{TestApp, TestResponse, UNKNOWN_ID};

async fn head(app: &TestApp, path: &str) -> TestResponse {
    let request = Request::builder().method(Method::HEAD).uri(path).body(Body::empty()).unwrap();
    app.send(request).await
}

/// Returns a hash of the content of all tables.
async fn fingerprint(owner: &PgPool) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "select quote_ident(tablename) from pg_tables where schemaname = 'public' order by 1",
    )
    .fetch_all(owner)
    .await
    .unwrap();
    let mut hashes = Vec::new();
    for table in tables {
        let query = format!(
            "select md5(coalesce(string_agg(t::text, '' order by t::text), '')) from {table} t"
        );
        hashes.push(
            sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(query))
                .fetch_one(owner)
                .await
                .unwrap(),
        );
    }
    hashes.concat()
}

#[sqlx::test(migrations = "../migrations")]
async fn head_has_the_status_and_headers_of_get_and_no_effect(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let fixture = Fixture::new(&app).await;
    let app = app.with_token(&super::matrix::tokens::valid(&app, &fixture.owner));
    let paths: Vec<_> =
        app.api.paths.paths.iter().filter(|(_, item)| item.get.is_some()).map(|(p, _)| p).collect();
    assert!(paths.len() >= 40, "{paths:?}");
    for path in paths {
        let row = fixture.row(&format!("GET {path}")).await.unwrap();
        let before = fingerprint(&app.owner).await;
        let head = head(&app, &row.path).await;
        assert_eq!(fingerprint(&app.owner).await, before, "{path}");
        assert_eq!(head.text, "", "{path}");
        let get = app.get(&row.path).await;
        assert_eq!(head.status, get.status, "{path}");
        for name in ["content-type", "content-disposition", "link", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
        assert_eq!(head.header("etag").is_some(), get.header("etag").is_some(), "{path}");
        assert_ne!(head.header("content-length"), Some("0"), "{path}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn head_starts_no_export(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create_agent("asha").await;
    let path = "/api/v1/audit/export";
    let response = head(&app, path).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(response.header("content-length"), None);
    // While an export reads, the next one is refused.
    let export = Request::get(path).body(Body::empty()).unwrap();
    let running = app.start_request(export).await;
    assert_eq!((running.status().as_u16(), head(&app, path).await.status.as_u16()), (200, 200));
}

#[sqlx::test(migrations = "../migrations")]
async fn errors_of_head_have_no_body_either(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in ["/nowhere", &format!("/api/v1/agents/{UNKNOWN_ID}"), "/api/v1/auth/me"] {
        let (head, get) = (head(&app, path).await, app.get(path).await);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.header("content-type"), Some("application/problem+json"), "{path}");
        // Both ids of the request have the same length.
        assert_eq!(head.header("content-length"), Some(get.text.len().to_string().as_str()));
    }
}
