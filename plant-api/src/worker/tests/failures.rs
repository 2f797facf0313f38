//! Failures of attempts, and of the transactions that write their outcomes.

use super::*;
use crate::testing::proxy::Mode;
use crate::worker::finish::jitter;

#[sqlx::test(migrations = "../migrations")]
async fn a_failed_job_does_not_affect_the_others_in_its_batch(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    let good = enqueue(&app, "one").await;
    enqueue(&app, "cannot be written").await;
    enqueue(&app, "panic").await;
    let permanent = enqueue(&app, "fail permanently").await;
    let worker = worker(&app, &ScriptedHandler::new());
    assert_eq!(worker.run_once().await.unwrap(), 4);
    assert_eq!(
        effects(&app).await,
        [(permanent, json!("dead: scripted failure")), (good, json!("one"))]
    );
    assert_eq!(states(&app).await, ["done", "waiting", "waiting", "dead"]);
    assert_eq!(["completed", "retried", "dead"].map(|o| outcome_count(&app, o)), [1, 2, 1]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_failing_job_is_dead_lettered_after_the_last_attempt(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    let once = enqueue(&app, "fail once").await;
    let always = enqueue(&app, "fail").await;
    let worker = worker(&app, &ScriptedHandler::new());
    for _ in 0..2 * MAX_ATTEMPTS {
        worker.run_once().await.unwrap();
        sqlx::query("update job set run_at = now() where state = 'waiting'")
            .execute(&app.owner)
            .await
            .unwrap();
    }
    assert_eq!(
        effects(&app).await,
        [(always, json!("dead: scripted failure")), (once, json!("fail once"))]
    );
    let attempts: Vec<i32> = sqlx::query_scalar("select attempts from job order by id")
        .fetch_all(&app.owner)
        .await
        .unwrap();
    assert_eq!(attempts, [2, MAX_ATTEMPTS]);
}

/// Sets the number of attempts so far, runs the next one and returns the seconds until a further
/// one, counted from the claim.
async fn delay_after(app: &TestApp, script: &str, attempts: i32) -> f64 {
    let id = enqueue(app, script).await;
    sqlx::query("update job set attempts = $2 where id = $1")
        .bind(id)
        .bind(attempts)
        .execute(&app.owner)
        .await
        .unwrap();
    assert_eq!(worker(app, &ScriptedHandler::new()).run_once().await.unwrap(), 1);
    sqlx::query_scalar(
        "select extract(epoch from run_at - claimed_at)::float8
        from job
        where id = $1 and state = 'waiting'",
    )
    .bind(id)
    .fetch_one(&app.owner)
    .await
    .unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_failed_attempt_is_repeated_with_exponential_backoff(pool: PgPool) {
    let app = TestApp::new(pool).await;
    // Jitter halves the delay at most; running and writing take additional time.
    for (attempts, minimum) in [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0)] {
        let delay = delay_after(&app, "fail", attempts).await;
        assert!((minimum..2.0 * minimum + 30.0).contains(&delay), "{attempts}: {delay}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_failure_can_demand_a_longer_delay(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let delay = delay_after(&app, "fail for a minute", 0).await;
    assert!((60.0..90.0).contains(&delay), "{delay}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_reason_with_nul_can_be_stored(pool: PgPool) {
    let app = TestApp::new(pool).await;
    assert!(delay_after(&app, "fail with NUL", 0).await > 0.0);
    let error: String =
        sqlx::query_scalar("select last_error from job").fetch_one(&app.owner).await.unwrap();
    assert_eq!(error, "scripted failure");
}

#[test]
fn jitter_is_spread_from_0_to_1() {
    let samples: Vec<f64> = (0..1_000).map(|_| jitter()).collect();
    let below = |limit: f64| samples.iter().filter(|sample| **sample < limit).count();
    assert_eq!((below(0.0), below(1.0)), (0, 1_000));
    assert!((300..700).contains(&below(0.5)), "{}", below(0.5));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_attempt_that_takes_too_long_is_canceled_and_repeated(pool: PgPool) {
    #[derive(Clone)]
    struct EndlessHandler;

    impl JobHandler for EndlessHandler {
        const KIND: JobKind = JobKind { timeout: Duration::from_millis(10), ..KIND };
        type Payload = String;
        type Output = ();

        async fn run(&self, _: &Job, _: String) -> Result<(), Failure> {
            std::future::pending().await
        }
    }

    let app = TestApp::new(pool).await;
    enqueue(&app, "one").await;
    let worker = worker_with_lease(&app, &EndlessHandler, LEASE_DURATION);
    let attempts = tokio::time::timeout(Duration::from_secs(30), worker.run_once()).await;
    assert_eq!(attempts.expect("no attempt timeout").unwrap(), 1);
    let error: String =
        sqlx::query_scalar("select last_error from job where state = 'waiting' and attempts = 1")
            .fetch_one(&app.owner)
            .await
            .unwrap();
    assert_eq!(error, "timed out after 10ms");
    assert_eq!(outcome_count(&app, "retried"), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_invalid_payload_is_a_permanent_failure(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    let id = enqueue(&app, "one").await;
    sqlx::query("update job set payload = '7'").execute(&app.owner).await.unwrap();
    assert_eq!(worker(&app, &ScriptedHandler::new()).run_once().await.unwrap(), 1);
    assert_eq!(states(&app).await, ["dead"]);
    let (dead, reason) = effects(&app).await.remove(0);
    assert_eq!(dead, id);
    assert!(reason.as_str().unwrap().starts_with("dead: invalid job payload"), "{reason}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_transaction_that_a_deadlock_rolled_back_is_repeated(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    let id = enqueue(&app, "deadlock twice").await;
    assert_eq!(worker(&app, &ScriptedHandler::new()).run_once().await.unwrap(), 1);
    assert_eq!(effects(&app).await, [(id, json!("deadlock twice"))]);
    assert_eq!(["completed", "retried"].map(|o| outcome_count(&app, o)), [1, 0]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_result_that_always_meets_a_deadlock_does_not_hold_up_the_worker(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    enqueue(&app, "deadlock").await;
    let worker = worker(&app, &ScriptedHandler::new());
    let attempts = tokio::time::timeout(Duration::from_secs(60), worker.run_once()).await;
    assert_eq!(attempts.expect("repeated for ever").unwrap(), 1);
    let error: String = sqlx::query_scalar("select last_error from job where state = 'waiting'")
        .fetch_one(&app.owner)
        .await
        .unwrap();
    assert!(error.starts_with("the result cannot be written: the database is unavailable"));
}

#[sqlx::test(migrations = "../migrations")]
async fn results_are_written_after_an_outage(pool: PgPool) {
    let (app, proxy) = TestApp::with_proxy(pool).await;
    create_effect_table(&app).await;
    let id = enqueue(&app, "wait").await;
    let (shutdown, handler) = (CancellationToken::new(), ScriptedHandler::new());
    let worker_task =
        tokio::spawn(worker(&app, &handler).run(shutdown.clone(), Duration::from_secs(60)));
    wait_until(async || handler.running.load(Ordering::SeqCst) == 1).await;
    proxy.set(Mode::Cut);
    handler.permits.add_permits(1);
    wait_until(async || handler.running.load(Ordering::SeqCst) == 0).await;
    // The worker goes on trying to connect, to claim and to finish.
    let waits = &app.state.metrics.db_pool_wait;
    let before = waits.get_sample_count();
    wait_until(async || waits.get_sample_count() > before + 40).await;
    assert_eq!(states(&app).await, ["running"]);
    proxy.set(Mode::Forward);
    wait_until(async || states(&app).await == ["done"]).await;
    shutdown.cancel();
    worker_task.await.unwrap();
    assert_eq!(effects(&app).await, [(id, json!("waited"))]);
    assert_eq!(count(&app, "select attempts::bigint from job").await, 1);
}
