mod compression;
mod conditional;
mod cors;
mod credentials;
mod freshness;
mod head;
mod limits;
mod malformed;
mod matrix;
mod middleware;
mod plans;
mod round_trips;
mod scrape;
mod traces;

use std::num::NonZeroU32;

use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use sqlx::PgPool;

use crate::clock::Clock;
use crate::config::AccessMode;
use crate::limit::{
    MAX_HEADER_BYTES, MAX_HEADERS, MAX_RESERVED_BYTES, MAX_UNRESERVED_BODY_BYTES, MAX_URI_BYTES,
    RateLimit,
};
use crate::state::AccessPolicy;
use crate::testing::{ADMIN_KEY, TestApp, access_policy};
use crate::token::Role;

fn get(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request =
        headers.iter().fold(Request::get(path), |r, (name, value)| r.header(*name, *value));
    request.body(Body::empty()).unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn request_ids_are_generated_or_accepted_and_returned(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let generated = app.get("/livez").await;
    assert_eq!(generated.header("x-request-id").unwrap().len(), 36);
    assert_eq!(generated.header("x-request-id"), generated.header("x-correlation-id"));
    let accepted = app
        .send(get("/nowhere", &[("x-request-id", "mine-1"), ("x-correlation-id", "ours")]))
        .await;
    assert_eq!(accepted.header("x-request-id"), Some("mine-1"));
    assert_eq!(accepted.header("x-correlation-id"), Some("ours"));
    assert_eq!(accepted.expect(404)["request_id"], "mine-1");
    let long = "x".repeat(129);
    let replaced = app.send(get("/livez", &[("x-request-id", long.as_str())])).await;
    assert_eq!(replaced.header("x-request-id").unwrap().len(), 36);
}

#[sqlx::test(migrations = "../migrations")]
async fn unknown_routes_and_wrong_methods_are_problems(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let unknown = app.get("/api/v1/nowhere").await;
    assert_eq!(unknown.header("content-type"), Some("application/problem+json"));
    let problem = unknown.expect(404);
    assert_eq!(problem["type"], "urn:plant:problem:not-found");
    assert_eq!(problem["instance"], "/api/v1/nowhere");
    let wrong = app.delete("/api/v1/skills").await;
    assert_eq!(wrong.header("allow"), Some("GET,HEAD,POST,OPTIONS"));
    assert_eq!(wrong.expect(405)["code"], "method-not-allowed");
}

#[sqlx::test(migrations = "../migrations")]
async fn responses_are_counted_by_route_template(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.get("/api/v1/customers/nobody-1").await.expect(404);
    app.get("/api/v1/customers/nobody-2").await.expect(404);
    app.get("/made/up").await.expect(404);
    let text = app.get("/metrics").await.text;
    let counted = "http_requests_total{method=\"GET\",\
        path=\"/api/v1/customers/{customer_id}\",status=\"404\"} 2";
    assert!(text.contains(counted), "{text}");
    assert!(text.contains("path=\"unmatched\",status=\"404\"} 1"), "{text}");
    assert!(!text.contains("nobody-1"));
    for name in [
        "http_request_duration_seconds_bucket",
        "http_requests_in_progress 1",
        "db_pool_max 5",
        "db_pool_connections{state=\"in_use\"}",
        "db_pool_wait_seconds_count",
        "redis_pool_connections{state=\"idle\"}",
        "goals_created_total 0",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "build_info{",
        "log_events_total{level=\"error\"}",
        "pg_stat_database_numbackends",
        "max_connections",
    ] {
        assert!(text.contains(name), "{name} is missing from\n{text}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn health_endpoints_report_the_state_of_the_service(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let health = app.get("/health").await.expect(200);
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["database"], "connected");
    assert_eq!(health["redis"], "not_configured");
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(app.get("/readyz").await.status, 200);
    app.state.shutdown.cancel();
    assert_eq!(app.get("/readyz").await.expect(503)["code"], "unavailable");
    assert_eq!(app.get("/livez").await.status, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn every_operation_has_a_unique_id_and_a_summary(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let api = app.get("/openapi.json").await.expect(200);
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            ids.push(operation["operationId"].as_str().unwrap().to_owned());
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let problem = &response["content"]["application/problem+json"];
                let is_health =
                    status == "503" && (path == "/health" || path.starts_with("/api/v1/health"));
                let no_problem = status.starts_with('2') || status == "304" || is_health;
                assert!(no_problem != problem.is_object(), "{method} {path} {status}");
            }
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), count >= 30), (count, true));
}

#[sqlx::test(migrations = "../migrations")]
async fn swagger_ui_loads_no_external_resources(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let page = app.get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    for link in page.text.split("src=\"").chain(page.text.split("href=\"")).skip(1) {
        assert!(!link.starts_with("http") && !link.starts_with("//"), "{link:.80}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn limits_of_every_request_are_described(pool: PgPool) {
    let api = TestApp::new(pool).await.get("/openapi.json").await.expect(200);
    let description = api["info"]["description"].as_str().unwrap();
    for limit in [
        MAX_URI_BYTES,
        MAX_HEADER_BYTES,
        MAX_HEADERS,
        MAX_UNRESERVED_BODY_BYTES,
        MAX_RESERVED_BYTES,
    ] {
        assert!(description.contains(&format!(" {limit} ")), "{limit}: {description}");
    }
    let list = &api["paths"]["/api/v1/agents"]["get"]["responses"];
    assert!(list["414"].is_object() && list["431"].is_object(), "{list}");
}

#[sqlx::test(migrations = "../migrations")]
async fn api_requests_are_rate_limited_but_health_and_metrics_are_not(pool: PgPool) {
    let rate_limit = RateLimit::new(NonZeroU32::MIN);
    let limited = AccessPolicy { rate_limit, ..access_policy(AccessMode::Open) };
    let app = TestApp::with_access_policy(pool, Clock::System, limited).await;
    app.get("/api/v1/skills").await.expect(200);
    let refused = app.get("/api/v1/skills").await;
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(refused.expect(429)["code"], "rate-limited");
    assert_eq!(app.get("/livez").await.status, 200);
    assert!(app.get("/metrics").await.text.contains("path=\"/api/v1/skills\",status=\"429\"} 1"));
}

#[sqlx::test(migrations = "../migrations")]
async fn callers_with_the_same_idempotency_key_each_have_an_effect(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hire = app.create_hire("lotus").await;
    let accounts = [
        app.with_account_of("lotus", Role::User).await,
        app.with_account_of("lotus", Role::User).await,
    ];
    let others = [app.clone(), app.with_token(ADMIN_KEY)];
    let agent = json!({"agent_id": hire.catalogue.agent, "duration": "monthly"});
    let goal = json!({"title": "Write", "schedule": "daily"});
    let prompt = json!({
        "prompt": "Describe a fig tree", "model": "gpt-4", "temperature": 0.5, "max_tokens": 50,
    });
    for (path, body, with_account_only) in [
        ("/api/v1/customers/lotus/agents".to_owned(), agent, false),
        (format!("/api/v1/agents/{}/goals", hire.id), goal, false),
        ("/api/v1/generation/create".to_owned(), prompt, true),
        ("/api/v1/payments/create".to_owned(), json!({"plan_id": "pro", "currency": "EUR"}), true),
    ] {
        let others = others.iter().filter(|_| !with_account_only);
        let mut ids = Vec::new();
        for caller in accounts.iter().chain(others) {
            let first = caller.post_idempotent("k1", &path, &body).await;
            assert!(first.status.is_success(), "{path}: {}", first.text);
            assert_eq!(caller.post_idempotent("k1", &path, &body).await.text, first.text, "{path}");
            ids.push(first.json()["id"].take().to_string());
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{path}: two callers got the same response");
    }
}
