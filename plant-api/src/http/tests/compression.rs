//! Content codings of responses, and of requests.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::get;
use crate::testing::{TestApp, json_request};

/// A response before its coding is removed.
struct Coded {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Coded {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn coding(&self) -> Option<&str> {
        self.header("content-encoding")
    }

    fn text(&self) -> String {
        let mut text = String::new();
        match self.coding() {
            Some("gzip") => {
                flate2::read::GzDecoder::new(&*self.body).read_to_string(&mut text).unwrap();
            }
            Some("zstd") => {
                zstd::Decoder::new(&*self.body).unwrap().read_to_string(&mut text).unwrap();
            }
            other => {
                assert_eq!(other, None);
                text = String::from_utf8(self.body.to_vec()).unwrap();
            }
        }
        text
    }
}

async fn send(app: &TestApp, request: Request<Body>) -> Coded {
    let (parts, body) = app.start_request(request).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Coded { status: parts.status, headers: parts.headers, body }
}

async fn get_as(app: &TestApp, path: &str, accepted: &str) -> Coded {
    send(app, get(path, &[("accept-encoding", accepted)])).await
}

/// Creates skills whose list is longer than 1 kB.
async fn create_skills(app: &TestApp) {
    for n in 0..10 {
        let skill = json!({"name": format!("Skill {n}"), "category": "technical"});
        app.post("/api/v1/skills", skill).await.expect(201);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn long_json_has_the_accepted_coding(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_skills(&app).await;
    let plain = app.get("/api/v1/skills").await;
    assert!(plain.text.len() > 1_024);
    assert_eq!(plain.header("vary"), Some("accept-encoding, origin"));
    let etag = plain.header("etag").unwrap().trim_matches('"').to_owned();
    for (accepted, coding) in [("gzip", "gzip"), ("gzip, zstd", "zstd"), ("zstd;q=0.5, *", "gzip")]
    {
        let coded = get_as(&app, "/api/v1/skills", accepted).await;
        assert_eq!((coded.status.as_u16(), coded.coding()), (200, Some(coding)), "{accepted}");
        assert!(coded.body.len() < plain.text.len() / 2);
        assert_eq!(coded.text(), plain.text);
        assert_eq!(coded.header("vary"), Some("accept-encoding, origin"));
        assert_eq!(coded.header("content-type"), Some("application/json"));
        assert_eq!(coded.header("etag"), Some(format!("\"{etag}-{coding}\"").as_str()));
    }
    for accepted in ["br", "identity", "gzip;q=0, identity"] {
        let coded = get_as(&app, "/api/v1/skills", accepted).await;
        assert_eq!((coded.coding(), coded.text()), (None, plain.text.clone()), "{accepted}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn short_json_has_a_coding_only_if_it_must(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let short = get_as(&app, "/api/v1/skills", "gzip").await;
    assert_eq!((short.coding(), short.text().as_str()), (None, "[]"));
    assert_eq!(short.header("vary"), Some("accept-encoding, origin"));
    let short = get_as(&app, "/api/v1/skills", "gzip, identity;q=0").await;
    assert_eq!((short.coding(), short.text().as_str()), (Some("gzip"), "[]"));
    let refused = get_as(&app, "/api/v1/skills", "br, *;q=0").await;
    assert_eq!(refused.status, 406);
    assert!(refused.text().contains("\"not-acceptable\""));
    assert_eq!(get_as(&app, "/livez", "br, *;q=0").await.status, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_tag_of_a_compressed_response_is_a_version(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_skills(&app).await;
    let coded = get_as(&app, "/api/v1/skills", "gzip").await;
    let tag = coded.header("etag").unwrap();
    for tags in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let headers = [("accept-encoding", "gzip"), ("if-none-match", tags.as_str())];
        let unchanged = send(&app, get("/api/v1/skills", &headers)).await;
        assert_eq!(
            (unchanged.status.as_u16(), unchanged.header("etag")),
            (304, Some(tag)),
            "{tags}"
        );
        assert_eq!(unchanged.header("vary"), coded.header("vary"));
    }
    let catalogue = app.create_agent("Lotus").await;
    let path = format!("/api/v1/agents/{}", catalogue.agent);
    let version = app.get(&path).await.header("etag").unwrap().trim_matches('"').to_owned();
    for (tag, status) in [
        (format!("\"{version}-br\""), 412),
        (format!("W/\"{version}-zstd\""), 412),
        (format!("\"{version}-zstd\""), 200),
    ] {
        let mut request = json_request("PATCH".parse().unwrap(), &path, &json!({"tags": ["a"]}));
        request.headers_mut().insert("if-match", tag.parse().unwrap());
        assert_eq!(app.send(request).await.status, status, "{tag}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cached_response_is_compressed_once(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    create_skills(&app).await;
    for accepted in ["gzip", "zstd"] {
        let first = get_as(&app, "/api/v1/skills", accepted).await;
        let second = get_as(&app, "/api/v1/skills", accepted).await;
        assert_eq!(first.coding(), Some(accepted));
        assert_eq!(first.body.as_ptr(), second.body.as_ptr());
    }
    let skill = json!({"name": "Another", "category": "technical"});
    app.post("/api/v1/skills", skill).await.expect(201);
    assert!(get_as(&app, "/api/v1/skills", "gzip").await.text().contains("\"Another\""));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_description_and_its_page_are_compressed_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in ["/openapi.json", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"] {
        let plain = app.get(path).await;
        for accepted in ["gzip", "zstd"] {
            let first = get_as(&app, path, accepted).await;
            let second = get_as(&app, path, accepted).await;
            assert_eq!(first.coding(), Some(accepted), "{path}");
            assert_eq!(first.body.as_ptr(), second.body.as_ptr(), "{path}");
            assert!(first.text() == plain.text, "{path}");
        }
    }
    let etag = app.get("/openapi.json").await.header("etag").unwrap().to_owned();
    let unchanged = app.send(get("/openapi.json", &[("if-none-match", etag.as_str())])).await;
    assert_eq!(unchanged.status, 304);
}

#[sqlx::test(migrations = "../migrations")]
async fn long_problems_are_compressed_and_streams_are_not(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let skills: Vec<_> = (0..30).map(|_| Uuid::now_v7()).collect();
    let role = json!({"name": "Writer", "required_skills": skills, "seniority_level": "junior"});
    let mut request = json_request("POST".parse().unwrap(), "/api/v1/genesis/job-roles", &role);
    request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
    let refused = send(&app, request).await;
    assert_eq!((refused.status.as_u16(), refused.coding()), (422, Some("gzip")));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    let problem: serde_json::Value = serde_json::from_str(&refused.text()).unwrap();
    assert_eq!(problem["code"], "validation-error");

    create_skills(&app).await;
    let export = get_as(&app, "/api/v1/audit/export", "gzip").await;
    assert_eq!((export.status.as_u16(), export.coding()), (200, None));
    assert!(export.body.len() > 1_024);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_compressed_request_body_is_415_and_names_what_is_accepted(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let skill = json!({"name": "Python", "category": "technical"});
    let coded = |coding: &str| {
        let mut request = json_request("POST".parse().unwrap(), "/api/v1/skills", &skill);
        request.headers_mut().insert("content-encoding", coding.parse().unwrap());
        request
    };
    for coding in ["gzip", "zstd", "br", "deflate"] {
        let refused = app.send(coded(coding)).await;
        assert_eq!(refused.header("accept-encoding"), Some("identity"), "{coding}");
        let problem = refused.expect(415);
        assert_eq!(problem["code"], "unsupported-media-type");
        assert!(problem["detail"].as_str().unwrap().contains("Content-Encoding"), "{problem}");
    }
    app.send(coded("identity")).await.expect(201);
}

#[sqlx::test(migrations = "../migrations")]
async fn head_has_the_coding_and_length_of_get(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for n in 0..100 {
        let skill =
            json!({"name": format!("Skill {n} {}", "x".repeat(100)), "category": "technical"});
        app.post("/api/v1/skills", skill).await.expect(201);
    }
    let long_path = format!("/{}", "a".repeat(2_000));
    for (path, accepted) in
        [("/api/v1/skills", "gzip"), ("/api/v1/skills", "identity"), (&*long_path, "gzip")]
    {
        let get = get_as(&app, path, accepted).await;
        let mut request = super::get(path, &[("accept-encoding", accepted)]);
        *request.method_mut() = "HEAD".parse().unwrap();
        let head = send(&app, request).await;
        assert!(head.body.is_empty());
        for name in ["content-encoding", "vary", "etag"] {
            assert_eq!(head.header(name), get.header(name), "{path} {accepted} {name}");
        }
        // Ids of requests compress differently.
        let length: usize = head.header("content-length").unwrap().parse().unwrap();
        assert!(length.abs_diff(get.body.len()) < 20, "{path} {accepted}: {length}");
    }
    let plain = get_as(&app, "/api/v1/skills", "identity").await;
    assert!(plain.body.len() > 16 * 1024);
    assert_eq!(plain.header("content-length"), Some(plain.body.len().to_string().as_str()));
}
