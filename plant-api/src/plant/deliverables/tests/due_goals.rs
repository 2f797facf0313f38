//! Each enabled goal yields one draft per period, however often and by however many replicas due
//! jobs are enqueued.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::testing::{INSTANT_MODEL, TestApp, simulations, wait_until};

/// Starts the service with its clock fixed at noon on a Wednesday.
async fn app_at_noon(pool: PgPool) -> TestApp {
    TestApp::with_clock(pool, Clock::fixed("2026-01-14T12:00:00Z".parse().unwrap())).await
}

async fn create_goal(app: &TestApp, hire: &str, schedule: &str) -> String {
    let goal = json!({
        "title": "Publish", "description": "An article", "schedule": schedule,
        "settings": {"words": 800},
    });
    app.create(&format!("/api/v1/agents/{hire}/goals"), goal).await
}

async fn drafts(app: &TestApp, hire: &str) -> Vec<Value> {
    let list = app.get(&format!("/api/v1/agents/{hire}/deliverables")).await.expect(200);
    list.as_array().unwrap().clone()
}

async fn periods(app: &TestApp, hire: &str) -> Vec<String> {
    let drafts = drafts(app, hire).await;
    let mut periods: Vec<_> =
        drafts.iter().map(|draft| draft["period"].as_str().unwrap().to_owned()).collect();
    periods.sort_unstable();
    periods
}

#[sqlx::test(migrations = "../migrations")]
async fn a_due_goal_yields_a_draft_pending_review(pool: PgPool) {
    let app = app_at_noon(pool).await;
    let hire = app.create_hire("lotus").await.id;
    let goal = create_goal(&app, &hire, "weekly").await;
    app.drain_jobs().await;
    let drafts = drafts(&app, &hire).await;
    assert_eq!(drafts.len(), 1);
    assert_eq!(drafts[0]["goal_id"], goal);
    assert_eq!(drafts[0]["title"], "Publish (weekly:2026-W03)");
    assert_eq!(drafts[0]["review_status"], "pending_review");
    assert_eq!(drafts[0]["execution_status"], "not_executed");
    assert_eq!(
        drafts[0]["payload"],
        json!({
            "draft": true, "period": "weekly:2026-W03", "description": "An article",
            "settings": {"words": 800},
        })
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_goal_yields_one_draft_per_period(pool: PgPool) {
    let app = app_at_noon(pool).await;
    let hire = app.create_hire("lotus").await.id;
    for schedule in ["daily", "weekly", "monthly", "on_demand"] {
        create_goal(&app, &hire, schedule).await;
    }
    for _ in 0..2 {
        app.drain_jobs().await;
    }
    let first = ["daily:2026-01-14", "monthly:2026-01", "weekly:2026-W03"];
    assert_eq!(periods(&app, &hire).await, first);
    app.state.clock.advance(TimeDelta::hours(12));
    app.drain_jobs().await;
    assert_eq!(periods(&app, &hire).await.len(), 4);
    app.state.clock.advance(TimeDelta::days(5));
    app.drain_jobs().await;
    assert_eq!(
        periods(&app, &hire).await,
        [
            "daily:2026-01-14",
            "daily:2026-01-15",
            "daily:2026-01-20",
            "monthly:2026-01",
            "weekly:2026-W03",
            "weekly:2026-W04",
        ]
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_disabled_goal_yields_no_draft_until_it_is_enabled(pool: PgPool) {
    let app = app_at_noon(pool).await;
    let hire = app.create_hire("lotus").await.id;
    let path = format!("/api/v1/agents/{hire}/goals/{}", create_goal(&app, &hire, "daily").await);
    app.patch(&path, json!({"enabled": false})).await.expect(200);
    app.drain_jobs().await;
    assert_eq!(periods(&app, &hire).await, Vec::<String>::new());
    for enabled in [true, false, true] {
        app.patch(&path, json!({"enabled": enabled})).await.expect(200);
        app.drain_jobs().await;
    }
    assert_eq!(periods(&app, &hire).await, ["daily:2026-01-14"]);
    app.patch(&path, json!({"schedule": "monthly"})).await.expect(200);
    app.drain_jobs().await;
    assert_eq!(periods(&app, &hire).await, ["daily:2026-01-14", "monthly:2026-01"]);
}

/// Enqueues the jobs of due goals; returns how many.
async fn enqueue_due(app: &TestApp) -> usize {
    let handlers = crate::app::handlers(&app.state, &simulations(INSTANT_MODEL));
    let handler = handlers.iter().find(|handler| handler.kind().name == "due_goal").unwrap();
    handler.enqueue_due().await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_goal_that_was_disabled_when_its_job_ran_yields_a_draft_once_it_is_enabled(pool: PgPool) {
    let app = app_at_noon(pool).await;
    let hire = app.create_hire("lotus").await.id;
    let path = format!("/api/v1/agents/{hire}/goals/{}", create_goal(&app, &hire, "daily").await);
    assert_eq!(enqueue_due(&app).await, 1);
    app.patch(&path, json!({"enabled": false})).await.expect(200);
    app.drain_jobs().await;
    assert_eq!(periods(&app, &hire).await, Vec::<String>::new());
    app.patch(&path, json!({"enabled": true})).await.expect(200);
    app.drain_jobs().await;
    assert_eq!(periods(&app, &hire).await, ["daily:2026-01-14"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_deleted_goal_yields_no_draft(pool: PgPool) {
    let app = app_at_noon(pool).await;
    let hire = app.create_hire("lotus").await.id;
    let goal = create_goal(&app, &hire, "daily").await;
    assert_eq!(enqueue_due(&app).await, 1);
    app.delete(&format!("/api/v1/agents/{hire}/goals/{goal}")).await.expect(204);
    app.drain_jobs().await;
    assert_eq!(drafts(&app, &hire).await, Vec::<Value>::new());
    let states: Vec<String> =
        sqlx::query_scalar("select state from job").fetch_all(&app.owner).await.unwrap();
    assert_eq!(states, ["done"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_unique_constraint_prevents_a_second_draft(pool: PgPool) {
    let app = app_at_noon(pool).await;
    let hire = app.create_hire("lotus").await.id;
    create_goal(&app, &hire, "daily").await;
    app.drain_jobs().await;
    for sql in ["delete from job", "update goal set due_at = '-infinity'"] {
        sqlx::query(sql).execute(&app.owner).await.unwrap();
    }
    app.drain_jobs().await;
    let jobs: i64 =
        sqlx::query_scalar("select count(*) from job").fetch_one(&app.owner).await.unwrap();
    assert_eq!((jobs, periods(&app, &hire).await.len()), (1, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn replicas_enqueueing_concurrently_create_one_draft_per_goal(pool: PgPool) {
    let app = app_at_noon(pool).await;
    let hire = app.create_hire("lotus").await.id;
    for _ in 0..100 {
        create_goal(&app, &hire, "daily").await;
    }
    let shutdown = CancellationToken::new();
    let replicas = [0; 3].map(|_| {
        let worker = crate::app::worker(&app.state, &simulations(INSTANT_MODEL));
        tokio::spawn(worker.run(shutdown.clone(), Duration::from_secs(20)))
    });
    let count_done = "select count(*) from job where state = 'done'";
    wait_until(async || {
        sqlx::query_scalar::<_, i64>(count_done).fetch_one(&app.owner).await.unwrap() == 100
    })
    .await;
    shutdown.cancel();
    for replica in replicas {
        replica.await.unwrap();
    }
    let goals: i64 = sqlx::query_scalar("select count(distinct goal_id) from deliverable")
        .fetch_one(&app.owner)
        .await
        .unwrap();
    let jobs: i64 =
        sqlx::query_scalar("select count(*) from job").fetch_one(&app.owner).await.unwrap();
    assert_eq!((goals, periods(&app, &hire).await.len(), jobs), (100, 100, 100));
}
