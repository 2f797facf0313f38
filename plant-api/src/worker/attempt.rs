//! Runs one attempt at one job, until its timeout or until the lease is lost. A panic counts as a
//! temporary failure.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::Worker;
use super::handler::Unwritten;
use crate::jobs::{Failure, Job};

/// A finished attempt whose outcome is not yet written.
pub(super) struct FinishedAttempt {
    pub(super) job: Job,
    pub(super) outcome: Outcome,
}

/// Outcome of an attempt.
pub(super) enum Outcome {
    /// Succeeded with this result.
    Done(Box<dyn Unwritten>),
    /// Failed.
    Failed(Failure),
    /// Canceled because the lease was lost. Nothing may be written.
    LeaseLost,
}

impl Worker {
    /// Runs a job that this worker has claimed.
    pub(super) async fn attempt(&self, job: Job) -> FinishedAttempt {
        let outcome = match self.handler(&job.kind) {
            None => {
                Outcome::Failed(Failure::retry("this worker has no handler for the job's kind"))
            }
            Some(handler) => {
                let limit = handler.kind().timeout;
                let run = AssertUnwindSafe(handler.run(&job)).catch_unwind();
                tokio::select! {
                    () = self.0.leases.wait_until_lost(&job) => Outcome::LeaseLost,
                    result = tokio::time::timeout(limit, run) => match result {
                        Ok(Ok(Ok(result))) => Outcome::Done(result),
                        Ok(Ok(Err(failure))) => Outcome::Failed(failure),
                        Ok(Err(_)) => Outcome::Failed(Failure::retry("the job handler panicked")),
                        Err(_) => {
                            Outcome::Failed(Failure::retry(format!("timed out after {limit:?}")))
                        }
                    },
                }
            }
        };
        FinishedAttempt { job, outcome }
    }
}
