//! Collections from endpoints, and from the service under trouble.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use serde_json::json;
use sqlx::PgPool;
use tokio::net::TcpListener;

use super::{find, other_notes, snapshot_during};
use crate::performance_agent::{AgentSettings, analyze};
use crate::testing::{TestApp, agent_settings};

pub(super) const COLLECT: &str = "/api/v1/metrics/collect";

/// Starts a server and returns the app, which may read it, and its URL.
pub(super) async fn with_endpoint(
    pool: PgPool,
    router: Router,
    settings: AgentSettings,
) -> (TestApp, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    let settings = AgentSettings { targets: vec![url.parse().unwrap()], ..settings };
    (TestApp::new(pool).await.with_agent(settings), url)
}

/// Returns the metrics of a service at its n-th reading: 100 requests to each of two routes in each
/// interval, 3 of them errors, all in one bucket.
fn metrics(n: u32) -> String {
    let (requests, errors) = (1_000 + 97 * n, 3 * n);
    let histogram = |path: &str, from: u32| {
        let counts = [(0.1, from), (0.25, from + 100 * n)].map(|(le, count)| {
            format!(
                "http_request_duration_seconds_bucket{{method=\"GET\",path=\"{path}\",le=\"{le}\"}} {count}\n"
            )
        });
        let infinite = format!(
            "http_request_duration_seconds_bucket{{method=\"GET\",path=\"{path}\",le=\"+Inf\"}} {}\n",
            from + 100 * n
        );
        counts.concat() + &infinite
    };
    let mut text = String::from("# TYPE http_requests_total counter\n");
    for path in ["/a", "/b"] {
        text += &format!(
            "http_requests_total{{method=\"GET\",path=\"{path}\",status=\"200\"}} {requests}\n"
        );
        text += &format!(
            "http_requests_total{{method=\"GET\",path=\"{path}\",status=\"503\"}} {errors}\n"
        );
        text += &histogram(path, 900);
    }
    text += &format!("queue_depth{{queue_name=\"mail\"}} {}\nworker_active_count 0\n", 50 + n);
    text += &format!("cache_requests_total{{result=\"hit\"}} {}\n", 10_000 + 30 * n);
    text + &format!("cache_requests_total{{result=\"miss\"}} {}\n", 70 * n)
}

#[sqlx::test(migrations = "../migrations")]
async fn an_endpoint_is_read_twice_and_its_snapshot_is_of_the_time_between(pool: PgPool) {
    let readings = Arc::new(AtomicU32::new(0));
    let counted = readings.clone();
    let router = Router::new()
        .route("/metrics", get(async move || metrics(counted.fetch_add(1, Ordering::SeqCst))));
    let (app, url) = with_endpoint(pool, router, agent_settings()).await;
    let body = json!({"target": format!("{url}/metrics")});
    let snapshot = app.post(COLLECT, body.clone()).await.expect(200);
    assert_eq!(readings.load(Ordering::SeqCst), 2);
    assert_eq!(snapshot["target"], body["target"]);
    let routes = snapshot["routes"].as_array().unwrap();
    assert_eq!(routes.len(), 2);
    assert_eq!((&routes[0]["route"], &routes[1]["route"]), (&json!("GET /a"), &json!("GET /b")));
    assert_eq!((&routes[0]["requests"], &routes[0]["errors"]), (&json!(100), &json!(3)));
    // All durations of the interval are in the bucket from 100 to 250 ms.
    assert_eq!(routes[0]["p50_ms"], 175.0);
    assert!((routes[0]["p95_ms"].as_f64().unwrap() - 242.5).abs() < 1e-9);
    assert_eq!(snapshot["error_rate"], 0.03);
    assert_eq!(snapshot["cache"]["hit_ratio"], 0.3);
    assert_eq!(snapshot["database"], serde_json::Value::Null);
    assert_eq!(snapshot["pool"]["in_use"], serde_json::Value::Null);
    assert_eq!(snapshot["process"]["memory_bytes"], serde_json::Value::Null);

    let body = json!({"snapshot_id": snapshot["id"]});
    let analysis = app.post("/api/v1/analysis", body).await.expect(200);
    let kinds: Vec<_> =
        analysis["findings"].as_array().unwrap().iter().map(|f| f["type"].clone()).collect();
    assert_eq!(kinds, ["error_rate_over_slo", "queue_build_up", "low_cache_hit_ratio"]);
    // 2 critical findings and a critical one; one of three objectives with data is violated.
    assert_eq!(analysis["health_score"], 100.0 - 75.0 - 6.667);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_target_that_does_not_answer_with_metrics_is_503(pool: PgPool) {
    let router = Router::new()
        .route("/slow", get(|| async { std::future::pending::<()>().await }))
        .route("/error", get(|| async { StatusCode::NOT_FOUND }))
        .route("/html", get(|| async { "<html>" }))
        .route("/empty", get(|| async { "" }))
        .route("/large", get(|| async { "a 1\n".repeat(2 << 20) }))
        .route("/bytes", get(|| async { vec![0xff_u8; 10].into_response() }))
        .route("/inside", get(|| async { Redirect::temporary("/metrics") }))
        .route("/metrics", get(|| async { "up 1\n" }));
    let (app, url) = with_endpoint(pool, router, agent_settings()).await;
    for path in ["slow", "error", "html", "empty", "large", "bytes", "inside"] {
        let response = app.post(COLLECT, json!({"target": format!("{url}/{path}")})).await;
        assert_eq!(response.header("retry-after"), Some("5"), "{path}");
        assert_eq!(response.expect(503)["code"], "unavailable", "{path}");
    }
    app.post(COLLECT, json!({"target": format!("{url}/metrics")})).await.expect(200);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let settings = AgentSettings { targets: vec![closed.parse().unwrap()], ..agent_settings() };
    let response = app.with_agent(settings).post(COLLECT, json!({"target": closed})).await;
    assert_eq!(response.header("retry-after"), Some("5"));
    response.expect(503);
}

#[sqlx::test(migrations = "../migrations")]
async fn too_many_collections_at_once_are_429(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let permits: Vec<_> = (0..4).map(|_| app.agent.permit_collection().unwrap()).collect();
    let response = app.post(COLLECT, json!({"target": "self"})).await;
    assert_eq!(response.header("retry-after"), Some("1"));
    response.expect(429);
    drop(permits);
    app.post(COLLECT, json!({"target": "self"})).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_agent_works_when_the_pool_is_exhausted(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(app.state.db.acquire().await.unwrap());
    }
    let snapshot = snapshot_during(&app, async {}).await;
    assert_eq!(other_notes(&snapshot), [""; 0]);
    assert_eq!((snapshot.pool.in_use, snapshot.pool.max), (Some(5.0), Some(5.0)));
    let analysis = analyze(&app.state, &app.agent, &snapshot, &[]).await.unwrap();
    assert_eq!(find(&analysis, "pool_saturation", None).metric, "pool_use");
    app.get("/api/v1/metrics/history").await.expect(503);
    drop(held);
    // The history is long, so it is not read on the connection for these cases.
    let _monitor = app.state.db.acquire_monitor().await.unwrap();
    app.get("/api/v1/metrics/history").await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_cannot_be_read_of_the_database_is_a_note(pool: PgPool) {
    let app = TestApp::new(pool).await;
    sqlx::query("revoke execute on function database_activity() from plant_app")
        .execute(&app.owner)
        .await
        .unwrap();
    let snapshot = snapshot_during(&app, async {}).await;
    let notes = other_notes(&snapshot);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[1].starts_with("running statements could not be read: permission denied"));
    let database = snapshot.database.unwrap();
    assert!(database.connections.is_none() && database.running_statements.is_none());
    assert!(!database.tables.unwrap().is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn the_services_role_cannot_read_the_statements_of_others_itself(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut owner = app.owner.acquire().await.unwrap();
    sqlx::query("select 'other'").execute(&mut *owner).await.unwrap();
    let mut connection = app.state.db.acquire_monitor().await.unwrap();
    let can: bool =
        sqlx::query_scalar("select pg_has_role(current_user, 'pg_read_all_stats', 'usage')")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
    assert!(!can);
    let of_others: i64 = sqlx::query_scalar(
        "select count(*) from database_activity()
        where pid in (select pid from pg_stat_activity where datname <> current_database())",
    )
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    assert_eq!(of_others, 0);
}
