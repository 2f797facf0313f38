use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Handler, Worker};
use crate::error::{Error, Result};
use crate::jobs::{self, Failure, Job, JobHandler, JobKind, LEASE_DURATION, MAX_ATTEMPTS, NewJob};
use crate::testing::{TestApp, wait_until};

const KIND: JobKind = JobKind {
    name: "test",
    queue: "test_queue",
    max_concurrency: 50,
    timeout: Duration::from_secs(20),
};

/// Handler that behaves as the payload specifies and records each effect. Clones share the state.
#[derive(Clone)]
struct ScriptedHandler(Arc<Observed>);

/// State of a [`ScriptedHandler`].
struct Observed {
    /// An attempt with payload `"wait"` finishes when it acquires a permit.
    permits: Semaphore,
    running: AtomicUsize,
    max_running: AtomicUsize,
    /// Whether an attempt with result `"deadlock once"` has been rolled back.
    deadlocked: AtomicBool,
}

impl ScriptedHandler {
    fn new() -> Self {
        Self(Arc::new(Observed {
            permits: Semaphore::new(0),
            running: AtomicUsize::new(0),
            max_running: AtomicUsize::new(0),
            deadlocked: AtomicBool::new(false),
        }))
    }
}

impl Deref for ScriptedHandler {
    type Target = Observed;

    fn deref(&self) -> &Observed {
        &self.0
    }
}

/// Counts an attempt as running until dropped, also when it is canceled.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl JobHandler for ScriptedHandler {
    const KIND: JobKind = KIND;
    type Payload = String;
    type Output = Value;

    async fn run(&self, job: &Job, script: String) -> Result<Value, Failure> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _running = Running(&self.running);
        self.max_running.fetch_max(running, Ordering::SeqCst);
        match &*script {
            "wait" => {
                self.permits.acquire().await.unwrap().forget();
                Ok(json!("waited"))
            }
            "fail" => Err(Failure::retry("scripted failure")),
            "fail once" if job.attempts == 1 => {
                Err(Failure::retry("scripted failure of attempt 1"))
            }
            "fail for a minute" => Err(Failure::Retry {
                reason: "overloaded".into(),
                after: Some(Duration::from_secs(60)),
            }),
            "fail permanently" => Err(Failure::Permanent("scripted failure".into())),
            "panic" => panic!("scripted failure"),
            _ => Ok(json!(script)),
        }
    }

    async fn persist(
        &self,
        connection: &mut PgConnection,
        job: &Job,
        result: &Value,
    ) -> Result<()> {
        record(connection, job.id, result).await?;
        match result.as_str() {
            Some("cannot be written") => Err(Error::Conflict("scripted failure".into())),
            Some("deadlock once") if !self.deadlocked.swap(true, Ordering::SeqCst) => {
                raise(connection, "40P01").await
            }
            Some("deadlock") => raise(connection, "40P01").await,
            _ => Ok(()),
        }
    }

    async fn on_dead_letter(
        &self,
        connection: &mut PgConnection,
        job: &Job,
        reason: &str,
    ) -> Result<()> {
        record(connection, job.id, &json!(format!("dead: {reason}"))).await
    }
}

/// Fails with this SQLSTATE.
async fn raise(connection: &mut PgConnection, code: &str) -> Result<()> {
    let sql = format!("do $$ begin raise exception 'scripted' using errcode = '{code}'; end $$");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

async fn record(connection: &mut PgConnection, id: Uuid, effect: &Value) -> Result<()> {
    sqlx::query("insert into effect (job, what) values ($1, $2)")
        .bind(id)
        .bind(effect)
        .execute(connection)
        .await?;
    Ok(())
}

async fn create_effect_table(app: &TestApp) {
    for sql in ["create table effect (job uuid, what jsonb)", "grant all on effect to plant_app"] {
        sqlx::query(sql).execute(&app.owner).await.unwrap();
    }
}

async fn enqueue(app: &TestApp, script: &str) -> Uuid {
    let mut db = app.state.db.acquire().await.unwrap();
    let job =
        NewJob::new::<ScriptedHandler>(&app.state.clock, "lotus".into(), &script.into()).unwrap();
    jobs::enqueue(&mut db, &job).await.unwrap();
    app.state.queue.announce(KIND.queue, job.id);
    job.id
}

fn worker(app: &TestApp, handler: &ScriptedHandler) -> Worker {
    worker_with_lease(app, handler, LEASE_DURATION)
}

fn worker_with_lease(
    app: &TestApp,
    handler: &(impl JobHandler + Clone),
    lease: Duration,
) -> Worker {
    let state = &app.state;
    let (db, queue, metrics) = (state.db.clone(), state.queue.clone(), state.metrics.clone());
    Worker::with_lease(db, queue, metrics, vec![Handler::new(handler.clone())], lease)
}

async fn effects(app: &TestApp) -> Vec<(Uuid, Value)> {
    sqlx::query_as("select job, what from effect order by what::text, job")
        .fetch_all(&app.owner)
        .await
        .unwrap()
}

async fn states(app: &TestApp) -> Vec<String> {
    sqlx::query_scalar("select state from job order by id").fetch_all(&app.owner).await.unwrap()
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&app.owner).await.unwrap()
}

fn outcome_count(app: &TestApp, outcome: &str) -> u64 {
    app.state.metrics.jobs.with_label_values(&[KIND.name, outcome]).get()
}

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

#[sqlx::test(migrations = "../migrations")]
async fn two_workers_without_redis_run_each_job_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    let mut ids = Vec::new();
    for n in 0..200 {
        ids.push(enqueue(&app, &n.to_string()).await);
    }
    let (shutdown, handler) = (CancellationToken::new(), ScriptedHandler::new());
    let workers = [0, 1].map(|_| {
        tokio::spawn(worker(&app, &handler).run(shutdown.clone(), Duration::from_secs(20)))
    });
    wait_until(async || count(&app, "select count(*) from job where state <> 'done'").await == 0)
        .await;
    shutdown.cancel();
    for worker in workers {
        worker.await.unwrap();
    }
    let mut done: Vec<Uuid> = effects(&app).await.into_iter().map(|(job, _)| job).collect();
    done.sort_unstable();
    ids.sort_unstable();
    assert_eq!(done, ids);
    assert!(handler.max_running.load(Ordering::SeqCst) <= 2 * KIND.max_concurrency);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stopping_worker_finishes_its_running_jobs(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    enqueue(&app, "wait").await;
    let (shutdown, handler) = (CancellationToken::new(), ScriptedHandler::new());
    let worker_task =
        tokio::spawn(worker(&app, &handler).run(shutdown.clone(), Duration::from_secs(20)));
    wait_until(async || handler.running.load(Ordering::SeqCst) == 1).await;
    shutdown.cancel();
    enqueue(&app, "after stop").await;
    handler.permits.add_permits(1);
    worker_task.await.unwrap();
    assert_eq!(states(&app).await, ["done", "ready"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn jobs_that_do_not_finish_before_the_drain_timeout_are_released(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    enqueue(&app, "wait").await;
    let (shutdown, handler) = (CancellationToken::new(), ScriptedHandler::new());
    let worker_task = tokio::spawn(worker(&app, &handler).run(shutdown.clone(), Duration::ZERO));
    wait_until(async || handler.running.load(Ordering::SeqCst) == 1).await;
    shutdown.cancel();
    worker_task.await.unwrap();
    assert_eq!(states(&app).await, ["ready"]);
    assert_eq!(count(&app, "select attempts::bigint from job").await, 0);
    assert_eq!(effects(&app).await, []);
}

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
async fn redis_lists_hold_the_ready_jobs_and_are_reconciled(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    create_effect_table(&app).await;
    let queue = &app.state.queue;
    for _ in 0..5 {
        enqueue(&app, "wait").await;
    }
    wait_until(async || queue.len(KIND.queue).await == Some(5)).await;
    queue.reconcile(KIND.queue, &[]).await;
    assert_eq!(queue.len(KIND.queue).await, Some(0));
    let (shutdown, handler) = (CancellationToken::new(), ScriptedHandler::new());
    let worker = worker(&app, &handler);
    let mut differences = super::maintenance::ListDifferences::new();
    worker.maintain(0, &mut differences).await.unwrap();
    worker.maintain(0, &mut differences).await.unwrap();
    assert_eq!(queue.len(KIND.queue).await, Some(5));
    let worker_task = tokio::spawn(worker.run(shutdown.clone(), Duration::from_secs(20)));
    wait_until(async || handler.running.load(Ordering::SeqCst) == 5).await;
    wait_until(async || queue.len(KIND.queue).await == Some(0)).await;
    handler.permits.add_permits(5);
    shutdown.cancel();
    worker_task.await.unwrap();
    assert_eq!(effects(&app).await.len(), 5);
}

#[sqlx::test(migrations = "../migrations")]
async fn gauges_show_ready_and_running_jobs(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    for _ in 0..60 {
        enqueue(&app, "wait").await;
    }
    let handler = ScriptedHandler::new();
    let (shutdown, state) = (CancellationToken::new(), &app.state);
    let worker_task =
        tokio::spawn(worker(&app, &handler).run(shutdown.clone(), Duration::from_secs(20)));
    wait_until(async || handler.running.load(Ordering::SeqCst) == KIND.max_concurrency).await;
    let gauges = tokio::spawn(super::run_gauge_updates(
        state.db.clone(),
        state.metrics.clone(),
        vec![Handler::new(handler.clone())],
        shutdown.clone(),
    ));
    wait_until(async || state.metrics.jobs_running.get() == 50).await;
    let text = app.get("/metrics").await.text;
    for line in [
        "queue_depth{queue_name=\"test_queue\"} 10",
        "worker_active_count 50",
        "jobs_total{kind=\"test\",outcome=\"completed\"} 0",
    ] {
        assert!(text.contains(line), "{line} is missing from\n{text}");
    }
    handler.permits.add_permits(60);
    shutdown.cancel();
    worker_task.await.unwrap();
    gauges.await.unwrap();
}
