//! The ends of attempts, many in one transaction: a commit costs the same for one and for a
//! hundred.
//!
//! In it, first the jobs are marked; the answer says which were still ours, and only for those
//! anything else is written.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::Worker;
use super::attempt::{Ended, Outcome};
use crate::error::{Error, Result};
use crate::jobs::sql::Attempts;
use crate::jobs::{self, Failure, MAX_ATTEMPTS};

/// Most attempts that are settled together.
pub(super) const AT_ONCE: usize = 256;

/// Between two tries while the database is away.
const PAUSE: Duration = Duration::from_millis(250);

/// What became of attempts, in the order in which they were given.
type Verdicts = Vec<&'static str>;

impl Worker {
    /// Settles what ends, and says of which kind it was, until nothing can end any more.
    pub(super) async fn settle_until_closed(
        self,
        mut ended: mpsc::Receiver<Ended>,
        freed: mpsc::UnboundedSender<String>,
    ) {
        let mut batch = Vec::with_capacity(AT_ONCE);
        while ended.recv_many(&mut batch, AT_ONCE).await > 0 {
            self.settle(&mut batch).await;
            for end in batch.drain(..) {
                self.0.held.remove(&end.job);
                // Nobody listens any more only when the process is about to end.
                let _ = freed.send(end.job.kind);
            }
        }
    }

    /// Settles a batch, however long the database is away: a lease that ends meanwhile is noticed.
    pub(super) async fn settle(&self, batch: &mut [Ended]) {
        if let Err(error) = self.persist(batch).await {
            tracing::debug!(%error, "settling jobs one by one");
            for end in batch {
                self.settle_alone(end).await;
            }
        }
    }

    /// One attempt whose result cannot be written has failed.
    async fn settle_alone(&self, end: &mut Ended) {
        let Err(error) = self.persist(std::slice::from_ref(end)).await else { return };
        end.outcome = Outcome::Failed(Failure::retry(format!("cannot be kept: {error}")));
        if let Err(error) = self.persist(std::slice::from_ref(end)).await {
            tracing::error!(%error, job = %end.job.id, "cannot settle a job; its lease will end");
        }
    }

    /// Writes a batch, trying again as long as the database is away.
    async fn persist(&self, batch: &[Ended]) -> Result<()> {
        loop {
            match self.write(batch).await {
                Ok(verdicts) => {
                    for (end, verdict) in batch.iter().zip(verdicts) {
                        self.0.metrics.jobs.with_label_values(&[&*end.job.kind, verdict]).inc();
                    }
                    return Ok(());
                }
                Err(error) if is_outage(&error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn write(&self, batch: &[Ended]) -> Result<Verdicts> {
        let mut tx = self.0.db.begin().await?;
        jobs::sql::hurry(&mut *tx).await?;
        let mut done = Attempts::default();
        for end in batch.iter().filter(|end| matches!(end.outcome, Outcome::Done(_))) {
            done.push(&end.job);
        }
        let ours = jobs::sql::finish(&mut *tx, &done, &self.0.name).await?;
        let ours: HashSet<Uuid> = ours.into_iter().collect();
        let mut verdicts = Vec::with_capacity(batch.len());
        for end in batch {
            verdicts.push(match &end.outcome {
                Outcome::Lost => "lost",
                Outcome::Done(_) if !ours.contains(&end.job.id) => "lost",
                Outcome::Done(result) => {
                    if let Some(handler) = self.handler(&end.job.kind) {
                        handler.keep(&mut tx, &end.job, result).await?;
                    }
                    "completed"
                }
                Outcome::Failed(failure) => self.write_failure(&mut tx, end, failure).await?,
            });
        }
        tx.commit().await?;
        Ok(verdicts)
    }

    async fn write_failure(
        &self,
        connection: &mut PgConnection,
        end: &Ended,
        failure: &Failure,
    ) -> Result<&'static str> {
        let (job, name) = (&end.job, &self.0.name);
        let reason = failure.reason().replace('\0', "");
        if let Failure::Retry { after, .. } = failure
            && job.attempts < MAX_ATTEMPTS
        {
            let delay = jobs::backoff(job.attempts, jitter()).max(after.unwrap_or_default());
            let ours = jobs::sql::put_off(connection, job, name, delay, &reason).await?;
            return Ok(if ours { "retried" } else { "lost" });
        }
        if !jobs::sql::bury(&mut *connection, job, name, &reason).await? {
            return Ok("lost");
        }
        if let Some(handler) = self.handler(&job.kind) {
            handler.bury(connection, job, &reason).await?;
        }
        tracing::warn!(job = %job.id, kind = job.kind, reason, "gave up a job");
        Ok("buried")
    }
}

fn is_outage(error: &Error) -> bool {
    error.status() == axum::http::StatusCode::SERVICE_UNAVAILABLE
}

/// From 0 to 1, another each time.
fn jitter() -> f64 {
    (Uuid::new_v4().as_u64_pair().1 >> 11) as f64 / (1_u64 << 53) as f64
}
