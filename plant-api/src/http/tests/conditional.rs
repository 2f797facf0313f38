//! Conditional requests: every operation that is described with `If-Match` or `If-None-Match`.

use axum::body::Body;
use axum::http::{Method, Request};
use sqlx::PgPool;

use super::matrix::rows::{Fixture, Row};
use super::matrix::tokens;
use crate::http::description;
use crate::testing::{TestApp, TestResponse, json_request};

/// An entity tag that no version has.
const OTHER: &str = "\"other\"";

/// Returns the operations whose description contains a response with this status.
fn operations_with(app: &TestApp, status: &str) -> Vec<(String, Method)> {
    let mut found = Vec::new();
    for (path, item) in &app.api.paths.paths {
        for (method, operation) in description::operations(item) {
            if operation.responses.responses.contains_key(status) {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                found.push((format!("{} {path}", method.as_str()), method));
            }
        }
    }
    found
}

/// Returns the service, called with the token of the account that owns the fixture.
async fn owner_app(pool: PgPool) -> (TestApp, Fixture) {
    let app = TestApp::new(pool).await;
    let fixture = Fixture::new(&app).await;
    let token = tokens::valid(&app, &fixture.owner);
    (app.with_token(&token), fixture)
}

async fn send(app: &TestApp, method: &Method, row: &Row, condition: (&str, &str)) -> TestResponse {
    let mut request = match &row.body {
        Some(body) => json_request(method.clone(), &row.path, body),
        None => {
            Request::builder().method(method.clone()).uri(&row.path).body(Body::empty()).unwrap()
        }
    };
    let name = axum::http::HeaderName::from_bytes(condition.0.as_bytes()).unwrap();
    request.headers_mut().insert(name, condition.1.parse().unwrap());
    app.send(request).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_read_returns_304_if_the_client_has_the_current_version(pool: PgPool) {
    let (app, fixture) = owner_app(pool).await;
    let operations = operations_with(&app, "304");
    assert!(operations.len() >= 20, "{operations:?}");
    for (name, method) in operations {
        let row = fixture.row(&name).await.unwrap();
        let current = app.get(&row.path).await;
        let etag = current.header("etag").unwrap_or_else(|| panic!("{name}: no ETag")).to_owned();
        for tags in [&etag, &format!("W/{etag}"), "*", &format!("{OTHER} ,{etag}")] {
            let response = send(&app, &method, &row, ("if-none-match", tags)).await;
            assert_eq!(response.status, 304, "{name} {tags}");
            assert_eq!(response.header("etag"), Some(etag.as_str()), "{name}");
            assert_eq!(response.text, "", "{name}");
        }
        for tags in [OTHER, &etag.replace('"', ""), &etag[..etag.len() - 1], &etag[1..]] {
            let response = send(&app, &method, &row, ("if-none-match", tags)).await;
            assert_eq!((response.status.as_u16(), response.text), (200, current.text.clone()));
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_requires_the_version_in_if_match(pool: PgPool) {
    let (app, fixture) = owner_app(pool).await;
    let operations = operations_with(&app, "412");
    assert!(operations.len() >= 4, "{operations:?}");
    for (name, method) in operations {
        let row = fixture.row(&name).await.unwrap();
        let before = app.get(&row.path).await;
        let etag = before.header("etag").unwrap().to_owned();
        let without_quotes = etag.replace('"', "");
        // A weak tag does not match, even if its version is the current one (RFC 9110, 13.1.1).
        let weak = format!("W/{etag}");
        for tags in [weak.as_str(), OTHER, &without_quotes, "", &format!("{OTHER}, {weak}")] {
            let refused = send(&app, &method, &row, ("if-match", tags)).await;
            assert_eq!(refused.status, 412, "{name} {tags}: {}", refused.text);
            assert_eq!(refused.expect(412)["code"], "precondition-failed");
        }
        assert_eq!(app.get(&row.path).await.text, before.text, "{name}");
        for tags in ["{etag}", "\"other\", {etag}", "*"] {
            let row = fixture.row(&name).await.unwrap();
            let etag = app.get(&row.path).await.header("etag").unwrap().to_owned();
            let tags = tags.replace("{etag}", &etag);
            let response = send(&app, &method, &row, ("if-match", &tags)).await;
            assert_eq!(response.status.as_u16(), row.success_status, "{name} {tags}");
        }
    }
}
