//! Requests to the routes that collect, list and analyze, with what they refuse.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::snapshot_during;
use crate::clock::Clock;
use crate::performance_agent::delete_expired;
use crate::testing::{TestApp, UNKNOWN_ID};

const COLLECT: &str = "/api/v1/metrics/collect";
const ANALYSIS: &str = "/api/v1/analysis";
const HISTORY: &str = "/api/v1/metrics/history";

#[sqlx::test(migrations = "../migrations")]
async fn a_collected_snapshot_is_stored_and_analyzed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let snapshot = app.post(COLLECT, json!({"target": "self"})).await.expect(200);
    assert_eq!((&snapshot["target"], &snapshot["rules"]), (&json!("self"), &json!("plant")));
    assert_eq!(snapshot["error_rate"], Value::Null, "no requests in the interval");
    assert!(snapshot["process"]["memory_bytes"].as_f64().unwrap() > 1e6);
    assert!(snapshot["database"]["connections"]["total"].as_i64().unwrap() >= 1);
    let history = app.get(HISTORY).await.expect(200);
    assert_eq!(history, json!([snapshot]));

    let analysis = app.post(ANALYSIS, json!({"snapshot_id": snapshot["id"]})).await.expect(200);
    assert_eq!(analysis["snapshot_id"], snapshot["id"]);
    let of_target = app.post(ANALYSIS, json!({"target": "self"})).await.expect(200);
    assert_ne!(of_target["snapshot_id"], snapshot["id"]);
    assert_eq!(app.get(HISTORY).await.expect(200).as_array().unwrap().len(), 2);
    let stored: i64 = sqlx::query_scalar("select count(*) from performance_analysis")
        .fetch_one(&app.owner)
        .await
        .unwrap();
    assert_eq!(stored, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn wrong_targets_and_rules_are_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in [COLLECT, ANALYSIS] {
        for target in
            ["", "Self", "127.0.0.1:9100", "ftp://a/metrics", "http://a@b/", "http://a/?b"]
        {
            let fields = app.post(path, json!({"target": target})).await.invalid_fields();
            assert_eq!(fields, ["target"], "{path} {target}");
        }
        let long = format!("http://a/{}", "x".repeat(2_000));
        assert_eq!(app.post(path, json!({"target": long})).await.invalid_fields(), ["target"]);
        for target in ["http://127.0.0.1:8001/metrics", "http://169.254.169.254/", "https://a.com/"]
        {
            let refused = app.post(path, json!({"target": target})).await.expect(403);
            assert_eq!(refused["code"], "forbidden", "{path} {target}");
        }
        let rules = json!({"target": "self", "rules": "unknown"});
        assert_eq!(app.post(path, rules).await.invalid_fields(), ["rules"]);
        app.post(path, json!({"target": 5})).await.expect(422);
    }
    assert_eq!(app.post(COLLECT, json!({})).await.invalid_fields(), [""]);
    for path in [COLLECT, ANALYSIS, "/api/v1/optimization"] {
        let unknown = json!({"target": "self", "slo_target": []});
        let refused = app.post(path, unknown).await.expect(422);
        assert!(refused.to_string().contains("unknown field `slo_target`"), "{path}: {refused}");
    }
    assert_eq!(app.get(HISTORY).await.expect(200), json!([]));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_analysis_is_of_one_known_snapshot_or_target(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post(ANALYSIS, json!({"snapshot_id": UNKNOWN_ID})).await.expect(404);
    for both in [json!({}), json!({"snapshot_id": UNKNOWN_ID, "target": "self"})] {
        assert_eq!(app.post(ANALYSIS, both).await.invalid_fields(), ["snapshot_id"]);
    }
    app.post(ANALYSIS, json!({"snapshot_id": "five"})).await.expect(422);
    let with_slo = |slo: Value| json!({"target": "self", "slo_targets": [slo]});
    for (slo, field) in [
        (json!({"metric": "luck", "target": 1}), "slo_targets[0].metric"),
        // A metric of a rule that is no objective.
        (json!({"metric": "cpu_use", "target": 1}), "slo_targets[0].metric"),
        (json!({"metric": "error_rate", "target": 0}), "slo_targets[0].target"),
        (json!({"metric": "error_rate", "target": -1}), "slo_targets[0].target"),
    ] {
        assert_eq!(app.post(ANALYSIS, with_slo(slo)).await.invalid_fields(), [field]);
    }
    assert_eq!(app.get(HISTORY).await.expect(200), json!([]), "refused before the collection");
    let many = vec![json!({"metric": "error_rate", "target": 1}); 101];
    let many = json!({"target": "self", "slo_targets": many});
    assert_eq!(app.post(ANALYSIS, many).await.invalid_fields(), ["slo_targets"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn objectives_of_a_request_replace_those_of_the_rules(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.get("/api/v1/skills").await.expect(200);
    let snapshot = snapshot_during(&app, async {
        for _ in 0..20 {
            app.get("/api/v1/skills").await.expect(200);
            app.get("/api/v1/teams").await.expect(200);
        }
    })
    .await;
    let analyze = async |targets: Value| {
        let body = json!({"snapshot_id": snapshot.id, "slo_targets": targets});
        app.post(ANALYSIS, body).await.expect(200)
    };
    let status = |analysis: &Value, name: &str| {
        let slos = analysis["slos"].as_array().unwrap();
        slos.iter().find(|slo| slo["name"] == name).unwrap()["status"].clone()
    };
    let defaults = analyze(json!([])).await;
    assert_eq!(status(&defaults, "agents_p95"), "no_data");
    let violated = analyze(json!([{"metric": "latency_p95_ms", "target": 0.000_001}])).await;
    assert_eq!(status(&violated, "p95"), "violated");
    let one_route = json!([
        {"metric": "latency_p95_ms", "target": 1e9},
        {"metric": "latency_p95_ms", "subject": "GET /api/v1/teams", "target": 0.000_001},
    ]);
    let one_route = analyze(one_route).await;
    assert_eq!(
        (status(&one_route, "p95"), status(&one_route, "p95_2")),
        ("met".into(), "violated".into())
    );
    assert_eq!(slow_routes(&one_route), ["GET /api/v1/teams"]);
    let all_others = json!([
        {"metric": "latency_p95_ms", "target": 0.000_001},
        {"metric": "latency_p95_ms", "subject": "GET /api/v1/teams", "target": 1e9},
    ]);
    assert_eq!(slow_routes(&analyze(all_others).await), ["GET /api/v1/skills"]);
}

/// Returns the routes with a P95 over its objective.
fn slow_routes(analysis: &Value) -> Vec<&Value> {
    let findings = analysis["findings"].as_array().unwrap();
    let slow = findings.iter().filter(|finding| finding["metric"] == "latency_p95_ms");
    slow.map(|finding| &finding["subject"]).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_history_is_newest_first_in_pages_and_of_some_hours(pool: PgPool) {
    let clock = Clock::fixed(DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000));
    let app = TestApp::with_clock(pool, clock.clone()).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let snapshot = app.post(COLLECT, json!({"target": "self"})).await.expect(200);
        ids.insert(0, snapshot["id"].clone());
        clock.advance(TimeDelta::hours(1));
    }
    let list = async |query: &str| {
        let response = app.get(&format!("{HISTORY}?{query}")).await;
        let link = response.header("link").map(str::to_owned);
        let ids =
            response.expect(200).as_array().unwrap().iter().map(|s| s["id"].clone()).collect();
        (Vec::from_iter::<Vec<Value>>(ids), link)
    };
    assert_eq!(list("").await, (ids.clone(), None));
    assert_eq!(list("hours=2").await.0, ids[..1]);
    assert_eq!(list("hours=3").await.0, ids[..2]);
    let (first, link) = list("limit=3").await;
    assert_eq!(first, ids[..3]);
    let link = link.unwrap();
    let next = link.split_once('?').unwrap().1.split_once('>').unwrap().0;
    assert_eq!(list(next).await, (ids[3..].to_vec(), None));
    for (query, field) in [
        ("hours=0", "hours"),
        ("hours=8785", "hours"),
        ("limit=501", "limit"),
        ("hours=x", "hours"),
    ] {
        assert_eq!(app.get(&format!("{HISTORY}?{query}")).await.invalid_fields(), [field]);
    }

    // Deleted with its analysis.
    let oldest = json!({"snapshot_id": ids[3]});
    app.post(ANALYSIS, oldest.clone()).await.expect(200);
    let retention = std::time::Duration::from_secs(4 * 3600 - 1);
    assert_eq!(delete_expired(&app.state.db, &clock, retention).await.unwrap(), 1);
    assert_eq!(delete_expired(&app.state.db, &clock, retention).await.unwrap(), 0);
    assert_eq!(list("").await.0, ids[..3]);
    app.post(ANALYSIS, oldest).await.expect(404);
}
