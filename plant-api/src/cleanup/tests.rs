use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::PgPool;

use super::*;
use crate::error::Error;
use crate::testing::{TestApp, wait_until};

#[test]
fn only_a_full_batch_is_followed_by_the_next_one_at_once() {
    let full = u64::from(BATCH_SIZE);
    let pauses = [0, full - 1, full, full + 1].map(|count| pause_after("rows", Ok(count)));
    assert_eq!(pauses, [INTERVAL, INTERVAL, PAUSE, PAUSE]);
    assert_eq!(pause_after("rows", Err(Error::database_unavailable())), INTERVAL);
}

#[test]
fn rows_are_deleted_faster_than_1000_per_second() {
    // If a batch takes half a second, it is still 1,600 rows per second.
    let seconds = PAUSE.as_secs_f64() + 0.5;
    assert!(f64::from(BATCH_SIZE) / seconds > 1_000.0);
    // A statement must not lock many rows.
    const { assert!(BATCH_SIZE <= 1_000) };
}

#[sqlx::test(migrations = "../migrations")]
async fn batches_are_deleted_until_shutdown(pool: PgPool) {
    let state = TestApp::new(pool).await.state;
    let (shutdown, calls) = (CancellationToken::new(), AtomicUsize::new(0));
    let delete_batch = async |_: &Db, _: &Clock| {
        calls.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(u64::from(BATCH_SIZE))
    };
    let handles = (state.db.clone(), state.clock.clone());
    let cleanup = run("test rows", delete_batch, handles, shutdown.clone());
    let stop = async {
        wait_until(async || calls.load(Ordering::SeqCst) == 3).await;
        shutdown.cancel();
    };
    let both = async { tokio::join!(cleanup, stop) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("goes on after shutdown");
}
