//! Failures, crashes, and other ends of workflows.

use super::super::comparison::Comparison;
use super::super::step::after_monitoring;
use super::super::{Status, Transition, TunableAction, apply, sql};
use super::*;
use crate::cleanup::BATCH_SIZE;
use crate::performance_agent::analysis::{Analysis, Finding};
use crate::performance_agent::delete_expired;
use crate::tunables::{Change, Rollout, Share};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use uuid::Uuid;

#[sqlx::test(migrations = "../migrations")]
async fn a_workflow_without_changes_is_completed(pool: PgPool) {
    let app = app(pool).await.with_agent(settings(&[]));
    let id = create(&app, json!({})).await;
    run(&app).await;
    let completed = expect(&app, &id, "completed", 0).await;
    assert_eq!(completed["reason"], "there is nothing to change while the service runs");
}

#[sqlx::test(migrations = "../migrations")]
async fn ended_workflows_are_deleted_after_90_days_with_their_events(pool: PgPool) {
    let app = app(pool).await;
    let open = create(&app, json!({})).await;
    run(&app).await;
    expect(&app, &open, "awaiting_approval", 0).await;
    let app = app.with_agent(settings(&[]));
    let ended = create(&app, json!({})).await;
    run(&app).await;
    expect(&app, &ended, "completed", 0).await;
    let retention = Duration::from_secs(7 * 86_400);
    let delete = async || {
        delete_expired(&app.state.db, &app.state.clock, retention).await.unwrap();
        let ids = "select distinct workflow_id::text from performance_workflow_event order by 1";
        let ids: Vec<String> = sqlx::query_scalar(ids).fetch_all(&app.owner).await.unwrap();
        ids
    };
    app.state.clock.advance(TimeDelta::days(90));
    assert_eq!(delete().await.len(), 2);
    app.state.clock.advance(TimeDelta::seconds(1));
    assert_eq!(delete().await, [&*open]);
    app.get(&format!("{LIST}/{ended}")).await.expect(404);
    expect(&app, &open, "awaiting_approval", 0).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn expired_workflows_are_deleted_in_batches_oldest_first(pool: PgPool) {
    let app = app(pool).await;
    let insert = "insert into performance_workflow (
            id, target, rules, requires_approval, auto_rollout, monitoring_seconds, health_threshold,
            status, status_since, created_by, created_at, updated_at, ended_at
        )
        select gen_random_uuid(), 'self', 'plant', true, true, 60, 80, 'completed', at, 'test', at, at, at
        from generate_series(1, $1) n
        cross join lateral (select $2::timestamptz - make_interval(days => 91, secs => n)) ended (at)";
    let count = i32::try_from(BATCH_SIZE).unwrap() + 5;
    let now = app.state.clock.now();
    sqlx::query(insert).bind(count).bind(now).execute(&app.owner).await.unwrap();
    let delete = async || {
        let retention = Duration::from_secs(7 * 86_400);
        delete_expired(&app.state.db, &app.state.clock, retention).await.unwrap()
    };
    assert_eq!(delete().await, u64::from(BATCH_SIZE));
    let oldest = "select min(ended_at) from performance_workflow";
    let oldest: DateTime<Utc> = sqlx::query_scalar(oldest).fetch_one(&app.owner).await.unwrap();
    assert_eq!(oldest, now - TimeDelta::days(91) - TimeDelta::seconds(5));
    assert_eq!([delete().await, delete().await], [5, 0]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_killed_process_is_followed_by_another(pool: PgPool) {
    let app = app(pool).await;
    let id = create(&app, json!({"requires_approval": false})).await;
    kill_worker(&app).await;
    run(&app).await;
    expect(&app, &id, "approved", 0).await;
    kill_worker(&app).await;
    monitor(&app).await;
    expect(&app, &id, "monitoring", 10).await;
    for next in [50, 100] {
        kill_worker(&app).await;
        monitor(&app).await;
        expect(&app, &id, "monitoring", next).await;
    }
    monitor(&app).await;
    expect(&app, &id, "completed", 100).await;
    assert_eq!(tunable(&app, "page_size_cap").await, (50, None));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_workflow_whose_job_dies_is_rolled_back(pool: PgPool) {
    let app = app(pool).await;
    let begun = begin(&app, json!({})).await;
    expect(&app, &begun, "monitoring", 10).await;
    let not_begun = create(&app, json!({})).await;
    kill_worker(&app).await;
    sqlx::query("update job set attempts = 5").execute(&app.owner).await.unwrap();
    assert_eq!(run(&app).await, 0);
    expect(&app, &begun, "rolled_back", 0).await;
    expect(&app, &not_begun, "failed", 0).await;
    assert_eq!(tunable(&app, "page_size_cap").await, (500, None));
    let dead: i64 = sqlx::query_scalar("select count(*) from job where state = 'dead'")
        .fetch_one(&app.owner)
        .await
        .unwrap();
    assert_eq!(dead, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_transition_from_a_former_version_has_no_effect(pool: PgPool) {
    let app = app(pool).await;
    let id = begin(&app, json!({})).await;
    let mut tx = app.state.db.begin().await.unwrap();
    let current = sql::find(&mut *tx, id.parse().unwrap()).await.unwrap().unwrap();
    let stale = Transition {
        version: current.version - 1,
        status: Status::Completed,
        action: TunableAction::Finish,
        ..Transition::of(&current)
    };
    let applied = apply(&mut tx, &app.state.tunables, &app.state.clock, &stale).await.unwrap();
    assert_eq!(applied, None);
    tx.commit().await.unwrap();
    expect(&app, &id, "monitoring", 10).await;
    assert_eq!(tunable(&app, "page_size_cap").await, (500, Some((50, 10))));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tunable_in_another_rollout_ends_the_workflow(pool: PgPool) {
    let app = app(pool).await;
    let first = begin(&app, json!({})).await;
    expect(&app, &first, "monitoring", 10).await;
    let app = app.with_agent(settings(&[("cache_ttl_seconds", 120)]));
    let second = create(&app, json!({})).await;
    run(&app).await;
    expect(&app, &second, "awaiting_approval", 0).await;
    // A rollout of another owner begins meanwhile.
    let mut tx = app.state.db.begin().await.unwrap();
    let change = Change { name: "cache_ttl_seconds", actor: "test", at: app.state.clock.now() };
    let rollout = Rollout { id: Uuid::nil(), value: 30, share: Share::Half };
    app.state.tunables.begin_rollout(&mut tx, change, rollout).await.unwrap();
    tx.commit().await.unwrap();
    decide(&app, &second, "approve").await;
    run(&app).await;
    app.state.clock.advance(TimeDelta::seconds(60));
    // Only the job of the second one.
    let delay = "update job
        set run_at = now() + case when dedupe_key = $1 then interval '1 h' else '0 s' end
        where state = 'waiting'";
    sqlx::query(delay).bind(&first).execute(&app.owner).await.unwrap();
    run_ready(&app).await;
    let failed = expect(&app, &second, "failed", 0).await;
    assert!(failed["reason"].as_str().unwrap().contains("is in the rollout"), "{failed}");
    assert_eq!(tunable(&app, "page_size_cap").await, (500, Some((50, 10))));
    assert_eq!(tunable(&app, "cache_ttl_seconds").await, (60, Some((30, 50))));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_value_that_has_changed_since_the_plan_ends_the_workflow(pool: PgPool) {
    let changes = [("cache_ttl_seconds", 120), PAGE_SIZE];
    let app = app(pool).await.with_agent(settings(&changes));
    let id = create(&app, json!({})).await;
    run(&app).await;
    let body = json!({"value": 400});
    app.put("/api/v1/admin/tunables/page_size_cap", body).await.expect(200);
    decide(&app, &id, "approve").await;
    run(&app).await;
    monitor(&app).await;
    let failed = expect(&app, &id, "failed", 0).await;
    assert!(failed["reason"].as_str().unwrap().contains("has changed since"), "{failed}");
    assert_eq!(tunable(&app, "page_size_cap").await, (400, None));
    assert_eq!(tunable(&app, "cache_ttl_seconds").await, (60, None), "all or nothing");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_target_that_does_not_answer_is_tried_for_a_while(pool: PgPool) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let settings = AgentSettings { targets: vec![url.parse().unwrap()], ..settings(&[PAGE_SIZE]) };
    let app = app(pool).await.with_agent(settings);
    let id = app.create(LIST, json!({"target": format!("{url}/metrics")})).await;
    for _ in 0..10 {
        run(&app).await;
    }
    expect(&app, &id, "collecting", 0).await;
    let attempts: i32 =
        sqlx::query_scalar("select attempts from job").fetch_one(&app.owner).await.unwrap();
    assert_eq!(attempts, 0, "an outage does not use up the attempts");
    app.state.clock.advance(TimeDelta::seconds(31));
    run(&app).await;
    let failed = expect(&app, &id, "failed", 0).await;
    assert!(failed["reason"].as_str().unwrap().contains("does not answer"), "{failed}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stage_without_requests_is_taken_back(pool: PgPool) {
    let app = app(pool).await;
    let id = create(&app, json!({"requires_approval": false})).await;
    run(&app).await;
    for _ in 0..100 {
        app.get("/api/v1/industries").await.expect(200);
    }
    monitor(&app).await;
    expect(&app, &id, "monitoring", 10).await;
    // It waits for requests, for a while.
    monitor(&app).await;
    expect(&app, &id, "monitoring", 10).await;
    app.state.clock.advance(TimeDelta::seconds(31));
    run(&app).await;
    let back = expect(&app, &id, "rolled_back", 0).await;
    assert_eq!(back["reason"], "at 10 %: too few requests to compare with those before");
    assert_eq!(tunable(&app, "page_size_cap").await, (500, None));
}

#[sqlx::test(migrations = "../migrations")]
async fn requests_that_another_process_has_counted_are_compared(pool: PgPool) {
    let app = app(pool).await;
    let id = create(&app, json!({"requires_approval": false})).await;
    run(&app).await;
    let count = async |from: u32, to: u32| {
        let text = |count: u32| {
            format!("http_requests_total{{method=\"GET\",path=\"/x\",status=\"200\"}} {count}\n")
        };
        sqlx::query(
            "insert into performance_reading (workflow_id, process, first, first_at, last, last_at)
            select id, $1, $2, status_since, $3, status_since
            from performance_workflow",
        )
        .bind(Uuid::from_u128(7))
        .bind(text(from))
        .bind(text(to))
        .execute(&app.owner)
        .await
        .unwrap();
    };
    count(50, 1050).await;
    monitor(&app).await;
    let begun = expect(&app, &id, "monitoring", 10).await;
    assert!(begun["baseline_snapshot_id"].is_string());
    count(1050, 2050).await;
    monitor(&app).await;
    expect(&app, &id, "monitoring", 50).await;
    // That process has ended.
    monitor(&app).await;
    expect(&app, &id, "monitoring", 50).await;
    app.state.clock.advance(TimeDelta::seconds(31));
    run(&app).await;
    expect(&app, &id, "rolled_back", 0).await;
    let left: i64 = sqlx::query_scalar("select count(*) from performance_reading")
        .fetch_one(&app.owner)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_canceled_workflow_has_ended_at_once(pool: PgPool) {
    let app = app(pool).await;
    let begun = begin(&app, json!({"monitoring_duration_seconds": 60})).await;
    expect(&app, &begun, "monitoring", 10).await;
    let canceled = decide(&app, &begun, "cancel").await;
    assert_eq!(canceled["reason"], "canceled by an operator");
    expect(&app, &begun, "rolled_back", 0).await;
    assert_eq!(tunable(&app, "page_size_cap").await, (500, None));
    let waiting = create(&app, json!({})).await;
    run(&app).await;
    expect(&app, &waiting, "awaiting_approval", 0).await;
    decide(&app, &waiting, "cancel").await;
    expect(&app, &waiting, "failed", 0).await;
    assert_eq!(run(&app).await, 0);
    app.post(&format!("{LIST}/{begun}/cancel"), json!({})).await.expect(409);
}

#[sqlx::test(migrations = "../migrations")]
async fn worse_is_below_the_threshold_and_below_the_score_before(pool: PgPool) {
    let app = app(pool).await;
    let id = begin(&app, json!({})).await;
    let mut connection = app.state.db.acquire().await.unwrap();
    let mut workflow = sql::find(&mut *connection, id.parse().unwrap()).await.unwrap().unwrap();
    let finding = |severity, metric: &str| Finding {
        kind: "test".into(),
        severity,
        metric: metric.into(),
        subject: None,
        value: 2.0,
        comparison: crate::performance_agent::rules::Comparison::Above,
        threshold: 1.0,
        samples: 1,
        evidence: Default::default(),
        recommendation: String::new(),
        rule: "test".into(),
    };
    let analysis = |findings| Analysis {
        id: workflow.id,
        snapshot_id: workflow.id,
        target: "self".into(),
        rules: "plant".into(),
        created_at: app.state.clock.now(),
        health_score: 0.0,
        findings,
        slos: Vec::new(),
    };
    let (low, high, critical) = (Severity::Low, Severity::High, Severity::Critical);
    let own = |severities: &[Severity]| {
        analysis(severities.iter().map(|severity| finding(*severity, "error_rate")).collect())
    };
    let of_the_database = analysis(vec![finding(critical, "running_statement_seconds")]);
    let not_worse = Comparison::NotWorse;
    for (baseline, analysis, comparison, score, status) in [
        (100.0, own(&[high, low]), &not_worse, 80.0, Status::RollingOut),
        (100.0, own(&[high, low, low]), &not_worse, 75.0, Status::RolledBack),
        (75.0, own(&[critical]), &not_worse, 75.0, Status::RollingOut),
        (70.0, own(&[critical]), &not_worse, 75.0, Status::RollingOut),
        (76.0, own(&[critical]), &not_worse, 75.0, Status::RolledBack),
        (100.0, of_the_database, &not_worse, 100.0, Status::RollingOut),
        (0.0, own(&[]), &Comparison::Worse("errors".into()), 100.0, Status::RolledBack),
        (0.0, own(&[]), &Comparison::Unknown, 100.0, Status::RolledBack),
    ] {
        workflow.baseline_score = Some(baseline);
        let transition = after_monitoring(&workflow, &analysis, comparison.clone());
        assert_eq!(transition.status, status, "{baseline} to {score}");
        assert_eq!(transition.health_score, Some(score));
    }
}
