//! Now and then: what waited for its time is made ready, what others have left lying is picked up,
//! what Redis should show is compared with what PostgreSQL knows, old rows are forgotten.
//!
//! Every worker does all of it. Each step is one statement that skips what others are at, or a
//! small transaction of such, so none waits for another and one that stops in the middle stops
//! nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::db::Db;
use crate::error::Result;
use crate::jobs::{Handler, Kind, census, sweep};
use crate::metrics::Metrics;

const TICK: Duration = Duration::from_millis(250);
/// In ticks: leases, planning and the lists are looked after each second, old rows each minute.
const SECOND: u32 = 4;
const MINUTE: u32 = 240;

/// Most ids that a list is mended to hold.
const SHOWN: i64 = 100_000;

/// By how much each list was off at the last look.
pub(super) type Offs = HashMap<&'static str, i64>;

impl Worker {
    /// Sweeps until `stop`.
    pub(super) async fn sweep_until(self, stop: CancellationToken) {
        let mut offs = Offs::new();
        for tick in 0_u32.. {
            if let Err(error) = self.sweep(tick, &mut offs).await {
                tracing::debug!(%error, "cannot sweep");
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    pub(super) async fn sweep(&self, tick: u32, offs: &mut Offs) -> Result<()> {
        let mut found = self.wake().await?;
        if tick.is_multiple_of(SECOND) {
            found += self.free().await? + self.plan().await?;
            self.mend(offs).await?;
        }
        if tick.is_multiple_of(MINUTE) {
            let mut connection = self.0.db.acquire().await?;
            sweep::forget(&mut *connection).await?;
        }
        if found > 0 {
            self.0.bell.notify_one();
        }
        Ok(())
    }

    pub(super) async fn wake(&self) -> Result<u64> {
        let mut connection = self.0.db.acquire().await?;
        Ok(sweep::wake(&mut *connection).await?)
    }

    /// Picks up what workers have left lying; buries it at its last attempt.
    pub(super) async fn free(&self) -> Result<u64> {
        const REASON: &str = "the worker went away at the last attempt";
        let mut tx = self.0.db.begin().await?;
        let freed = sweep::free(&mut *tx).await?;
        for job in sweep::bury_left(&mut *tx, REASON).await? {
            if let Some(handler) = self.handler(&job.kind) {
                handler.bury(&mut tx, &job, REASON).await?;
            }
            self.0.metrics.jobs.with_label_values(&[&*job.kind, "buried"]).inc();
            tracing::warn!(job = %job.id, kind = job.kind, "gave up a job that workers left lying");
        }
        tx.commit().await?;
        if freed > 0 {
            tracing::info!(freed, "picked up jobs that a worker left lying");
        }
        Ok(freed)
    }

    pub(super) async fn plan(&self) -> Result<u64> {
        let mut planned = 0;
        for handler in &self.0.handlers {
            planned += handler.plan().await? as u64;
        }
        Ok(planned)
    }

    /// Has the lists show what is ready. While jobs come and go the two never quite agree, so a
    /// difference counts when it is large, or the same as the last time.
    async fn mend(&self, offs: &mut Offs) -> Result<()> {
        if !self.0.queue.is_up() {
            return Ok(());
        }
        let mut connection = self.0.db.acquire().await?;
        let counts = census::count(&mut *connection).await?;
        for kind in self.0.handlers.iter().map(|handler| handler.kind()) {
            let ready = counts.iter().find(|count| count.kind == kind.name).map_or(0, |c| c.ready);
            let Some(shown) = self.0.queue.len(kind.queue).await else { return Ok(()) };
            let off = ready.min(SHOWN) - i64::try_from(shown).unwrap_or(i64::MAX);
            let before = offs.insert(kind.queue, off).unwrap_or(0);
            if off != 0 && (off == before || off.abs() > (ready / 10).max(64)) {
                let ids = census::ready(&mut *connection, kind.name, SHOWN).await?;
                self.0.queue.mend(kind.queue, &ids).await;
            }
        }
        Ok(())
    }
}

/// Keeps the gauges of jobs at what PostgreSQL knows, until `stop`, also where nobody works.
pub async fn watch(
    db: Db,
    metrics: Metrics,
    handlers: Vec<Arc<dyn Handler>>,
    stop: CancellationToken,
) {
    let kinds: Vec<Kind> = handlers.iter().map(|handler| handler.kind()).collect();
    for kind in &kinds {
        metrics.queue_depth.with_label_values(&[kind.queue]).set(0);
        for outcome in ["completed", "retried", "buried", "lost"] {
            metrics.jobs.with_label_values(&[kind.name, outcome]);
        }
    }
    while !stop.is_cancelled() {
        if let Ok(mut connection) = db.acquire().await
            && let Ok(counts) = census::count(&mut *connection).await
        {
            drop(connection);
            for kind in &kinds {
                let count = counts.iter().find(|count| count.kind == kind.name);
                let ready = count.map_or(0, |count| count.ready);
                metrics.queue_depth.with_label_values(&[kind.queue]).set(ready);
            }
            metrics.workers_active.set(counts.iter().map(|count| count.running).sum());
        }
        tokio::select! {
            () = tokio::time::sleep(SECOND * TICK) => {}
            () = stop.cancelled() => {}
        }
    }
}
