//! Leases of the jobs that this process runs.
//!
//! A job whose lease was not renewed in time is canceled, because another worker may have claimed
//! it. Its result would be rejected anyway; canceling saves the work.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Worker;
use crate::jobs::{self, Job};

/// Renewals per duration of a lease: two can fail before it expires.
const RENEWALS_PER_LEASE: f64 = 3.3;

/// Leases by job id.
#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<Uuid, Lease>>);

struct Lease {
    attempt: i32,
    renewed_at: Instant,
    lost: CancellationToken,
}

impl Leases {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the lease of a job whose claim started at `claimed_at`.
    pub(super) fn add(&self, job: &Job, claimed_at: Instant) {
        let lease =
            Lease { attempt: job.attempts, renewed_at: claimed_at, lost: CancellationToken::new() };
        if let Some(previous) = self.lock().insert(job.id, lease) {
            previous.lost.cancel();
        }
    }

    /// Removes the lease of a finished attempt, but not that of a later attempt at the same job.
    pub(super) fn remove(&self, job: &Job) {
        let mut leases = self.lock();
        if leases.get(&job.id).is_some_and(|lease| lease.attempt == job.attempts) {
            leases.remove(&job.id);
        }
    }

    /// Waits until the job's lease is lost.
    pub(super) async fn wait_until_lost(&self, job: &Job) {
        let lost = self.lock().get(&job.id).map(|lease| lease.lost.clone());
        match lost {
            Some(lost) => lost.cancelled_owned().await,
            None => std::future::pending().await,
        }
    }

    /// Cancels all running jobs.
    pub(super) fn cancel_all(&self) {
        for lease in self.lock().values() {
            lease.lost.cancel();
        }
    }

    pub(super) fn ids(&self) -> Vec<Uuid> {
        self.lock().keys().copied().collect()
    }

    /// Records a renewal that started at `renewed_at` and cancels the jobs whose leases have
    /// expired. Returns the number of canceled jobs.
    pub(super) fn record_renewal(
        &self,
        ids: &[Uuid],
        renewed_at: Instant,
        duration: Duration,
    ) -> usize {
        let mut leases = self.lock();
        for id in ids {
            if let Some(lease) = leases.get_mut(id) {
                lease.renewed_at = renewed_at;
            }
        }
        let expired = leases
            .values()
            .filter(|lease| lease.renewed_at.elapsed() > duration && !lease.lost.is_cancelled());
        expired.map(|lease| lease.lost.cancel()).count()
    }
}

impl Worker {
    /// Renews all leases, several times per duration of a lease, until shutdown.
    pub(super) async fn run_lease_renewal(self, shutdown: CancellationToken) {
        let interval = self.0.lease_duration.div_f64(RENEWALS_PER_LEASE);
        loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = shutdown.cancelled() => return,
            }
            self.renew_leases().await;
        }
    }

    pub(super) async fn renew_leases(&self) {
        let ids = self.0.leases.ids();
        if ids.is_empty() {
            return;
        }
        let started_at = Instant::now();
        let renew = async {
            let mut connection = self.0.db.acquire().await?;
            let (name, duration) = (&self.0.name, self.0.lease_duration);
            Ok::<_, crate::error::Error>(
                jobs::sql::renew(&mut *connection, &ids, name, duration).await?,
            )
        };
        let renewed = renew.await.unwrap_or_else(|error| {
            tracing::debug!(%error, "lease renewal failed; retrying");
            Vec::new()
        });
        let lost = self.0.leases.record_renewal(&renewed, started_at, self.0.lease_duration);
        if lost > 0 {
            tracing::warn!(
                lost,
                "job leases expired before they could be renewed; the jobs were canceled here and \
                 will be retried"
            );
        }
    }
}
