//! Sends malformed input to every described operation: the status is never 5xx, and every error has
//! a problem+json body.

use axum::body::Body;
use axum::http::{Method, Request};
use sqlx::PgPool;

use crate::testing::{TestApp, TestResponse, UNKNOWN_ID};

fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str, close: &str| [open.repeat(5_000), close.repeat(5_000)].concat();
    vec![
        ("empty", b"".to_vec()),
        ("white space", b" \n".to_vec()),
        ("huge", format!("{{\"name\":\"{}\"}}", "x".repeat(200_000)).into_bytes()),
        ("deep arrays", deep("[", "]").into_bytes()),
        ("deep objects", deep("{\"a\":", "}").into_bytes()),
        ("truncated", b"{\"name\":\"x".to_vec()),
        ("not UTF-8", b"{\"name\":\"\xff\xfe\"}".to_vec()),
        ("an unpaired surrogate", br#"{"name":"\ud800"}"#.to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("NUL", br#"{"name":"a\u0000b","nickname":"\u0000","title":"\u0000"}"#.to_vec()),
        ("NUL in a key", br#"{"na\u0000me":"x"}"#.to_vec()),
        ("null", b"null".to_vec()),
        ("a list", b"[]".to_vec()),
        ("a text", b"\"name\"".to_vec()),
        ("a number", b"1e400".to_vec()),
        ("wrong types", br#"{"name":{},"title":[],"schedule":1,"agent_id":true,"settings":"x","tags":{},"entity_id":5,"entity_type":[]}"#.to_vec()),
        ("duplicate keys", br#"{"name":"a","name":"b"}"#.to_vec()),
        ("integers beyond 2^53", br#"{"name":"a","settings":{"n":9007199254740993},"custom_attributes":{"n":-9007199254740993}}"#.to_vec()),
        ("not JSON", b"<name>x</name>".to_vec()),
    ]
}

fn queries() -> Vec<String> {
    vec![
        "limit=-1&offset=99999999999999999999".into(),
        "limit=5&limit=6".into(),
        "after=%00&status=%00&search=%00&q=%ff%fe".into(),
        "search=%25%5F%5C".into(),
        "=&&&==&limit".into(),
        format!("search={}", "x".repeat(5_000)),
        "status[]=active&industry[$ne]=1".into(),
        "search=%F0%9F%8C%B1&industry=%27;drop%20table%20agent;--".into(),
    ]
}

/// Returns the method and the path of every described operation, with ids filled in.
fn operations(app: &TestApp) -> Vec<(Method, String)> {
    let mut found = Vec::new();
    for (template, item) in &app.api.paths.paths {
        let segments = template.split('/').map(|w| if w.starts_with('{') { UNKNOWN_ID } else { w });
        let path = segments.collect::<Vec<_>>().join("/");
        for (method, _) in super::super::description::operations(item) {
            found.push((method.parse().unwrap(), path.clone()));
        }
    }
    assert!(found.len() >= 30, "{found:?}");
    found
}

fn request(method: &Method, path: &str, content_type: &str, body: Vec<u8>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content_type)
        .body(Body::from(body))
        .unwrap()
}

fn assert_no_server_error(response: &TestResponse, what: &str) {
    assert!(response.status.as_u16() < 500, "{what}: {} {}", response.status, response.text);
    if response.status.as_u16() >= 400 {
        assert_eq!(response.header("content-type"), Some("application/problem+json"), "{what}");
        let problem = response.json();
        assert_eq!(problem["status"], response.status.as_u16(), "{what}");
        assert!(problem["code"].is_string() && problem["request_id"].is_string(), "{what}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn malformed_bodies_cause_no_server_error(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (method, path) in operations(&app) {
        for (what, body) in bodies() {
            for content_type in
                ["application/json", "text/plain", "application/json; charset=utf-16", ""]
            {
                let response = app.send(request(&method, &path, content_type, body.clone())).await;
                assert_no_server_error(
                    &response,
                    &format!("{method} {path}: {what} as `{content_type}`"),
                );
            }
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn malformed_queries_cause_no_server_error(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (method, path) in operations(&app) {
        for query in queries() {
            let uri = format!("{path}?{query}");
            let response =
                app.send(request(&method, &uri, "application/json", b"{}".to_vec())).await;
            assert_no_server_error(&response, &format!("{method} {uri}"));
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn malformed_paths_and_methods_cause_no_server_error(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (method, path) in operations(&app) {
        let paths = [
            path.replace(UNKNOWN_ID, "%00"),
            path.replace(UNKNOWN_ID, "%ff%fe"),
            path.replace(UNKNOWN_ID, "..%2f..%2fetc"),
            path.replace(UNKNOWN_ID, &"9".repeat(3_000)),
            path.replace(UNKNOWN_ID, "01900000-0000-7000-8000-00000000000G"),
            format!("{path}/"),
            format!("/{path}"),
            path.to_uppercase(),
        ];
        for path in paths {
            let response =
                app.send(request(&method, &path, "application/json", b"{}".to_vec())).await;
            assert_no_server_error(&response, &format!("{method} {path}"));
        }
        for unsupported in ["TRACE", "CONNECT", "OPTIONS", "PROPFIND", "get"] {
            let unsupported = unsupported.parse().unwrap();
            let response =
                app.send(request(&unsupported, &path, "application/json", Vec::new())).await;
            assert_no_server_error(&response, &format!("{unsupported} {path}"));
        }
    }
}
