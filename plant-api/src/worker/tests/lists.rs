//! The Redis lists of ready jobs.

use super::*;
use crate::worker::maintenance::ListDifferences;

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
    let mut differences = ListDifferences::new();
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

/// Enqueues jobs without announcing them.
async fn enqueue_silently(app: &TestApp, count: usize) {
    let mut db = app.state.db.acquire().await.unwrap();
    for _ in 0..count {
        let owner = "lotus".to_owned();
        let job = NewJob::new::<ScriptedHandler>(&app.state.clock, owner, &"one".into()).unwrap();
        jobs::enqueue(&mut db, &job).await.unwrap();
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_small_difference_is_reconciled_when_it_stays(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let (worker, queue) = (worker(&app, &ScriptedHandler::new()), &app.state.queue);
    let mut differences = ListDifferences::new();
    enqueue_silently(&app, 64).await;
    worker.maintain(0, &mut differences).await.unwrap();
    assert_eq!(queue.len(KIND.queue).await, Some(0));
    // Only every fourth tick compares.
    worker.maintain(1, &mut differences).await.unwrap();
    assert_eq!(queue.len(KIND.queue).await, Some(0));
    worker.maintain(4, &mut differences).await.unwrap();
    assert_eq!(queue.len(KIND.queue).await, Some(64));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_large_difference_is_reconciled_at_once(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let (worker, queue) = (worker(&app, &ScriptedHandler::new()), &app.state.queue);
    enqueue_silently(&app, 65).await;
    worker.maintain(0, &mut ListDifferences::new()).await.unwrap();
    assert_eq!(queue.len(KIND.queue).await, Some(65));
    // A list that is too long by more than a tenth of the ready jobs is one too.
    sqlx::query("delete from job").execute(&app.owner).await.unwrap();
    worker.maintain(0, &mut ListDifferences::new()).await.unwrap();
    assert_eq!(queue.len(KIND.queue).await, Some(0));
    enqueue_silently(&app, 1_000).await;
    worker.maintain(0, &mut ListDifferences::new()).await.unwrap();
    enqueue_silently(&app, 100).await;
    worker.maintain(0, &mut ListDifferences::new()).await.unwrap();
    assert_eq!(queue.len(KIND.queue).await, Some(1_000));
    enqueue_silently(&app, 23).await;
    worker.maintain(0, &mut ListDifferences::new()).await.unwrap();
    assert_eq!(queue.len(KIND.queue).await, Some(1_123));
}

#[sqlx::test(migrations = "../migrations")]
async fn jobs_claimed_without_a_popped_id_drop_as_many_ids(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    create_effect_table(&app).await;
    for _ in 0..5 {
        enqueue(&app, "one").await;
    }
    let queue = &app.state.queue;
    wait_until(async || queue.len(KIND.queue).await == Some(5)).await;
    let worker = worker(&app, &ScriptedHandler::new());
    // Two ids were popped by the claim that follows.
    let popped = Popped::from([(KIND.queue, 2)]);
    let claimed = worker.claim(&worker.capacity().room(), popped).await.unwrap();
    assert_eq!((claimed.len(), queue.len(KIND.queue).await), (5, Some(2)));
}

#[sqlx::test(migrations = "../migrations")]
async fn jobs_whose_ids_were_never_pushed_are_run(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    create_effect_table(&app).await;
    enqueue_silently(&app, 3).await;
    let shutdown = CancellationToken::new();
    let worker = worker(&app, &ScriptedHandler::new());
    let worker_task = tokio::spawn(worker.run(shutdown.clone(), Duration::from_secs(20)));
    wait_until(async || effects(&app).await.len() == 3).await;
    shutdown.cancel();
    worker_task.await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn ids_of_a_paused_kind_stay_in_their_list(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    create_effect_table(&app).await;
    let queue = &app.state.queue;
    let mut db = app.state.db.acquire().await.unwrap();
    jobs::paused::pause(&mut *db, KIND.name, app.state.clock.now()).await.unwrap();
    let worker = worker(&app, &ScriptedHandler::new());
    worker.maintain(0, &mut ListDifferences::new()).await.unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(worker.clone().run(shutdown.clone(), Duration::from_secs(20)));
    for _ in 0..3 {
        enqueue(&app, "one").await;
    }
    wait_until(async || queue.len(KIND.queue).await == Some(3)).await;
    // The worker still runs its maintenance, which would have restored ids that were popped.
    assert!(worker.0.lists.borrow().is_empty());
    assert_eq!((effects(&app).await.len(), queue.len(KIND.queue).await), (0, Some(3)));
    jobs::paused::resume(&mut *db, KIND.name).await.unwrap();
    wait_until(async || effects(&app).await.len() == 3).await;
    wait_until(async || queue.len(KIND.queue).await == Some(0)).await;
    wait_until(async || *worker.0.lists.borrow() == [KIND.queue]).await;
    shutdown.cancel();
    task.await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn ids_of_a_kind_without_free_slots_stay_in_their_list(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    create_effect_table(&app).await;
    let queue = &app.state.queue;
    let handler = ScriptedHandler::new();
    let worker = worker(&app, &handler);
    for _ in 0..KIND.max_concurrency {
        enqueue(&app, "wait").await;
    }
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(worker.clone().run(shutdown.clone(), Duration::from_secs(20)));
    wait_until(async || handler.running.load(Ordering::SeqCst) == KIND.max_concurrency).await;
    assert_eq!(*worker.0.full_lists.borrow(), [KIND.queue]);
    for _ in 0..3 {
        enqueue(&app, "one").await;
    }
    wait_until(async || queue.len(KIND.queue).await == Some(3)).await;
    handler.permits.add_permits(KIND.max_concurrency);
    wait_until(async || effects(&app).await.len() == KIND.max_concurrency + 3).await;
    wait_until(async || queue.len(KIND.queue).await == Some(0)).await;
    shutdown.cancel();
    task.await.unwrap();
}
