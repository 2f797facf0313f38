use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Worker;
use crate::error::{Error, Result};
use crate::jobs::{self, Failure, Handler, Job, Kind, MAX_ATTEMPTS, NewJob};
use crate::testing::TestApp;

const KIND: Kind =
    Kind { name: "test", queue: "test_queue", at_once: 50, time_limit: Duration::from_secs(20) };

/// Does what the payload says, and writes down each effect.
struct Obedient {
    /// Attempts at `"wait"` end only with a permit.
    gate: Semaphore,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Obedient {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            gate: Semaphore::new(0),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        })
    }
}

impl Handler for Obedient {
    fn kind(&self) -> Kind {
        KIND
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Value, Failure>> {
        async {
            let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            let what = job.payload::<String>()?;
            let result = match &*what {
                "wait" => {
                    self.gate.acquire().await.unwrap().forget();
                    Ok(json!("waited"))
                }
                "fail" => Err(Failure::retry("as it was told")),
                "fail once" if job.attempts == 1 => Err(Failure::retry("the first time")),
                "fail for good" => Err(Failure::Final("as it was told".into())),
                "panic" => panic!("as it was told"),
                _ => Ok(json!(what)),
            };
            self.running.fetch_sub(1, Ordering::SeqCst);
            result
        }
        .boxed()
    }

    fn keep<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        job: &'a Job,
        result: &'a Value,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            write(connection, job.id, result).await?;
            if result == "cannot be kept" {
                return Err(Error::Conflict("as it was told".into()));
            }
            Ok(())
        }
        .boxed()
    }

    fn bury<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        job: &'a Job,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        async move { write(connection, job.id, &json!(format!("buried: {reason}"))).await }.boxed()
    }
}

async fn write(connection: &mut PgConnection, id: Uuid, what: &Value) -> Result<()> {
    sqlx::query("insert into effect (job, what) values ($1, $2)")
        .bind(id)
        .bind(what)
        .execute(connection)
        .await?;
    Ok(())
}

async fn prepare(app: &TestApp) {
    for sql in ["create table effect (job uuid, what jsonb)", "grant all on effect to plant_app"] {
        sqlx::query(sql).execute(&app.owner).await.unwrap();
    }
}

async fn add(app: &TestApp, what: &str) -> Uuid {
    let mut db = app.state.db.acquire().await.unwrap();
    let job = NewJob::new(&app.state.clock, KIND, "lotus".to_owned(), &what).unwrap();
    jobs::enqueue(&mut db, &job).await.unwrap();
    app.state.queue.announce(KIND.queue, job.id);
    job.id
}

fn worker(app: &TestApp, handler: &Arc<Obedient>) -> Worker {
    let state = &app.state;
    let (db, queue, metrics) = (state.db.clone(), state.queue.clone(), state.metrics.clone());
    Worker::new(db, queue, metrics, vec![handler.clone()])
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

/// Asks until the answer is yes.
async fn until(mut answer: impl AsyncFnMut() -> bool) {
    while !answer().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&app.owner).await.unwrap()
}

fn outcome(app: &TestApp, outcome: &str) -> u64 {
    app.state.metrics.jobs.with_label_values(&[KIND.name, outcome]).get()
}

#[sqlx::test(migrations = "../migrations")]
async fn one_that_fails_does_not_spoil_the_others(pool: PgPool) {
    let app = TestApp::new(pool).await;
    prepare(&app).await;
    let good = add(&app, "one").await;
    add(&app, "cannot be kept").await;
    add(&app, "panic").await;
    let hopeless = add(&app, "fail for good").await;
    let worker = worker(&app, &Obedient::new());
    assert_eq!(worker.step().await.unwrap(), 4);
    assert_eq!(
        effects(&app).await,
        [(hopeless, json!("buried: as it was told")), (good, json!("one"))]
    );
    assert_eq!(states(&app).await, ["done", "waiting", "waiting", "dead"]);
    assert_eq!(["completed", "retried", "buried"].map(|o| outcome(&app, o)), [1, 2, 1]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_is_tried_so_often_and_then_buried(pool: PgPool) {
    let app = TestApp::new(pool).await;
    prepare(&app).await;
    let once = add(&app, "fail once").await;
    let always = add(&app, "fail").await;
    let worker = worker(&app, &Obedient::new());
    for _ in 0..2 * MAX_ATTEMPTS {
        worker.step().await.unwrap();
        sqlx::query("update job set run_at = now() where state = 'waiting'")
            .execute(&app.owner)
            .await
            .unwrap();
    }
    assert_eq!(
        effects(&app).await,
        [(always, json!("buried: as it was told")), (once, json!("fail once"))]
    );
    let attempts: Vec<i32> = sqlx::query_scalar("select attempts from job order by id")
        .fetch_all(&app.owner)
        .await
        .unwrap();
    assert_eq!(attempts, [2, MAX_ATTEMPTS]);
}

#[sqlx::test(migrations = "../migrations")]
async fn two_workers_without_redis_do_each_job_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    prepare(&app).await;
    let mut ids = Vec::new();
    for n in 0..200 {
        ids.push(add(&app, &n.to_string()).await);
    }
    let (stop, handler) = (CancellationToken::new(), Obedient::new());
    let workers = [0, 1]
        .map(|_| tokio::spawn(worker(&app, &handler).run(stop.clone(), Duration::from_secs(20))));
    until(async || count(&app, "select count(*) from job where state <> 'done'").await == 0).await;
    stop.cancel();
    for worker in workers {
        worker.await.unwrap();
    }
    let mut done: Vec<Uuid> = effects(&app).await.into_iter().map(|(job, _)| job).collect();
    done.sort_unstable();
    ids.sort_unstable();
    assert_eq!(done, ids);
    assert!(handler.most.load(Ordering::SeqCst) <= 2 * KIND.at_once);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_that_stops_finishes_what_it_has_begun(pool: PgPool) {
    let app = TestApp::new(pool).await;
    prepare(&app).await;
    add(&app, "wait").await;
    let (stop, handler) = (CancellationToken::new(), Obedient::new());
    let working = tokio::spawn(worker(&app, &handler).run(stop.clone(), Duration::from_secs(20)));
    until(async || handler.running.load(Ordering::SeqCst) == 1).await;
    stop.cancel();
    add(&app, "too late").await;
    handler.gate.add_permits(1);
    working.await.unwrap();
    assert_eq!(states(&app).await, ["done", "ready"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_not_finished_in_time_is_given_back(pool: PgPool) {
    let app = TestApp::new(pool).await;
    prepare(&app).await;
    add(&app, "wait").await;
    let (stop, handler) = (CancellationToken::new(), Obedient::new());
    let working = tokio::spawn(worker(&app, &handler).run(stop.clone(), Duration::ZERO));
    until(async || handler.running.load(Ordering::SeqCst) == 1).await;
    stop.cancel();
    working.await.unwrap();
    assert_eq!(states(&app).await, ["ready"]);
    assert_eq!(count(&app, "select attempts::bigint from job").await, 0);
    assert_eq!(effects(&app).await, []);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_attempt_that_lost_its_lease_writes_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    prepare(&app).await;
    let id = add(&app, "wait").await;
    let (stop, slow) = (CancellationToken::new(), Obedient::new());
    let working = tokio::spawn(worker(&app, &slow).run(stop.clone(), Duration::from_secs(20)));
    until(async || slow.running.load(Ordering::SeqCst) == 1).await;
    // It stops before the lease ends, so that only the other one can claim the job again.
    stop.cancel();
    sqlx::query("update job set lease_until = now() - interval '1 second'")
        .execute(&app.owner)
        .await
        .unwrap();
    let quick = Obedient::new();
    quick.gate.add_permits(1);
    assert_eq!(worker(&app, &quick).step().await.unwrap(), 1);
    slow.gate.add_permits(1);
    working.await.unwrap();
    assert_eq!(effects(&app).await, [(id, json!("waited"))]);
    assert_eq!(["completed", "lost"].map(|o| outcome(&app, o)), [1, 1]);
}

#[sqlx::test(migrations = "../migrations")]
async fn redis_shows_what_is_queued_and_is_told_again(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    prepare(&app).await;
    let queue = &app.state.queue;
    for _ in 0..5 {
        add(&app, "wait").await;
    }
    until(async || queue.len(KIND.queue).await == Some(5)).await;
    queue.mend(KIND.queue, &[]).await;
    assert_eq!(queue.len(KIND.queue).await, Some(0));
    let (stop, handler) = (CancellationToken::new(), Obedient::new());
    let worker = worker(&app, &handler);
    let mut offs = super::sweep::Offs::new();
    worker.sweep(0, &mut offs).await.unwrap();
    worker.sweep(0, &mut offs).await.unwrap();
    assert_eq!(queue.len(KIND.queue).await, Some(5));
    let working = tokio::spawn(worker.run(stop.clone(), Duration::from_secs(20)));
    until(async || handler.running.load(Ordering::SeqCst) == 5).await;
    until(async || queue.len(KIND.queue).await == Some(0)).await;
    handler.gate.add_permits(5);
    stop.cancel();
    working.await.unwrap();
    assert_eq!(effects(&app).await.len(), 5);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_gauges_say_what_there_is_to_do(pool: PgPool) {
    let app = TestApp::new(pool).await;
    prepare(&app).await;
    for _ in 0..60 {
        add(&app, "wait").await;
    }
    let handler = Obedient::new();
    let (stop, state) = (CancellationToken::new(), &app.state);
    let working = tokio::spawn(worker(&app, &handler).run(stop.clone(), Duration::from_secs(20)));
    until(async || handler.running.load(Ordering::SeqCst) == KIND.at_once).await;
    let watching = tokio::spawn(super::watch(
        state.db.clone(),
        state.metrics.clone(),
        vec![handler.clone()],
        stop.clone(),
    ));
    until(async || state.metrics.workers_active.get() == 50).await;
    let text = app.get("/metrics").await.text;
    for line in [
        "queue_depth{queue_name=\"test_queue\"} 10",
        "worker_active_count 50",
        "jobs_total{kind=\"test\",outcome=\"completed\"} 0",
    ] {
        assert!(text.contains(line), "{line} is missing from\n{text}");
    }
    handler.gate.add_permits(60);
    stop.cancel();
    working.await.unwrap();
    watching.await.unwrap();
}
