//! The size of a scrape of `/metrics`.

use axum::http::StatusCode;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::app::{handlers, worker};
use crate::http::description;
use crate::testing::{INSTANT_MODEL, TestApp, simulations, wait_until};
use crate::worker::{AnyJobHandler, run_gauge_updates};

/// Maximum size of a scrape before the first request, in bytes.
const MAX_IDLE_BYTES: usize = 64_000;
const MAX_IDLE_SAMPLES: usize = 600;
/// Maximum size of a scrape in bytes, whatever was requested.
const MAX_BYTES: usize = 128_000;

fn samples(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

/// Returns a service whose worker has run and updated its gauges.
async fn started(pool: PgPool) -> TestApp {
    let app = TestApp::with_redis(pool).await;
    let simulations = simulations(INSTANT_MODEL);
    worker(&app.state, &simulations).run_once().await.unwrap();
    let kinds = handlers(&app.state, &simulations).iter().map(AnyJobHandler::kind).collect();
    let shutdown = CancellationToken::new();
    let (db, metrics) = (app.state.db.clone(), app.state.metrics.clone());
    tokio::spawn(run_gauge_updates(db, metrics, kinds, shutdown.clone()));
    wait_until(async || app.get("/metrics").await.text.contains("jobs_total{")).await;
    shutdown.cancel();
    app
}

#[sqlx::test(migrations = "../migrations")]
async fn an_idle_service_has_a_small_scrape(pool: PgPool) {
    let text = started(pool).await.get("/metrics").await.text;
    println!("{} bytes, {} samples", text.len(), samples(&text));
    assert!(text.len() <= MAX_IDLE_BYTES, "{} bytes", text.len());
    assert!(samples(&text) <= MAX_IDLE_SAMPLES, "{} samples", samples(&text));
    let series = |status: u16| {
        format!(
            "http_requests_total{{method=\"GET\",path=\"/api/v1/agents\",status=\"{status}\"}} 0"
        )
    };
    assert!(text.contains(&series(500)) && text.contains(&series(503)), "{text}");
    assert!(!text.contains(&series(200)) && !text.contains(&series(404)), "{text}");
    let histogram = "http_request_duration_seconds_count{method=\"GET\",path=\"/api/v1/agents\"}";
    assert!(!text.contains(histogram), "{text}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_scrape_stays_small_after_every_response_of_every_route(pool: PgPool) {
    let app = started(pool).await;
    let record = |method, path: &str, status: StatusCode| {
        app.state.metrics.requests.record(method, Some(path), status, 0.003);
    };
    for (path, item) in &app.api.paths.paths {
        for (method, operation) in description::operations(item) {
            for status in operation.responses.responses.keys() {
                record(method, path, status.parse().unwrap());
            }
        }
        for method in ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "OTHER"] {
            record(method, path, StatusCode::METHOD_NOT_ALLOWED);
            record("HEAD", path, StatusCode::OK);
            record("OPTIONS", path, StatusCode::NO_CONTENT);
        }
    }
    let text = app.get("/metrics").await.text;
    println!("{} bytes, {} samples", text.len(), samples(&text));
    assert!(text.len() <= MAX_BYTES, "{} bytes", text.len());
    let operations = app.api.paths.paths.values().flat_map(description::operations).count();
    let histograms = text.matches("http_request_duration_seconds_count{").count();
    assert!(histograms < operations, "no limit was reached: {histograms} of {operations}");
}
