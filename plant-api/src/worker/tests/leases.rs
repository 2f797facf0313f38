//! Leases: renewal, loss, and jobs of workers that have been killed.

use std::collections::HashMap;
use std::time::Instant;

use super::*;
use crate::worker::lease::Leases;

#[sqlx::test(migrations = "../migrations")]
async fn an_attempt_that_lost_its_lease_writes_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    let id = enqueue(&app, "wait").await;
    let (shutdown, slow) = (CancellationToken::new(), ScriptedHandler::new());
    let worker_task =
        tokio::spawn(worker(&app, &slow).run(shutdown.clone(), Duration::from_secs(20)));
    wait_until(async || slow.running.load(Ordering::SeqCst) == 1).await;
    // The first worker stops before its lease expires, so only the second one can claim the job.
    shutdown.cancel();
    sqlx::query("update job set lease_until = now() - interval '1 second'")
        .execute(&app.owner)
        .await
        .unwrap();
    let quick = ScriptedHandler::new();
    quick.permits.add_permits(1);
    assert_eq!(worker(&app, &quick).run_once().await.unwrap(), 1);
    slow.permits.add_permits(1);
    worker_task.await.unwrap();
    assert_eq!(effects(&app).await, [(id, json!("waited"))]);
    assert_eq!(["completed", "lease_lost"].map(|o| outcome_count(&app, o)), [1, 1]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_claimed_job_has_a_lease(pool: PgPool) {
    let app = TestApp::new(pool).await;
    enqueue(&app, "one").await;
    let worker = worker_with_lease(&app, &ScriptedHandler::new(), Duration::from_secs(7));
    let job = worker.claim(&worker.capacity().room(), Popped::new()).await.unwrap().remove(0);
    let leased = "select count(*) from job where lease_until = claimed_at + interval '7 s'";
    assert_eq!((count(&app, leased).await, worker.0.leases.ids()), (1, vec![job.id]));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_that_takes_longer_than_a_lease_keeps_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    let id = enqueue(&app, "wait").await;
    let (shutdown, handler) = (CancellationToken::new(), ScriptedHandler::new());
    let worker = worker_with_lease(&app, &handler, Duration::from_secs(5));
    let worker_task = tokio::spawn(worker.run(shutdown.clone(), Duration::from_secs(20)));
    let renewed = "select count(*) from job where lease_until > claimed_at + interval '5.5 s'";
    wait_until(async || count(&app, renewed).await == 1).await;
    handler.permits.add_permits(1);
    wait_until(async || states(&app).await == ["done"]).await;
    shutdown.cancel();
    worker_task.await.unwrap();
    assert_eq!(effects(&app).await, [(id, json!("waited"))]);
    assert_eq!(count(&app, "select attempts::bigint from job").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_whose_lease_was_lost_is_canceled(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    enqueue(&app, "wait").await;
    let (shutdown, handler) = (CancellationToken::new(), ScriptedHandler::new());
    let worker = worker_with_lease(&app, &handler, Duration::from_secs(1));
    let leases = worker.clone();
    let worker_task = tokio::spawn(worker.run(shutdown.clone(), Duration::from_secs(20)));
    wait_until(async || handler.running.load(Ordering::SeqCst) == 1).await;
    sqlx::query("update job set worker = 'another', lease_until = now() + interval '1 hour'")
        .execute(&app.owner)
        .await
        .unwrap();
    wait_until(async || outcome_count(&app, "lease_lost") == 1).await;
    assert_eq!(handler.running.load(Ordering::SeqCst), 0);
    wait_until(async || leases.0.leases.ids().is_empty()).await;
    assert_eq!(states(&app).await, ["running"]);
    shutdown.cancel();
    worker_task.await.unwrap();
    assert_eq!(effects(&app).await, []);
}

#[sqlx::test(migrations = "../migrations")]
async fn jobs_of_a_killed_worker_are_retried_or_dead_lettered(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    let mut ids = Vec::new();
    for attempts in [MAX_ATTEMPTS - 1, MAX_ATTEMPTS] {
        let id = enqueue(&app, "one").await;
        sqlx::query(
            "update job
            set state = 'running', attempts = $2, worker = 'killed', claimed_at = now(),
                lease_until = now() - interval '1 second'
            where id = $1",
        )
        .bind(id)
        .bind(attempts)
        .execute(&app.owner)
        .await
        .unwrap();
        ids.push(id);
    }
    let worker = worker(&app, &ScriptedHandler::new());
    // Tick 1 handles delayed jobs only.
    worker.maintain(1, &mut HashMap::new()).await.unwrap();
    assert_eq!(states(&app).await, ["running", "running"]);
    worker.maintain(4, &mut HashMap::new()).await.unwrap();
    assert_eq!(states(&app).await, ["ready", "dead"]);
    assert_eq!(worker.run_once().await.unwrap(), 1);
    assert_eq!(
        effects(&app).await,
        [
            (ids[1], json!("dead: the lease expired during the last attempt")),
            (ids[0], json!("one")),
        ]
    );
    assert_eq!(["completed", "dead"].map(|o| outcome_count(&app, o)), [1, 1]);
}

fn attempt(attempts: i32) -> Job {
    Job {
        id: Uuid::nil(),
        kind: KIND.name.into(),
        owner: "lotus".into(),
        payload: Value::Null,
        attempts,
        created_at: chrono::DateTime::UNIX_EPOCH,
        postponed_seconds: None,
    }
}

/// Returns whether the job's attempt is canceled.
async fn is_lost(leases: &Leases, job: &Job) -> bool {
    futures::poll!(std::pin::pin!(leases.wait_until_lost(job))).is_ready()
}

#[tokio::test]
async fn a_lease_is_lost_when_it_was_not_renewed_in_time() {
    let (leases, job) = (Leases::default(), attempt(1));
    let claimed_at = Instant::now() - LEASE_DURATION;
    leases.add(&job, claimed_at);
    assert!(!is_lost(&leases, &job).await);
    // A renewal counts from its start.
    let expired = leases.record_renewal(&[job.id], Instant::now(), LEASE_DURATION);
    assert_eq!((expired, is_lost(&leases, &job).await), (0, false));
    let expired = leases.record_renewal(&[job.id], claimed_at, LEASE_DURATION);
    assert_eq!((expired, is_lost(&leases, &job).await), (1, true));
    // It is reported once.
    assert_eq!(leases.record_renewal(&[], Instant::now(), LEASE_DURATION), 0);
    leases.remove(&job);
    assert_eq!((leases.ids(), is_lost(&leases, &job).await), (vec![], false));
}

#[tokio::test]
async fn a_new_attempt_cancels_the_earlier_one_and_keeps_its_lease() {
    let (leases, first, second) = (Leases::default(), attempt(1), attempt(2));
    leases.add(&first, Instant::now());
    let mut first_lost = std::pin::pin!(leases.wait_until_lost(&first));
    assert!(futures::poll!(&mut first_lost).is_pending());
    leases.add(&second, Instant::now());
    assert!(futures::poll!(&mut first_lost).is_ready());
    leases.remove(&first);
    assert_eq!((leases.ids(), is_lost(&leases, &second).await), (vec![second.id], false));
    leases.cancel_all();
    assert!(is_lost(&leases, &second).await);
}
