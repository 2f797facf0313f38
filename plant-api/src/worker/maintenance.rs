//! Periodic maintenance: makes due jobs ready, reclaims expired leases, plans scheduled jobs and
//! reconciles the Redis lists with PostgreSQL.
//!
//! Every worker does all of it. Each step is one statement that skips locked rows, or a short
//! transaction of such statements, so workers do not block each other, nor does one that stops
//! halfway.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{AnyJobHandler, Worker};
use crate::db::Db;
use crate::error::Result;
use crate::jobs::{JobKind, counts, maintenance, paused};
use crate::metrics::Metrics;

const TICK_INTERVAL: Duration = Duration::from_millis(250);
/// Leases, scheduled jobs and the Redis lists are handled every second.
const TICKS_PER_SECOND: u32 = 4;

/// Maximum number of ids that reconciling writes to a Redis list.
const MAX_LIST_IDS: i64 = 100_000;

/// Difference between the number of ready jobs and the length of each Redis list, when last
/// compared.
pub(super) type ListDifferences = HashMap<&'static str, i64>;

impl Worker {
    /// Runs maintenance every [`TICK_INTERVAL`] until shutdown.
    pub(super) async fn run_maintenance(self, shutdown: CancellationToken) {
        let mut differences = ListDifferences::new();
        for tick in 0_u32.. {
            if let Err(error) = self.maintain(tick, &mut differences).await {
                tracing::debug!(%error, "job maintenance failed; retrying in {TICK_INTERVAL:?}");
            }
            tokio::select! {
                () = tokio::time::sleep(TICK_INTERVAL) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    pub(super) async fn maintain(
        &self,
        tick: u32,
        differences: &mut ListDifferences,
    ) -> Result<()> {
        let mut ready = self.promote_due().await?;
        if tick.is_multiple_of(TICKS_PER_SECOND) {
            ready += self.reclaim_expired().await? + self.plan().await?;
            self.reconcile_lists(differences).await?;
        }
        if ready > 0 {
            self.0.jobs_ready.notify_one();
        }
        Ok(())
    }

    pub(super) async fn promote_due(&self) -> Result<u64> {
        let mut connection = self.0.db.acquire().await?;
        Ok(maintenance::promote_due(&mut *connection).await?)
    }

    /// Makes jobs with an expired lease ready again, and dead-letters those on their last attempt.
    pub(super) async fn reclaim_expired(&self) -> Result<u64> {
        const REASON: &str = "the lease expired during the last attempt";
        let mut tx = self.0.db.begin().await?;
        let reclaimed = maintenance::reclaim_expired(&mut *tx).await?;
        let kinds = self.0.handlers.iter().map(|handler| handler.kind().name.to_owned());
        let kinds: Vec<_> = kinds.collect();
        let abandoned = maintenance::dead_letter_abandoned(&mut *tx, &kinds, REASON).await?;
        for job in &abandoned {
            self.record_dead_letter(&mut tx, job, REASON).await?;
        }
        tx.commit().await?;
        for job in abandoned {
            self.0.metrics.jobs.with_label_values(&[&*job.kind, "dead"]).inc();
        }
        if reclaimed > 0 {
            tracing::info!(reclaimed, "jobs with an expired lease are ready again");
        }
        Ok(reclaimed)
    }

    pub(super) async fn plan(&self) -> Result<u64> {
        let mut enqueued = 0;
        for handler in &self.0.handlers {
            enqueued += handler.enqueue_due().await? as u64;
        }
        Ok(enqueued)
    }

    /// Rewrites the Redis lists that differ from the ready jobs. While jobs come and go the two
    /// always differ a little, so a difference counts only when it is large or did not change since
    /// the last comparison.
    async fn reconcile_lists(&self, differences: &mut ListDifferences) -> Result<()> {
        if !self.0.queue.is_up() {
            return Ok(());
        }
        let mut connection = self.0.db.acquire().await?;
        self.update_lists(&paused::list(&mut *connection).await?);
        let counts = counts::count_by_kind(&mut *connection).await?;
        for kind in self.0.handlers.iter().map(AnyJobHandler::kind) {
            let ready = counts.iter().find(|count| count.kind == kind.name).map_or(0, |c| c.ready);
            let Some(length) = self.0.queue.len(kind.queue).await else { return Ok(()) };
            let difference = ready.min(MAX_LIST_IDS) - i64::try_from(length).unwrap_or(i64::MAX);
            let previous = differences.insert(kind.queue, difference).unwrap_or(0);
            let large = difference.abs() > (ready / 10).max(64);
            if difference != 0 && (difference == previous || large) {
                let ids = counts::list_ready(&mut *connection, kind.name, MAX_LIST_IDS).await?;
                self.0.queue.reconcile(kind.queue, &ids).await;
            }
        }
        Ok(())
    }
}

impl Worker {
    /// Sets the Redis lists to pop from: those of the kinds that are not paused. The ids of paused jobs
    /// stay in their lists.
    fn update_lists(&self, paused: &[String]) {
        let kinds = self.0.handlers.iter().map(AnyJobHandler::kind);
        let lists: Vec<_> = kinds
            .filter(|kind| !paused.iter().any(|name| name == kind.name))
            .map(|kind| kind.queue)
            .collect();
        let changed = self.0.lists.send_if_modified(|current| {
            let previous = std::mem::replace(current, lists);
            *current != previous
        });
        if changed {
            self.0.jobs_ready.notify_one();
        }
    }
}

/// Updates the job gauges from PostgreSQL every second until shutdown. Runs in every process, with or
/// without a worker.
pub async fn run_gauge_updates(
    db: Db,
    metrics: Metrics,
    kinds: Vec<JobKind>,
    shutdown: CancellationToken,
) {
    // All series exist from the start, so that rates include the first event.
    for kind in &kinds {
        metrics.queue_depth.with_label_values(&[kind.queue]).set(0);
        for outcome in ["completed", "retried", "postponed", "dead", "lease_lost"] {
            metrics.jobs.with_label_values(&[kind.name, outcome]);
        }
    }
    while !shutdown.is_cancelled() {
        if let Ok(mut connection) = db.acquire().await
            && let Ok(counts) = counts::count_by_kind(&mut *connection).await
        {
            drop(connection);
            for kind in &kinds {
                let count = counts.iter().find(|count| count.kind == kind.name);
                let ready = count.map_or(0, |count| count.ready);
                metrics.queue_depth.with_label_values(&[kind.queue]).set(ready);
            }
            metrics.jobs_running.set(counts.iter().map(|count| count.running).sum());
        }
        tokio::select! {
            () = tokio::time::sleep(TICKS_PER_SECOND * TICK_INTERVAL) => {}
            () = shutdown.cancelled() => {}
        }
    }
}
