//! Claims jobs and starts each when a slot of its kind is free.
//!
//! A claim starts when an id is popped from a Redis list, when slots become free while more jobs are
//! probably ready, and at every poll, so that the worker works without Redis. It runs beside the loop:
//! meanwhile freed slots get the jobs that were prefetched.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::attempt::FinishedAttempt;
use super::capacity::{Capacity, Room};
use super::handler::AnyJobHandler;
use crate::error::Result;
use crate::jobs::{self, Job};

/// Interval at which a worker polls for jobs while Redis is unavailable.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// While Redis is connected, which wakes workers for new jobs, only every fifth interval polls.
const INTERVALS_PER_POLL_WITH_REDIS: u32 = 5;

/// Numbers of ids popped from the Redis lists, by list.
pub(super) type Popped = HashMap<&'static str, usize>;

impl Worker {
    /// Claims and runs jobs until shutdown. Then waits for a claim in progress, at most for
    /// `drain_timeout`, and makes the jobs ready again that have not started.
    pub(super) async fn run_claims(
        &self,
        mut popped_lists: mpsc::Receiver<&'static str>,
        finished: mpsc::Sender<FinishedAttempt>,
        shutdown: &CancellationToken,
        drain_timeout: Duration,
    ) {
        let (freed_sender, mut freed) = mpsc::unbounded_channel::<String>();
        let mut tunables = self.0.tunables.in_force();
        let mut capacity = self.capacity();
        let mut poll = tokio::time::interval(POLL_INTERVAL);
        let mut intervals = 0_u32;
        let mut popped = Popped::new();
        // One at most.
        let mut claims = FuturesUnordered::new();
        // Whether another claim is to follow the one in progress.
        let mut is_requested = false;
        loop {
            self.announce_full_lists(&capacity);
            tokio::select! {
                Some(list) = popped_lists.recv(), if claims.is_empty() && capacity.has_room() => {
                    *popped.entry(list).or_default() += 1;
                    is_requested = true;
                }
                Some((room, jobs)) = claims.next() => capacity.add(&room, jobs),
                Some(kind) = freed.recv() => {
                    capacity.release(&kind);
                    while let Ok(kind) = freed.try_recv() {
                        capacity.release(&kind);
                    }
                }
                () = self.0.jobs_ready.notified() => is_requested = true,
                Ok(()) = tunables.changed() => capacity.resize(&tunables.borrow_and_update()),
                _ = poll.tick() => {
                    intervals = intervals.wrapping_add(1);
                    is_requested |= !self.0.queue.is_up()
                        || intervals.is_multiple_of(INTERVALS_PER_POLL_WITH_REDIS);
                }
                () = shutdown.cancelled() => break,
            }
            while let Some(job) = capacity.start_next() {
                self.spawn_attempt(job, &finished, &freed_sender);
            }
            if claims.is_empty() && (is_requested || capacity.can_refill()) {
                is_requested = false;
                claims.push(self.clone().try_claim(capacity.room(), std::mem::take(&mut popped)));
            }
        }
        drop(popped_lists);
        let claimed = tokio::time::timeout(drain_timeout, claims.next()).await;
        if let Ok(Some((room, jobs))) = claimed {
            capacity.add(&room, jobs);
        }
        self.release_claimed(capacity.take_claimed()).await;
    }

    /// Returns the slots of all kinds, all of them free.
    pub(super) fn capacity(&self) -> Capacity {
        let mut capacity = Capacity::new(&self.0.handlers);
        capacity.resize(&self.0.tunables.in_force().borrow());
        capacity
    }

    fn announce_full_lists(&self, capacity: &Capacity) {
        self.0.full_lists.send_if_modified(|current| {
            let previous = std::mem::replace(current, capacity.full_lists());
            *current != previous
        });
    }

    /// Claims jobs for this room; none if that fails, as if none were ready: the next poll retries.
    async fn try_claim(self, room: Room, popped: Popped) -> (Room, Vec<Job>) {
        let jobs = self.claim(&room, popped).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "claiming jobs failed; retrying at the next poll");
            Vec::new()
        });
        (room, jobs)
    }

    /// Claims jobs, as many as there is room for, after these ids were popped.
    pub(super) async fn claim(&self, room: &Room, mut popped: Popped) -> Result<Vec<Job>> {
        if room.is_empty() {
            return Ok(Vec::new());
        }
        let started_at = Instant::now();
        let mut connection = self.0.db.acquire().await?;
        let lease = self.0.lease_duration;
        let jobs = jobs::sql::claim(&mut *connection, room, &self.0.name, lease).await?;
        drop(connection);
        for job in &jobs {
            self.0.leases.add(job, started_at);
        }
        for kind in self.0.handlers.iter().map(AnyJobHandler::kind) {
            let count = jobs.iter().filter(|job| job.kind == kind.name).count();
            let surplus = count.saturating_sub(popped.remove(kind.queue).unwrap_or_default());
            if surplus > 0 && self.0.queue.is_up() {
                self.0.queue.remove_ids(kind.queue, surplus).await;
            }
        }
        Ok(jobs)
    }

    /// Runs a job in a task of its own, and sends the finished attempt to the finisher and its kind to
    /// `freed`: while the outcome is written, another job can run. The finisher takes a limited number
    /// of attempts; when it cannot write them, slots stay occupied.
    fn spawn_attempt(
        &self,
        job: Job,
        finished: &mpsc::Sender<FinishedAttempt>,
        freed: &mpsc::UnboundedSender<String>,
    ) {
        let (worker, finished, freed) = (self.clone(), finished.clone(), freed.clone());
        tokio::spawn(async move {
            let kind = job.kind.clone();
            let attempt = worker.attempt(job).await;
            // The receivers are closed only when the process is about to exit.
            let _ = finished.send(attempt).await;
            let _ = freed.send(kind);
        });
    }

    /// Makes claimed jobs ready again that have not started.
    async fn release_claimed(&self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        for job in &jobs {
            self.0.leases.remove(job);
        }
        self.release(&self.0.leases.ids()).await;
    }
}
