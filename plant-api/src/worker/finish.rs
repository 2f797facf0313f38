//! Writes the outcomes of attempts, many in one transaction, because a commit costs the same for
//! one as for a hundred.
//!
//! The transaction first marks the jobs done. The statement returns which of them the worker still
//! holds, and results are written only for those.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::Worker;
use super::attempt::{FinishedAttempt, Outcome};
use crate::db::Transaction;
use crate::error::Result;
use crate::jobs::sql::Attempts;
use crate::jobs::{self, Failure, Job, MAX_ATTEMPTS};

/// Maximum number of attempts written in one transaction.
pub(super) const MAX_BATCH: usize = 256;

/// Delay before a transaction is repeated after an outage.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// Maximum number of repetitions of a transaction that was begun and rolled back by an outage.
const MAX_RETRIES: u32 = 2;

/// Values of the metric label `outcome`, in the order of the batch.
type OutcomeLabels = Vec<&'static str>;

impl Worker {
    /// Finishes attempts in batches until the channel is closed.
    pub(super) async fn run_finisher(self, mut finished: mpsc::Receiver<FinishedAttempt>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while finished.recv_many(&mut batch, MAX_BATCH).await > 0 {
            // The order in which others lock the rows of several jobs, so that they do not wait for each other.
            batch.sort_unstable_by_key(|attempt| attempt.job.id);
            self.finish_batch(&mut batch).await;
            for attempt in batch.drain(..) {
                self.0.leases.remove(&attempt.job);
            }
        }
    }

    /// Finishes a batch. Waits while the database is unavailable; a lease that expires meanwhile is
    /// detected in the transaction.
    pub(super) async fn finish_batch(&self, batch: &mut [FinishedAttempt]) {
        if let Err(error) = self.commit_with_retry(batch).await {
            tracing::debug!(%error, "finishing a batch of jobs failed; finishing them one by one");
            for attempt in batch {
                self.finish_single(attempt).await;
            }
        }
    }

    /// Finishes one attempt. An attempt whose result cannot be written has failed.
    async fn finish_single(&self, attempt: &mut FinishedAttempt) {
        let Err(error) = self.commit_with_retry(std::slice::from_ref(attempt)).await else {
            return;
        };
        let failure = Failure::retry(format!("the result cannot be written: {error}"));
        attempt.outcome = Outcome::Failed(failure);
        if let Err(error) = self.commit_with_retry(std::slice::from_ref(attempt)).await {
            tracing::error!(
                %error,
                job = %attempt.job.id,
                "a job cannot be finished; it will be retried when its lease expires"
            );
        }
    }

    /// Writes a batch. Waits while the database is unavailable, and repeats a transaction that an
    /// outage, such as a deadlock, has rolled back; but not for ever, because a statement of one
    /// handler may exceed its timeout each time.
    async fn commit_with_retry(&self, batch: &[FinishedAttempt]) -> Result<()> {
        let mut outages = 0;
        loop {
            let tx = match self.0.db.begin().await {
                Err(error) if error.is_outage() => {
                    tokio::time::sleep(RETRY_DELAY).await;
                    continue;
                }
                begun => begun?,
            };
            match self.write_batch(tx, batch).await {
                Ok(labels) => {
                    for (attempt, label) in batch.iter().zip(labels) {
                        self.0.metrics.jobs.with_label_values(&[&*attempt.job.kind, label]).inc();
                    }
                    return Ok(());
                }
                Err(error) if error.is_outage() && outages < MAX_RETRIES => {
                    outages += 1;
                    tokio::time::sleep(RETRY_DELAY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn write_batch(
        &self,
        mut tx: Transaction,
        batch: &[FinishedAttempt],
    ) -> Result<OutcomeLabels> {
        jobs::sql::set_idle_timeout(&mut *tx).await?;
        let mut done = Attempts::default();
        for attempt in batch.iter().filter(|attempt| matches!(attempt.outcome, Outcome::Done(_))) {
            done.push(&attempt.job);
        }
        let held = jobs::sql::finish(&mut *tx, &done, &self.0.name).await?;
        let held: HashSet<Uuid> = held.into_iter().collect();
        let (mut labels, mut scopes) = (Vec::with_capacity(batch.len()), Vec::new());
        for attempt in batch {
            labels.push(match &attempt.outcome {
                Outcome::LeaseLost => "lease_lost",
                Outcome::Done(_) if !held.contains(&attempt.job.id) => "lease_lost",
                Outcome::Done(result) => {
                    scopes.extend(result.persist(&mut tx, &attempt.job).await?);
                    "completed"
                }
                Outcome::Failed(failure) => self.write_failure(&mut tx, attempt, failure).await?,
            });
        }
        scopes.sort_unstable();
        scopes.dedup();
        self.0.cache.commit(tx, &scopes).await?;
        Ok(labels)
    }

    async fn write_failure(
        &self,
        connection: &mut PgConnection,
        attempt: &FinishedAttempt,
        failure: &Failure,
    ) -> Result<&'static str> {
        let (job, name) = (&attempt.job, &self.0.name);
        // PostgreSQL's `text` cannot hold NUL.
        let reason = failure.reason().replace('\0', "");
        if let Failure::Retry { after, .. } = failure
            && job.attempts < MAX_ATTEMPTS
        {
            let delay = jobs::backoff(job.attempts, jitter()).max(after.unwrap_or_default());
            let held = jobs::sql::retry_later(connection, job, name, delay, &reason).await?;
            return Ok(if held { "retried" } else { "lease_lost" });
        }
        if let Failure::Postponed { after, .. } = failure {
            let delay = after.mul_f64(1.0 + jitter() / 2.0);
            let held = jobs::sql::postpone(connection, job, name, delay, &reason).await?;
            return Ok(if held { "postponed" } else { "lease_lost" });
        }
        if !jobs::sql::dead_letter(&mut *connection, job, name, &reason).await? {
            return Ok("lease_lost");
        }
        self.record_dead_letter(connection, job, &reason).await?;
        Ok("dead")
    }

    /// Lets the handler record that a job was dead-lettered, in the same transaction.
    pub(super) async fn record_dead_letter(
        &self,
        connection: &mut PgConnection,
        job: &Job,
        reason: &str,
    ) -> Result<()> {
        if let Some(handler) = self.handler(&job.kind) {
            handler.on_dead_letter(connection, job, reason).await?;
        }
        tracing::warn!(
            job = %job.id,
            kind = job.kind,
            attempts = job.attempts,
            reason,
            "job dead-lettered; `plant-api jobs requeue` retries it"
        );
        Ok(())
    }
}

/// Returns a random number from 0 to 1, without 1.
pub(super) fn jitter() -> f64 {
    // The first two bits of this half are the same in all UUIDs.
    let random = Uuid::new_v4().as_u64_pair().1 << 2;
    (random >> 11) as f64 / (1_u64 << 53) as f64
}
