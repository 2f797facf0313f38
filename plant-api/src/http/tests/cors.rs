//! Requests of web pages from other origins, and `OPTIONS`.

use std::num::NonZeroU32;

use axum::body::Body;
use axum::http::{Method, Request};
use sqlx::PgPool;

use super::get;
use crate::clock::Clock;
use crate::config::{AccessMode, CorsOrigins};
use crate::http::description;
use crate::limit::{ConnectionLimit, RateLimit};
use crate::state::AccessPolicy;
use crate::testing::{TestApp, TestResponse, UNKNOWN_ID, access_policy};

const PAGE: &str = "http://localhost:5173";

async fn app_for(pool: PgPool, origins: CorsOrigins) -> TestApp {
    let policy = AccessPolicy { cors_origins: origins.into(), ..access_policy(AccessMode::Open) };
    TestApp::with_access_policy(pool, Clock::System, policy).await
}

fn options(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = get(path, headers);
    *request.method_mut() = Method::OPTIONS;
    request
}

async fn preflight(app: &TestApp, path: &str, origin: &str) -> TestResponse {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,idempotency-key"),
    ];
    app.send(options(path, &headers)).await
}

fn allowed_origin(response: &TestResponse) -> Option<&str> {
    response.header("access-control-allow-origin")
}

#[sqlx::test(migrations = "../migrations")]
async fn a_preflight_allows_the_methods_of_the_route_and_the_headers_of_the_api(pool: PgPool) {
    let app = TestApp::with_required_access(pool, Clock::System).await;
    let response = preflight(&app, "/api/v1/agents", PAGE).await;
    assert_eq!((response.status.as_u16(), response.text.as_str()), (204, ""));
    assert_eq!(allowed_origin(&response), Some(PAGE));
    assert_eq!(response.header("access-control-allow-methods"), Some("GET,HEAD,POST,OPTIONS"));
    assert_eq!(response.header("access-control-max-age"), Some("7200"));
    assert_eq!(response.header("vary"), Some("origin"));
    assert_eq!(response.header("access-control-allow-credentials"), None);
    let headers: Vec<_> =
        response.header("access-control-allow-headers").unwrap().split(", ").collect();
    for header in [
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
        "x-request-id",
        "traceparent",
    ] {
        assert!(headers.contains(&header), "{header}: {headers:?}");
    }
    let page = preflight(&app, "/openapi.json", PAGE).await;
    assert_eq!(page.header("access-control-allow-methods"), Some("GET,HEAD,OPTIONS"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_preflight_succeeds_where_its_request_will_fail(pool: PgPool) {
    let rate_limit = RateLimit::new(NonZeroU32::MIN);
    let limited = AccessPolicy { rate_limit, ..access_policy(AccessMode::Open) };
    let app = TestApp::with_access_policy(pool, Clock::System, limited).await;
    for path in ["/api/v1/agents", "/api/v1/agents", "/api/v1/nowhere"] {
        let response = preflight(&app, path, PAGE).await;
        assert_eq!((response.status.as_u16(), allowed_origin(&response)), (204, Some(PAGE)));
        let methods = response.header("access-control-allow-methods").unwrap();
        assert!(methods.contains("POST"), "{path}: {methods}");
    }
    let refused = [("origin", PAGE), ("access-control-request-method", "GET")];
    let mut over_limit = options("/api/v1/skills", &refused);
    over_limit.extensions_mut().insert(ConnectionLimit::Address);
    assert_eq!(app.send(over_limit).await.status, 204);
    app.get("/api/v1/skills").await.expect(200);
    assert_eq!(app.get("/api/v1/skills").await.status, 429, "preflights do not count");
}

#[sqlx::test(migrations = "../migrations")]
async fn pages_may_read_responses_and_their_headers(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let response = app.send(get("/api/v1/skills", &[("origin", PAGE)])).await;
    assert_eq!((response.status.as_u16(), allowed_origin(&response)), (200, Some(PAGE)));
    let exposed: Vec<_> =
        response.header("access-control-expose-headers").unwrap().split(", ").collect();
    for header in ["etag", "link", "location", "retry-after", "x-request-id"] {
        assert!(exposed.contains(&header), "{header}: {exposed:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn pages_may_read_errors(pool: PgPool) {
    let app = TestApp::with_required_access(pool.clone(), Clock::System).await;
    let mut refused = Vec::new();
    for path in ["/nowhere", "/api/v1/customers/nobody"] {
        refused.push(app.send(get(path, &[("origin", PAGE)])).await);
    }
    for limit in [ConnectionLimit::All, ConnectionLimit::Address] {
        let mut request = get("/api/v1/skills", &[("origin", PAGE)]);
        request.extensions_mut().insert(limit);
        refused.push(app.send(request).await);
    }
    let rate_limit = RateLimit::new(NonZeroU32::MIN);
    let limited = AccessPolicy { rate_limit, ..access_policy(AccessMode::Open) };
    let app = TestApp::with_access_policy(pool, Clock::System, limited).await;
    app.get("/api/v1/skills").await.expect(200);
    refused.push(app.send(get("/api/v1/skills", &[("origin", PAGE)])).await);
    let statuses: Vec<_> = refused.iter().map(|response| response.status.as_u16()).collect();
    assert_eq!(statuses, [404, 401, 503, 429, 429]);
    for response in refused {
        assert_eq!(allowed_origin(&response), Some(PAGE), "{}", response.status);
        assert!(response.header("access-control-expose-headers").is_some());
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn other_origins_get_no_permission(pool: PgPool) {
    let listed = CorsOrigins::List(vec!["https://app.example.com".into()]);
    let app = app_for(pool, listed).await;
    for origin in [PAGE, "null", "https://app.example.com.evil.example"] {
        let response = preflight(&app, "/api/v1/agents", origin).await;
        assert_eq!((response.status.as_u16(), allowed_origin(&response)), (204, None));
        assert_eq!(response.header("access-control-allow-methods"), None);
        let response = app.send(get("/api/v1/skills", &[("origin", origin)])).await;
        assert_eq!((response.status.as_u16(), allowed_origin(&response)), (200, None));
        assert_eq!(response.header("access-control-expose-headers"), None);
        assert_eq!(response.header("vary"), Some("accept-encoding, origin"));
    }
    // Caches must not send this response to pages.
    let response = app.get("/api/v1/skills").await;
    assert_eq!(allowed_origin(&response), None);
    assert_eq!(response.header("vary"), Some("accept-encoding, origin"));
    let response = preflight(&app, "/api/v1/agents", "https://app.example.com").await;
    assert_eq!(allowed_origin(&response), Some("https://app.example.com"));
}

#[sqlx::test(migrations = "../migrations")]
async fn all_or_no_origins_can_be_allowed(pool: PgPool) {
    let all = app_for(pool.clone(), CorsOrigins::All).await;
    let response = preflight(&all, "/api/v1/agents", "null").await;
    assert_eq!((allowed_origin(&response), response.header("vary")), (Some("*"), None));
    assert!(response.header("access-control-allow-methods").is_some());
    let none = app_for(pool, CorsOrigins::None).await;
    let response = preflight(&none, "/api/v1/agents", PAGE).await;
    assert_eq!((response.status.as_u16(), response.header("vary")), (204, None));
    assert!(response.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
}

#[sqlx::test(migrations = "../migrations")]
async fn every_route_returns_its_methods(pool: PgPool) {
    let app = TestApp::new(pool).await;
    assert!(app.api.paths.paths.len() >= 30);
    for (template, item) in &app.api.paths.paths {
        let segments = template.split('/').map(|s| if s.starts_with('{') { UNKNOWN_ID } else { s });
        let path = segments.collect::<Vec<_>>().join("/");
        let described: Vec<_> = description::operations(item).map(|(method, _)| method).collect();
        let response = app.send(options(&path, &[])).await;
        assert_eq!((response.status.as_u16(), response.text.as_str()), (204, ""), "{path}");
        let wrong = Request::builder().method("PROPFIND").uri(&path).body(Body::empty()).unwrap();
        let wrong = app.send(wrong).await;
        assert_eq!(wrong.status, 405, "{path}");
        for response in [&response, &wrong] {
            let mut methods: Vec<_> = response.header("allow").unwrap().split(',').collect();
            assert!(methods.contains(&"OPTIONS"), "{path}: {methods:?}");
            methods.retain(|method| !["OPTIONS", "HEAD"].contains(method));
            methods.sort_unstable();
            let mut described = described.clone();
            described.sort_unstable();
            assert_eq!(methods, described, "{path}");
        }
    }
    assert_eq!(app.send(options("/nowhere", &[])).await.status, 404);
    assert_eq!(app.send(options("*", &[])).await.status, 204);
}
