//! The stages of a rollout.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::wait_until;

const NAME: &str = "page_size_cap";

/// Returns the states of a workflow, with the stages.
async fn states(app: &TestApp, id: &str) -> Vec<(String, i64)> {
    let events = find(app, id).await["events"].take();
    let state = |event: &Value| {
        (event["status"].as_str().unwrap().to_owned(), event["stage"].as_i64().unwrap())
    };
    events.as_array().unwrap().iter().map(state).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn an_approved_workflow_goes_through_all_stages(pool: PgPool) {
    let app = app(pool).await;
    let id = create(&app, json!({})).await;
    run(&app).await;
    let waiting = expect(&app, &id, "awaiting_approval", 0).await;
    assert_eq!(waiting["health_score"], SCORE);
    let change = &waiting["changes"][0];
    let planned = (&change["tunable"], &change["from"], &change["to"]);
    assert_eq!(planned, (&json!(NAME), &json!(500), &json!(50)));
    assert!(waiting["snapshot_id"].is_string() && waiting["analysis_id"].is_string());
    assert_eq!(run(&app).await, 0, "it waits without a job");
    decide(&app, &id, "approve").await;
    run(&app).await;
    expect(&app, &id, "approved", 0).await;
    assert_eq!(tunable(&app, NAME).await, (500, None), "the time before is measured first");
    monitor(&app).await;
    for (stage, next) in [(10, 50), (50, 100)] {
        expect(&app, &id, "monitoring", stage).await;
        assert_eq!(tunable(&app, NAME).await, (500, Some((50, stage))));
        app.state.clock.advance(chrono::TimeDelta::seconds(59));
        run(&app).await;
        expect(&app, &id, "monitoring", stage).await;
        app.state.clock.advance(chrono::TimeDelta::seconds(1));
        run(&app).await;
        expect(&app, &id, "monitoring", next).await;
    }
    monitor(&app).await;
    let completed = expect(&app, &id, "completed", 100).await;
    assert_eq!(completed["baseline_score"], SCORE);
    assert_eq!(tunable(&app, NAME).await, (50, None));
    assert_eq!(run(&app).await, 0);
    let expected = [
        ("pending", 0),
        ("collecting", 0),
        ("analyzing", 0),
        ("optimizing", 0),
        ("awaiting_approval", 0),
        ("approved", 0),
        ("rolling_out", 10),
        ("monitoring", 10),
        ("rolling_out", 50),
        ("monitoring", 50),
        ("rolling_out", 100),
        ("monitoring", 100),
        ("completed", 100),
    ];
    assert_eq!(states(&app, &id).await, expected.map(|(status, stage)| (status.to_owned(), stage)));
}

#[sqlx::test(migrations = "../migrations")]
async fn without_approval_the_rollout_begins_by_itself(pool: PgPool) {
    let app = app(pool).await;
    let id = begin(&app, json!({})).await;
    expect(&app, &id, "monitoring", 10).await;
    assert!(!states(&app, &id).await.contains(&("awaiting_approval".into(), 0)));
}

#[sqlx::test(migrations = "../migrations")]
async fn without_auto_rollout_each_further_stage_is_approved(pool: PgPool) {
    let app = app(pool).await;
    let id = begin(&app, json!({"auto_rollout": false})).await;
    for (stage, next) in [(10, 50), (50, 100)] {
        expect(&app, &id, "monitoring", stage).await;
        monitor(&app).await;
        expect(&app, &id, "awaiting_approval", stage).await;
        assert_eq!(tunable(&app, NAME).await, (500, Some((50, stage))));
        decide(&app, &id, "approve").await;
        run(&app).await;
        expect(&app, &id, "monitoring", next).await;
    }
    monitor(&app).await;
    expect(&app, &id, "completed", 100).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stage_that_is_rejected_is_taken_back(pool: PgPool) {
    let app = app(pool).await;
    let id = begin(&app, json!({"auto_rollout": false})).await;
    monitor(&app).await;
    expect(&app, &id, "awaiting_approval", 10).await;
    decide(&app, &id, "reject").await;
    expect(&app, &id, "rejected", 0).await;
    assert_eq!(tunable(&app, NAME).await, (500, None));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_that_makes_requests_fail_is_taken_back(pool: PgPool) {
    let changes = [("cache_ttl_seconds", 120), ("admission_limit", 10)];
    let app = app(pool).await.with_agent(settings(&changes));
    let id = create(&app, json!({"requires_approval": false})).await;
    run(&app).await;
    expect(&app, &id, "approved", 0).await;
    // More requests than the new limit, which take long.
    app.state.metrics.requests_in_progress.add(12);
    let (stop, sent) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let client = tokio::spawn({
        let (app, stop, sent) = (app.clone(), stop.clone(), sent.clone());
        async move {
            while !stop.is_cancelled() {
                app.get("/api/v1/industries").await;
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let requests = async |count: usize| {
        let before = sent.load(Ordering::Relaxed);
        wait_until(async || sent.load(Ordering::Relaxed) >= before + count).await;
    };
    requests(400).await;
    monitor(&app).await;
    let begun = expect(&app, &id, "monitoring", 10).await;
    assert_eq!(begun["baseline_score"], SCORE - 5.0, "{begun}");
    app.state.tunables.refresh(&app.state.db).await.unwrap();
    requests(400).await;
    monitor(&app).await;
    stop.cancel();
    client.await.unwrap();
    let back = expect(&app, &id, "rolled_back", 0).await;
    let reason = back["reason"].as_str().unwrap();
    assert!(reason.starts_with("at 10 %: worse than before: all requests: "), "{reason}");
    assert!(back["health_score"].as_f64().unwrap() < 80.0);
    assert_eq!(tunable(&app, "admission_limit").await, (1_000_000, None));
    assert_eq!(tunable(&app, "cache_ttl_seconds").await, (60, None));
    app.state.tunables.refresh(&app.state.db).await.unwrap();
    app.get("/api/v1/industries").await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stage_is_monitored_when_all_processes_apply_it(pool: PgPool) {
    let app = app(pool).await;
    let id = create(&app, json!({"requires_approval": false})).await;
    let report = "insert into tunable_process values ($1, $2, now() + interval '1 hour')";
    let other = uuid::Uuid::from_u128(7);
    sqlx::query(report).bind(other).bind(0_i64).execute(&app.owner).await.unwrap();
    run(&app).await;
    monitor(&app).await;
    expect(&app, &id, "rolling_out", 10).await;
    run(&app).await;
    expect(&app, &id, "rolling_out", 10).await;
    sqlx::query("update tunable_process set version = 1").execute(&app.owner).await.unwrap();
    run(&app).await;
    expect(&app, &id, "monitoring", 10).await;
    // The next stage does not arrive in time.
    monitor(&app).await;
    expect(&app, &id, "rolling_out", 50).await;
    app.state.clock.advance(chrono::TimeDelta::seconds(31));
    run(&app).await;
    let back = expect(&app, &id, "rolled_back", 0).await;
    assert_eq!(back["reason"], "a process did not apply the new values in time");
    assert_eq!(tunable(&app, NAME).await, (500, None));
}
