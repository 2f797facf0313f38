mod capacity;
mod failures;
mod leases;
mod lists;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::capacity::Capacity;
use super::claims::Popped;
use super::{AnyJobHandler, Worker, worker_name};
use crate::cache::Scope;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::jobs::{self, Failure, Job, JobHandler, JobKind, LEASE_DURATION, MAX_ATTEMPTS, NewJob};
use crate::testing::{TestApp, wait_until};

const KIND: JobKind = JobKind {
    name: "test",
    queue: "test_queue",
    max_concurrency: 50,
    prefetches: false,
    // Longer than any wait of a test.
    timeout: Duration::from_secs(600),
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
    /// Number of rolled back transactions that wrote the result `"deadlock twice"`.
    deadlocks: AtomicUsize,
}

impl ScriptedHandler {
    fn new() -> Self {
        Self(Arc::new(Observed {
            permits: Semaphore::new(0),
            running: AtomicUsize::new(0),
            max_running: AtomicUsize::new(0),
            deadlocks: AtomicUsize::new(0),
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
            "fail with NUL" => Err(Failure::retry("scripted\0 failure")),
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
    ) -> Result<Vec<Scope>> {
        record(connection, job.id, result).await?;
        match result.as_str() {
            Some("cannot be written") => return Err(Error::Conflict("scripted failure".into())),
            Some("deadlock twice") if self.deadlocks.fetch_add(1, Ordering::SeqCst) < 2 => {
                raise(connection, "40P01").await?;
            }
            Some("deadlock") => raise(connection, "40P01").await?,
            _ => {}
        }
        Ok(Vec::new())
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
    app.state.queue.push_later(KIND.queue, job.id);
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
    Worker::with_lease(
        state.db.clone(),
        state.queue.clone(),
        state.cache.clone(),
        state.metrics.clone(),
        state.tunables.clone(),
        vec![AnyJobHandler::new(handler.clone())],
        lease,
    )
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
        vec![KIND],
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

#[sqlx::test(migrations = "../migrations")]
async fn a_kind_without_slots_is_not_claimed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    for _ in 0..KIND.max_concurrency + 1 {
        enqueue(&app, "one").await;
    }
    let worker = worker(&app, &ScriptedHandler::new());
    let mut capacity = worker.capacity();
    let room = capacity.room();
    let first = worker.claim(&room, Popped::new()).await.unwrap();
    assert_eq!(first.len(), KIND.max_concurrency);
    capacity.add(&room, first);
    assert!(worker.claim(&capacity.room(), Popped::new()).await.unwrap().is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_fills_the_slots_of_finished_jobs(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    for _ in 0..3 * KIND.max_concurrency {
        enqueue(&app, "wait").await;
    }
    let (shutdown, handler) = (CancellationToken::new(), ScriptedHandler::new());
    let worker_task =
        tokio::spawn(worker(&app, &handler).run(shutdown.clone(), Duration::from_secs(20)));
    wait_until(async || handler.running.load(Ordering::SeqCst) == KIND.max_concurrency).await;
    handler.permits.add_permits(3 * KIND.max_concurrency);
    let done = "select count(*) from job where state = 'done'";
    wait_until(async || count(&app, done).await == 3 * KIND.max_concurrency as i64).await;
    assert_eq!(handler.max_running.load(Ordering::SeqCst), KIND.max_concurrency);
    shutdown.cancel();
    worker_task.await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn scheduled_jobs_are_enqueued_by_their_handler(pool: PgPool) {
    #[derive(Clone)]
    struct ScheduledHandler(Db);

    impl JobHandler for ScheduledHandler {
        const KIND: JobKind = KIND;
        type Payload = ();
        type Output = ();

        async fn run(&self, _: &Job, (): ()) -> Result<(), Failure> {
            Ok(())
        }

        async fn enqueue_due(&self) -> Result<usize> {
            let job = NewJob {
                dedupe_key: Some("once".into()),
                ..NewJob::new::<Self>(&Clock::System, "lotus".into(), &())?
            };
            let mut connection = self.0.acquire().await?;
            Ok(usize::from(jobs::enqueue(&mut connection, &job).await?))
        }
    }

    let app = TestApp::new(pool).await;
    let handler = ScheduledHandler(app.state.db.clone());
    let worker = worker_with_lease(&app, &handler, LEASE_DURATION);
    assert_eq!([worker.plan().await.unwrap(), worker.plan().await.unwrap()], [1, 0]);
    // The defaults write nothing.
    assert_eq!(worker.run_once().await.unwrap(), 1);
    assert_eq!(states(&app).await, ["done"]);
}

#[test]
fn each_worker_has_a_name_of_its_own() {
    let names = [0; 2].map(|_| worker_name());
    assert_ne!(names[0], names[1]);
    for name in names {
        assert!(name.contains(&format!(":{}:", std::process::id())), "{name}");
    }
}
