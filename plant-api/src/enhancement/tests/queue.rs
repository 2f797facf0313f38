//! The admin routes of the queue, and its page.

use super::*;
use crate::db::{TenantId, TenantScope};
use crate::enhancement::{job, sql};
use crate::jobs::{Job, LEASE_DURATION, sql as jobs_sql};
use crate::token::Role;

const QUEUE: &str = "/admin/queue";

/// Claims up to ten jobs.
async fn claim(app: &TestApp) -> Vec<Job> {
    let mut db = app.state.db.acquire().await.unwrap();
    let kinds = [(job::KIND.name, 10)];
    jobs_sql::claim(&mut *db, &kinds, "worker", LEASE_DURATION).await.unwrap()
}

/// Dead-letters a claimed job, as a worker does.
async fn dead_letter(app: &TestApp, job: &Job) {
    let tenant = TenantId::parse(&job.owner).unwrap();
    let mut tx = app.state.db.begin_in(TenantScope::One(&tenant)).await.unwrap();
    assert!(jobs_sql::dead_letter(&mut *tx, job, "worker", "the desk refused it").await.unwrap());
    let failed = sql::fail(&mut *tx, job, "the desk refused it", app.state.clock.now());
    assert!(failed.await.unwrap());
    tx.commit().await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn no_worker_claims_from_a_paused_queue(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_tenant(&app, "acme").await;
    let paused = app.post("/admin/queue/pause", json!({})).await.expect(200);
    assert_eq!((&paused["paused"], &paused["queue"]), (&json!(true), &json!("enhancement_queue")));
    let again = app.post("/admin/queue/pause?queue=enhancement", json!({})).await.expect(200);
    assert_eq!(again["paused_at"], paused["paused_at"]);
    accept(&app, &ticket("TKT-1")).await;
    assert!(claim(&app).await.is_empty());
    let state = app.get(QUEUE).await.expect(200);
    assert_eq!((&state["depth"], &state["paused"]), (&json!(1), &json!(true)));
    for _ in 0..2 {
        let resumed = app.post("/admin/queue/resume", json!({})).await.expect(200);
        assert_eq!((&resumed["paused"], &resumed["paused_at"]), (&json!(false), &json!(null)));
    }
    assert_eq!(claim(&app).await.len(), 1);
    for action in ["pause", "resume"] {
        let path = format!("/admin/queue/{action}?queue=payment");
        assert_eq!(app.post(&path, json!({})).await.invalid_fields(), ["queue"]);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_state_of_the_queue_counts_its_jobs(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_tenant(&app, "acme").await;
    let empty = app.get(QUEUE).await.expect(200);
    assert_eq!(empty["oldest_ready_seconds"], json!(null));
    for number in 1..=4 {
        accept(&app, &ticket(&format!("TKT-{number}"))).await;
    }
    let jobs = claim(&app).await;
    dead_letter(&app, &jobs[0]).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let delay = std::time::Duration::from_secs(60);
    jobs_sql::retry_later(&mut *db, &jobs[1], "worker", delay, "busy").await.unwrap();
    let mut done = jobs_sql::Attempts::default();
    done.push(&jobs[2]);
    jobs_sql::finish(&mut *db, &done, "worker").await.unwrap();
    accept(&app, &ticket("TKT-5")).await;
    let state = app.get(QUEUE).await.expect(200);
    for (name, value) in [
        ("depth", 1),
        ("waiting", 1),
        ("running", 1),
        ("workers", 1),
        ("dead", 1),
        ("completed_last_minute", 1),
        ("failed_last_minute", 1),
    ] {
        assert_eq!(state[name], value, "{name}: {state}");
    }
    assert!(state["oldest_ready_seconds"].as_f64().unwrap() >= 0.0);
    sqlx::query(
        "update job set finished_at = now() - interval '61 s' where finished_at is not null",
    )
    .execute(&app.owner)
    .await
    .unwrap();
    let later = app.get(QUEUE).await.expect(200);
    assert_eq!(
        (&later["completed_last_minute"], &later["failed_last_minute"], &later["dead"]),
        (&json!(0), &json!(0), &json!(1))
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_requeued_ticket_is_pending_again(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_tenant(&app, "acme").await;
    let id = accept(&app, &ticket("TKT-1")).await;
    let requeue = format!("/admin/queue/dead/{id}/requeue");
    app.post(&requeue, json!({})).await.expect(404);
    dead_letter(&app, &claim(&app).await[0]).await;
    let dead = app.get("/admin/queue/dead").await.expect(200);
    assert_eq!(dead.as_array().unwrap().len(), 1);
    for (name, value) in [
        ("job_id", json!(id)),
        ("tenant_id", json!("acme")),
        ("ticket_id", json!("TKT-1")),
        ("attempts", json!(1)),
        ("error", json!("the desk refused it")),
    ] {
        assert_eq!(dead[0][name], value);
    }
    let failed = app.get("/enhancements/TKT-1?tenant_id=acme").await.expect(200);
    assert_eq!((&failed["status"], &failed["error"]), (&json!("failed"), &dead[0]["error"]));
    let requeued = app.post(&requeue, json!({})).await.expect(200);
    assert_eq!(requeued, json!({"job_id": id, "status": "pending"}));
    let pending = app.get("/enhancements/TKT-1?tenant_id=acme").await.expect(200);
    assert_eq!(
        (&pending["status"], &pending["error"], &pending["completed_at"]),
        (&json!("pending"), &json!(null), &json!(null))
    );
    assert_eq!(app.get("/admin/queue/dead").await.expect(200), json!([]));
    app.post(&requeue, json!({})).await.expect(404);
    assert_eq!(claim(&app).await[0].attempts, 1);
    assert_eq!(app.get("/admin/queue/dead?limit=0").await.invalid_fields(), ["limit"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dead_job_of_another_kind_or_without_its_ticket_is_not_requeued(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_tenant(&app, "acme").await;
    let id = accept(&app, &ticket("TKT-1")).await;
    dead_letter(&app, &claim(&app).await[0]).await;
    let requeue = format!("/admin/queue/dead/{id}/requeue");
    let dead = async || app.get("/admin/queue").await.expect(200)["dead"].clone();
    assert_eq!(dead().await, 1);
    for (break_it, mend_it) in [
        ("update job set kind = 'payment'", "update job set kind = 'enhancement'"),
        ("delete from enhancement_history", "select 1"),
    ] {
        sqlx::raw_sql(break_it).execute(&app.owner).await.unwrap();
        app.post(&requeue, json!({})).await.expect(404);
        assert_eq!(dead().await, 0, "it is not in the list either");
        sqlx::raw_sql(mend_it).execute(&app.owner).await.unwrap();
    }
    let state: String =
        sqlx::query_scalar("select state from job").fetch_one(&app.owner).await.unwrap();
    assert_eq!(state, "dead");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_queue_is_for_administrators(pool: PgPool) {
    let app = TestApp::with_required_access(pool, Clock::System).await;
    let user = app.with_account_of("lotus", Role::User).await;
    for (client, status) in [(&app, 401), (&user, 403), (&app.with_token(ADMIN_KEY), 200)] {
        client.get(QUEUE).await.expect(status);
        client.get("/admin/queue/dead").await.expect(status);
        client.post("/admin/queue/pause", json!({})).await.expect(status);
        client.post("/admin/queue/resume", json!({})).await.expect(status);
    }
}
