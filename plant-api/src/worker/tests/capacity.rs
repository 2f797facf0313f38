//! Slots of a process.

use super::*;
use crate::tunables::{Change, Defaults, Tunables};

/// Handler of a second kind, with one slot.
#[derive(Clone)]
struct SingleHandler;

impl JobHandler for SingleHandler {
    const KIND: JobKind =
        JobKind { name: "single", queue: "single_queue", max_concurrency: 1, ..KIND };
    type Payload = ();
    type Output = ();

    async fn run(&self, _: &Job, (): ()) -> Result<(), Failure> {
        Ok(())
    }
}

fn jobs_of(kind: JobKind, count: usize) -> Vec<Job> {
    let job = Job {
        id: Uuid::nil(),
        kind: kind.name.into(),
        owner: "lotus".into(),
        payload: Value::Null,
        attempts: 1,
        postponed_seconds: None,
        created_at: chrono::DateTime::UNIX_EPOCH,
    };
    vec![job; count]
}

/// A kind of which half as many jobs again are claimed as there are slots.
#[derive(Clone)]
struct PrefetchingHandler;

impl JobHandler for PrefetchingHandler {
    const KIND: JobKind = JobKind {
        name: "prefetching",
        queue: "prefetching_queue",
        max_concurrency: 8,
        prefetches: true,
        ..KIND
    };
    type Payload = ();
    type Output = ();

    async fn run(&self, _: &Job, (): ()) -> Result<(), Failure> {
        Ok(())
    }
}

/// Adds the jobs of a claim and starts those that have a slot. Returns the number of these.
fn claim(capacity: &mut Capacity, kind: JobKind, count: usize) -> usize {
    let room = capacity.room();
    capacity.add(&room, jobs_of(kind, count));
    start(capacity)
}

fn start(capacity: &mut Capacity) -> usize {
    std::iter::from_fn(|| capacity.start_next()).count()
}

#[test]
fn slots_are_counted_per_kind() {
    let handlers = [AnyJobHandler::new(ScriptedHandler::new()), AnyJobHandler::new(SingleHandler)];
    let mut capacity = Capacity::new(&handlers);
    let single = SingleHandler::KIND;
    assert_eq!(capacity.room(), [(KIND.name, 50), (single.name, 1)]);
    assert!(capacity.has_room() && !capacity.can_refill());

    assert_eq!(claim(&mut capacity, single, 1), 1);
    assert_eq!(capacity.room(), [(KIND.name, 50)]);
    // All slots of this kind are used, so no job can be claimed for them.
    assert!(capacity.has_room() && !capacity.can_refill());
    assert_eq!(claim(&mut capacity, KIND, 49), 49);
    assert_eq!(capacity.room(), [(KIND.name, 1)]);
    assert!(capacity.has_room() && !capacity.can_refill());
    assert_eq!(claim(&mut capacity, KIND, 1), 1);
    assert_eq!(capacity.room(), []);
    assert!(!capacity.has_room() && !capacity.can_refill());

    // The last claim filled all slots, so more jobs are probably ready.
    capacity.release(KIND.name);
    assert_eq!(capacity.room(), [(KIND.name, 1)]);
    assert!(capacity.has_room() && capacity.can_refill());
    // But not after a claim that found none.
    assert_eq!(claim(&mut capacity, KIND, 0), 0);
    assert!(!capacity.can_refill());
    capacity.release("unknown");
    assert_eq!(capacity.room(), [(KIND.name, 1)]);
    assert_eq!(capacity.full_lists(), [single.queue]);

    // A claim for one kind says nothing about the jobs of another that has no free slot.
    assert_eq!(claim(&mut capacity, KIND, 1), 1);
    capacity.release(single.name);
    assert_eq!(claim(&mut capacity, KIND, 0), 0);
    capacity.release(KIND.name);
    assert!(capacity.can_refill());
}

#[test]
fn jobs_are_prefetched_several_at_a_time() {
    let kind = PrefetchingHandler::KIND;
    let mut capacity = Capacity::new(&[AnyJobHandler::new(PrefetchingHandler)]);
    assert_eq!(capacity.room(), [(kind.name, 12)]);
    assert_eq!(claim(&mut capacity, kind, 12), 8);
    assert_eq!(capacity.room(), []);
    // No slot is free for the others.
    assert_eq!(start(&mut capacity), 0);

    capacity.release(kind.name);
    assert_eq!(start(&mut capacity), 1);
    assert_eq!((capacity.room(), capacity.can_refill()), (vec![], false));
    assert_eq!(capacity.full_lists(), [kind.queue]);
    capacity.release(kind.name);
    assert_eq!(start(&mut capacity), 1);
    assert_eq!((capacity.room(), capacity.can_refill()), (vec![(kind.name, 2)], true));
    assert!(capacity.full_lists().is_empty());

    let waiting = capacity.take_claimed();
    assert_eq!((waiting.len(), capacity.room()), (2, vec![(kind.name, 4)]));
    assert_eq!(start(&mut capacity), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_finisher_ends_with_its_channel(pool: PgPool) {
    let worker = worker(&TestApp::new(pool).await, &ScriptedHandler::new());
    let (finished, receiver) = mpsc::channel(1);
    drop(finished);
    let finisher = worker.run_finisher(receiver);
    tokio::time::timeout(Duration::from_secs(20), finisher).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn the_number_of_slots_follows_its_tunable(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_effect_table(&app).await;
    let handler = ScriptedHandler::new();
    let tunables = {
        let defaults = Defaults {
            cache_ttl: Duration::from_secs(60),
            topics: Vec::new(),
            page_size: 500,
            statement_timeout: Duration::from_secs(30),
            workers: vec![(KIND.name, 2)],
        };
        Tunables::new(&defaults, app.state.metrics.tunables_version.clone())
    };
    let worker = Worker::new(
        app.state.db.clone(),
        app.state.queue.clone(),
        app.state.cache.clone(),
        app.state.metrics.clone(),
        tunables.clone(),
        vec![AnyJobHandler::new(handler.clone())],
    );
    let set = async |value: i64| {
        let mut tx = app.state.db.begin().await.unwrap();
        let change = Change { name: "workers_test", actor: "operator", at: app.state.clock.now() };
        tunables.set(&mut tx, change, Some(value)).await.unwrap();
        tx.commit().await.unwrap();
        tunables.refresh(&app.state.db).await.unwrap();
    };
    let running = async |expected| {
        wait_until(async || handler.running.load(Ordering::SeqCst) == expected).await;
    };
    for _ in 0..10 {
        enqueue(&app, "wait").await;
    }
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(worker.run(shutdown.clone(), Duration::from_secs(20)));
    running(2).await;
    set(4).await;
    running(4).await;
    assert_eq!(handler.max_running.load(Ordering::SeqCst), 4);

    // Running jobs go on; further ones start when fewer than the new number run.
    set(1).await;
    handler.permits.add_permits(3);
    wait_until(async || effects(&app).await.len() == 3).await;
    running(1).await;
    handler.max_running.store(0, Ordering::SeqCst);
    for finished in 4..10 {
        handler.permits.add_permits(1);
        wait_until(async || effects(&app).await.len() == finished).await;
        running(1).await;
    }
    assert_eq!(handler.max_running.load(Ordering::SeqCst), 1);
    handler.permits.add_permits(1);
    wait_until(async || effects(&app).await.len() == 10).await;
    shutdown.cancel();
    task.await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stopping_worker_releases_the_jobs_that_it_has_prefetched(pool: PgPool) {
    #[derive(Clone)]
    struct Handler(ScriptedHandler);

    impl JobHandler for Handler {
        const KIND: JobKind = JobKind { max_concurrency: 2, prefetches: true, ..KIND };
        type Payload = String;
        type Output = Value;

        async fn run(&self, job: &Job, script: String) -> Result<Value, Failure> {
            self.0.run(job, script).await
        }
    }

    let app = TestApp::new(pool).await;
    let scripted = ScriptedHandler::new();
    let worker = worker_with_lease(&app, &Handler(scripted.clone()), LEASE_DURATION);
    for _ in 0..4 {
        enqueue(&app, "wait").await;
    }
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(worker.run(shutdown.clone(), Duration::from_secs(20)));
    wait_until(async || states(&app).await == ["running", "running", "running", "ready"]).await;
    wait_until(async || scripted.running.load(Ordering::SeqCst) == 2).await;
    shutdown.cancel();
    wait_until(async || states(&app).await == ["running", "running", "ready", "ready"]).await;
    scripted.permits.add_permits(2);
    task.await.unwrap();
    assert_eq!(states(&app).await, ["done", "done", "ready", "ready"]);
    assert_eq!(count(&app, "select sum(attempts)::bigint from job").await, 2);
    assert_eq!(scripted.max_running.load(Ordering::SeqCst), 2);
}
