//! Deletion of expired rows.
//!
//! Rows are deleted in small batches with pauses, so that locks are held only briefly and requests
//! get their share of the database. One process deletes up to 10,000 rows per second, which is more
//! than requests create.

#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;

/// Maximum number of rows that one statement deletes.
pub const BATCH_SIZE: u32 = 1_000;

/// Pause between two batches.
const PAUSE: Duration = Duration::from_millis(100);

/// Pause when no expired row is left, or after a failure.
const INTERVAL: Duration = Duration::from_secs(10);

/// Deletes expired rows until shutdown. `delete_batch` deletes up to [`BATCH_SIZE`] rows of each table
/// and returns how many, of several tables the largest number; `rows` names them in the log, such as `sessions`.
pub async fn run(
    rows: &str,
    delete_batch: impl AsyncFn(&Db, &Clock) -> Result<u64>,
    (db, clock): (Db, Clock),
    shutdown: CancellationToken,
) {
    loop {
        let pause = pause_after(rows, delete_batch(&db, &clock).await);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Returns the pause after a batch. After a full batch more rows are left.
fn pause_after(rows: &str, batch: Result<u64>) -> Duration {
    match batch {
        Ok(count) if count >= u64::from(BATCH_SIZE) => PAUSE,
        Ok(_) => INTERVAL,
        Err(error) => {
            tracing::warn!(%error, "deleting expired {rows} failed; retrying in {INTERVAL:?}");
            INTERVAL
        }
    }
}
