//! Endpoints with numbers and names that neither JSON nor the database can represent.

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::collection::{COLLECT, with_endpoint};
use crate::performance_agent::AgentSettings;
use crate::performance_agent::exposition::selector::Selector;
use crate::performance_agent::rules::{
    Comparison, CustomMetric, DEFAULT, Rule, RuleSet, RuleSets, Severity,
};
use crate::testing::{TestApp, agent_settings};

/// Returns the built-in rules with metrics of their own: the rate of `big`, and the gauge `low`, which
/// must be above 10.
fn settings() -> AgentSettings {
    let settings = agent_settings();
    let mut set: RuleSet = settings.rules.find(DEFAULT).unwrap().clone();
    let selector = |name: &str| Selector::parse(name).unwrap();
    set.custom_metrics.insert("big_rate".into(), CustomMetric::Rate(selector("big")));
    set.custom_metrics.insert("low".into(), CustomMetric::Gauge(selector("low")));
    let base = set.rules[0].clone();
    set.rules.push(Rule {
        name: "too_low".into(),
        finding: "too_low".into(),
        metric: "low".into(),
        comparison: Comparison::Below,
        threshold: 10.0,
        min_samples: 0,
        max_severity: Severity::Critical,
        is_slo: false,
        ..base
    });
    AgentSettings { rules: RuleSets::of(set), ..settings }
}

/// Starts an endpoint that answers with `before` once, and then with `after`; collects a snapshot of it.
async fn snapshot_of(pool: PgPool, before: &'static str, after: String) -> (TestApp, Value) {
    let first = std::sync::atomic::AtomicBool::new(true);
    let answers = std::sync::Arc::new((first, after));
    let router = Router::new().route(
        "/metrics",
        get(async move || match answers.0.swap(false, std::sync::atomic::Ordering::SeqCst) {
            true => before.to_owned(),
            false => answers.1.clone(),
        }),
    );
    let (app, url) = with_endpoint(pool, router, settings()).await;
    let body = json!({"target": format!("{url}/metrics")});
    let snapshot = app.post(COLLECT, body).await.expect(200);
    (app, snapshot)
}

#[sqlx::test(migrations = "../migrations")]
async fn numbers_that_are_not_finite_are_left_out(pool: PgPool) {
    let mut after = "big{a=\"1\"} 1.7e308\nbig{a=\"2\"} 1.7e308\nlow -5\n".to_owned();
    // A quantile in seconds that is no finite number of milliseconds, and a queue that grows infinitely fast.
    after += "http_requests_total{method=\"GET\",path=\"/a\",status=\"200\"} 500\n";
    for le in ["1e306", "+Inf"] {
        after += "http_request_duration_seconds_bucket{method=\"GET\",path=\"/a\",";
        after += &format!("le=\"{le}\"}} 500\n");
    }
    after += "queue_depth{queue_name=\"mail\"} 1.7e308\n";
    after += "db_pool_connections{state=\"in_use\"} 1e300\ndb_pool_max 1e-300\n";
    let before =
        "db_pool_connections{state=\"in_use\"} 1e300\nqueue_depth{queue_name=\"mail\"} -1.7e308\n";
    let (app, snapshot) = snapshot_of(pool, before, after).await;
    assert_eq!(snapshot["custom"], json!({"low": -5.0}));
    assert_eq!(snapshot["routes"][0]["requests"], 500);
    assert_eq!(snapshot["routes"][0]["p95_ms"], Value::Null);
    assert_eq!(app.get("/api/v1/metrics/history").await.expect(200), json!([snapshot]));
    let body = json!({"snapshot_id": snapshot["id"]});
    let analysis = app.post("/api/v1/analysis", body.clone()).await.expect(200);
    let findings = analysis["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| finding["value"].is_number()), "{findings:#?}");
    let low = findings.iter().find(|finding| finding["type"] == "too_low").unwrap();
    assert_eq!((&low["value"], &low["severity"]), (&json!(-5.0), &json!("critical")));
    let again = app.post("/api/v1/analysis", body).await.expect(200);
    assert_eq!(again["health_score"], analysis["health_score"]);
    let plan = json!({"analysis_id": analysis["id"]});
    app.post("/api/v1/optimization", plan).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn control_characters_and_very_large_counters_are_stored(pool: PgPool) {
    let counter = |path: &str, status: &str| {
        format!("http_requests_total{{method=\"GET\",path=\"{path}\",status=\"{status}\"}} 1e300\n")
    };
    let after = counter("/a\0b", "200") + &counter("/b", "500");
    let (app, snapshot) = snapshot_of(pool, "up 1\n", after).await;
    let mut routes: Vec<_> =
        snapshot["routes"].as_array().unwrap().iter().map(|route| &route["route"]).collect();
    routes.sort_by_key(ToString::to_string);
    assert_eq!(routes, ["GET /a\u{fffd}b", "GET /b"]);
    assert_eq!(snapshot["error_rate"], 1.0, "both are as many as can be counted");
    let body = json!({"snapshot_id": snapshot["id"]});
    app.post("/api/v1/analysis", body).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_histogram_with_too_many_buckets_is_a_note(pool: PgPool) {
    let bucket = |le: String| format!("db_pool_wait_seconds_bucket{{le=\"{le}\"}} 17\n");
    let after: String = (0..1_500).map(|le| bucket(le.to_string())).collect();
    let (_, snapshot) = snapshot_of(pool, "up 1\n", after + &bucket("+Inf".into())).await;
    assert_eq!(snapshot["pool"]["wait"]["p95_ms"], Value::Null);
    let note =
        "1 histograms of `db_pool_wait_seconds` are left out: they have more than 1000 buckets";
    assert_eq!(snapshot["notes"], json!([note]));
}
