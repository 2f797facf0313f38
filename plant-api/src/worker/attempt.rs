//! One attempt at one job: within its time limit, and only while the lease is ours. A panic is a
//! failure like any other.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use serde_json::Value;

use super::Worker;
use crate::jobs::{Failure, Job};

/// An attempt that has ended.
pub(super) struct Ended {
    pub(super) job: Job,
    pub(super) outcome: Outcome,
}

/// How it has.
#[derive(Debug)]
pub(super) enum Outcome {
    /// With this to be written.
    Done(Value),
    /// Without.
    Failed(Failure),
    /// The lease was lost meanwhile, so that it is no longer ours to say.
    Lost,
}

impl Worker {
    /// Runs a job that this worker holds.
    pub(super) async fn attempt(&self, job: Job) -> Ended {
        let outcome = match self.handler(&job.kind) {
            None => Outcome::Failed(Failure::retry("this worker does not know its kind")),
            Some(handler) => {
                let limit = handler.kind().time_limit;
                let run = AssertUnwindSafe(handler.run(&job)).catch_unwind();
                tokio::select! {
                    () = self.0.held.lost(&job) => Outcome::Lost,
                    ended = tokio::time::timeout(limit, run) => match ended {
                        Ok(Ok(Ok(result))) => Outcome::Done(result),
                        Ok(Ok(Err(failure))) => Outcome::Failed(failure),
                        Ok(Err(_)) => Outcome::Failed(Failure::retry("it panicked")),
                        Err(_) => {
                            Outcome::Failed(Failure::retry(format!("it took more than {limit:?}")))
                        }
                    },
                }
            }
        };
        Ended { job, outcome }
    }
}
