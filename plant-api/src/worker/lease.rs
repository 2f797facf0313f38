//! The leases of the jobs that this process runs.
//!
//! A job whose lease could not be renewed in time is given up: somebody else may have it by now.
//! What it would have written is refused anyway; giving up saves the work.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Worker;
use crate::jobs::{self, Job, LEASE};

/// Two renewals may fail before the lease ends.
const RENEW: Duration = Duration::from_secs(3);

/// The jobs that this process holds.
#[derive(Default)]
pub(super) struct Held(Mutex<HashMap<Uuid, Holding>>);

struct Holding {
    attempt: i32,
    renewed: Instant,
    lost: CancellationToken,
}

impl Held {
    fn all(&self) -> MutexGuard<'_, HashMap<Uuid, Holding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job was claimed; the claim began at `since`.
    pub(super) fn add(&self, job: &Job, since: Instant) {
        let holding =
            Holding { attempt: job.attempts, renewed: since, lost: CancellationToken::new() };
        if let Some(before) = self.all().insert(job.id, holding) {
            before.lost.cancel();
        }
    }

    /// Its end is settled. A later claim of the same job is another matter.
    pub(super) fn remove(&self, job: &Job) {
        let mut all = self.all();
        if all.get(&job.id).is_some_and(|holding| holding.attempt == job.attempts) {
            all.remove(&job.id);
        }
    }

    /// Returns when the job is given up.
    pub(super) async fn lost(&self, job: &Job) {
        let lost = self.all().get(&job.id).map(|holding| holding.lost.clone());
        match lost {
            Some(lost) => lost.cancelled_owned().await,
            None => std::future::pending().await,
        }
    }

    /// Gives up every job.
    pub(super) fn give_up_all(&self) {
        for holding in self.all().values() {
            holding.lost.cancel();
        }
    }

    fn ids(&self) -> Vec<Uuid> {
        self.all().keys().copied().collect()
    }

    /// Leases asked for at `since` were renewed; gives up those that have run out meanwhile.
    fn renewed(&self, ids: &[Uuid], since: Instant) -> usize {
        let mut all = self.all();
        for id in ids {
            if let Some(holding) = all.get_mut(id) {
                holding.renewed = since;
            }
        }
        let over = all.values().filter(|h| h.renewed.elapsed() > LEASE && !h.lost.is_cancelled());
        over.map(|holding| holding.lost.cancel()).count()
    }
}

impl Worker {
    /// Renews all leases now and then, until `end`.
    pub(super) async fn renew_until(self, end: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(RENEW) => {}
                () = end.cancelled() => return,
            }
            self.renew().await;
        }
    }

    async fn renew(&self) {
        let ids = self.0.held.ids();
        if ids.is_empty() {
            return;
        }
        let since = Instant::now();
        let renewed = async {
            let mut connection = self.0.db.acquire().await?;
            let name = &self.0.name;
            Ok::<_, crate::error::Error>(
                jobs::sql::renew(&mut *connection, &ids, name, LEASE).await?,
            )
        };
        let renewed = renewed.await.unwrap_or_else(|error| {
            tracing::debug!(%error, "cannot renew leases");
            Vec::new()
        });
        let lost = self.0.held.renewed(&renewed, since);
        if lost > 0 {
            tracing::warn!(lost, "leases ran out before they could be renewed");
        }
    }
}
