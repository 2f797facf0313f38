//! What a change does to requests.

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use futures::stream;
use serde_json::json;
use sqlx::PgPool;

use super::super::Share;
use super::{begin, refresh, roll_back, rollout, set, set_share};
use crate::error::Error;
use crate::testing::{TestApp, TestResponse, wait_until};

const LIST: &str = "/api/v1/industries";

async fn create_industries(app: &TestApp, count: usize) {
    for number in 0..count {
        app.create(LIST, json!({"name": format!("Industry {number}")})).await;
    }
}

fn items(response: TestResponse) -> usize {
    response.expect(200).as_array().unwrap().len()
}

/// Returns the number of reads of the topic of industries with this result.
fn reads(app: &TestApp, result: &str) -> u64 {
    app.state.metrics.cache_requests.with_label_values(&["industries", result]).get()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_page_size_limits_lists(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_industries(&app, 12).await;
    assert_eq!(items(app.get(&format!("{LIST}?limit=11")).await), 11);
    set(&app, "page_size_cap", 10).await;
    for (query, expected) in [("", 10), ("?limit=11", 10), ("?limit=10", 10), ("?limit=3", 3)] {
        let page = app.get(&format!("{LIST}{query}")).await;
        let next = page.header("link").unwrap().to_owned();
        assert!(next.contains(&format!("limit={expected}&after=")), "{next}");
        assert_eq!(items(page), expected, "{query}");
    }
    // The next page has the rest.
    let link = app.get(LIST).await.header("link").unwrap().to_owned();
    let next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    assert_eq!(items(app.get(&next).await), 2);
    for limit in ["0", "501"] {
        let response = app.get(&format!("{LIST}?limit={limit}")).await;
        assert_eq!(response.invalid_fields(), ["limit"]);
    }
    set(&app, "page_size_cap", None::<i64>).await;
    assert_eq!(items(app.get(LIST).await), 12);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_page_size_applies_to_lists_with_other_keys(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.create(LIST, json!({"name": "Sales"})).await;
    for number in 0..11 {
        let tenant = json!({
            "tenant_id": format!("desk-{number:02}"), "name": "Desk",
            "servicedesk_url": "https://desk.servicedesk.local", "servicedesk_api_key": "key",
            "webhook_signing_secret": "signing-secret-of-desk",
        });
        app.post("/admin/tenants", tenant).await.expect(201);
    }
    set(&app, "page_size_cap", 10).await;
    assert_eq!(items(app.get("/admin/tenants?limit=11").await), 10);
    assert_eq!(items(app.get(&format!("/api/v1/entities/{id}/amendments?limit=11")).await), 1);
    assert_eq!(items(app.get("/admin/queue/dead?limit=11").await), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_topic_that_is_not_cached_is_read_from_the_database(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    app.get(LIST).await.expect(200);
    app.get(LIST).await.expect(200);
    let (hits, bypasses) = (reads(&app, "hit"), reads(&app, "bypass"));
    assert_eq!(hits, 1);
    set(&app, "cache_industries", 0).await;
    app.get(LIST).await.expect(200);
    app.get("/api/v1/skills").await.expect(200);
    app.get("/api/v1/skills").await.expect(200);
    assert_eq!((reads(&app, "hit"), reads(&app, "bypass")), (hits, bypasses + 1));
    let skills = app.state.metrics.cache_requests.with_label_values(&["skills", "hit"]).get();
    assert_eq!(skills, 1);
    set(&app, "cache_industries", 1).await;
    app.get(LIST).await.expect(200);
    assert_eq!(reads(&app, "hit"), hits + 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cached_response_expires_after_the_time_to_live_of_its_reader(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    app.get(LIST).await.expect(200);
    set(&app, "cache_ttl_seconds", 1).await;
    app.get(LIST).await.expect(200);
    assert_eq!(reads(&app, "miss"), 2, "the first response may be too old");
    // It expires both in Redis and in the memory of the process.
    wait_until(async || {
        app.get(LIST).await.expect(200);
        reads(&app, "miss") > 2
    })
    .await;
    assert!(reads(&app, "hit") > 0);
    set(&app, "cache_ttl_seconds", 60).await;
    app.get(LIST).await.expect(200);
    assert_eq!(reads(&app, "miss"), 3, "the first response has 60 s");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_statement_timeout_cancels_statements(pool: PgPool) {
    let app = TestApp::new(pool).await;
    // A connection is open already.
    app.get(LIST).await.expect(200);
    set(&app, "statement_timeout_ms", 250).await;
    let mut connection = app.state.db.acquire().await.unwrap();
    let setting = sqlx::query_scalar::<_, String>("select current_setting('statement_timeout')");
    assert_eq!(setting.fetch_one(&mut *connection).await.unwrap(), "250ms");
    let sleep = sqlx::query("select pg_sleep(60)").execute(&mut *connection).await;
    assert!(Error::from(sleep.unwrap_err()).is_outage());
}

/// Starts a request whose body never ends.
fn start_endless_request(app: &TestApp) -> tokio::task::JoinHandle<()> {
    let body = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"{")) });
    let body = Body::from_stream(futures::StreamExt::chain(body, stream::pending()));
    let request = Request::post(LIST).header("content-type", "application/json").body(body);
    let (app, request) = (app.clone(), request.unwrap());
    tokio::spawn(async move {
        app.start_request(request).await;
    })
}

#[sqlx::test(migrations = "../migrations")]
async fn requests_above_the_admission_limit_are_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    set(&app, "admission_limit", 10).await;
    let running: Vec<_> = (0..9).map(|_| start_endless_request(&app)).collect();
    let in_progress = &app.state.metrics.requests_in_progress;
    wait_until(async || in_progress.get() == 9).await;
    app.get(LIST).await.expect(200);
    let tenth = start_endless_request(&app);
    wait_until(async || in_progress.get() == 10).await;
    let refused = app.get(LIST).await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.expect(503)["code"], "unavailable");
    // So that the limit can be raised again.
    for path in ["/health", "/metrics", "/openapi.json"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    app.get("/admin/queue").await.expect(200);
    set(&app, "admission_limit", 11).await;
    app.get(LIST).await.expect(200);
    for request in running.into_iter().chain([tenth]) {
        request.abort();
    }
    wait_until(async || in_progress.get() == 0).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_share_of_the_requests_uses_all_new_values(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    create_industries(&app, 11).await;
    begin(&app, "page_size_cap", rollout(1, 10, Share::Half)).await.unwrap();
    begin(&app, "cache_industries", rollout(2, 0, Share::Half)).await.unwrap();
    refresh(&app).await;
    let mut new = 0;
    for _ in 0..200 {
        let bypasses = reads(&app, "bypass");
        let is_short = items(app.get(LIST).await) == 10;
        assert_eq!(is_short, reads(&app, "bypass") > bypasses, "both values are of one cohort");
        new += usize::from(is_short);
    }
    // More than eight standard deviations.
    assert!((40..=160).contains(&new), "{new}");
    set_share(&app, "page_size_cap", 1, Share::All).await.unwrap();
    refresh(&app).await;
    for _ in 0..20 {
        assert_eq!(items(app.get(LIST).await), 10);
    }
    roll_back(&app, "page_size_cap", 1).await.unwrap();
    refresh(&app).await;
    for _ in 0..20 {
        assert_eq!(items(app.get(LIST).await), 11);
    }
}
