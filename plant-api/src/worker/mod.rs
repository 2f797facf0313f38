//! Job worker: claims as many jobs as it has free slots, runs them concurrently, and writes the
//! outcomes of finished attempts in batches.
//!
//! One async task claims. It wakes up when an id is popped from a Redis list, when a slot becomes free
//! while more jobs are probably ready, and at every poll, so that it works without Redis. Further
//! tasks renew leases, finish attempts and do maintenance. All share the process's connection pool.

mod attempt;
mod capacity;
mod finish;
mod handler;
mod lease;
mod maintenance;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::db::Db;
use crate::error::Result;
use crate::jobs::{self, Job, LEASE_DURATION};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::tunables::Tunables;
use attempt::FinishedAttempt;
use capacity::Capacity;
use lease::Leases;

pub use handler::AnyJobHandler;
pub use maintenance::run_gauge_updates;

/// Interval at which a worker polls for jobs while Redis is unavailable.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// While Redis is connected, which wakes workers for new jobs, only every fifth interval polls.
const INTERVALS_PER_POLL_WITH_REDIS: u32 = 5;

/// The worker of a process. Clones share the state.
#[derive(Clone)]
pub struct Worker(Arc<Inner>);

struct Inner {
    db: Db,
    queue: Queue,
    metrics: Metrics,
    handlers: Vec<AnyJobHandler>,
    tunables: Tunables,
    name: String,
    lease_duration: Duration,
    leases: Leases,
    /// Notified when jobs become ready without an id in Redis.
    jobs_ready: Notify,
    /// Redis lists of the kinds that are not paused.
    lists: watch::Sender<Vec<&'static str>>,
    /// Redis lists of the kinds without a free slot. Their ids stay in the lists, which show how many
    /// jobs are waiting.
    full_lists: watch::Sender<Vec<&'static str>>,
}

/// Numbers of ids popped from the Redis lists, by list.
type Popped = HashMap<&'static str, usize>;

impl Worker {
    /// Creates a worker for the handlers' kinds of jobs. It runs as many jobs of a kind at once as the
    /// tunable of the kind says; of a kind without one, as many as its handler allows.
    pub fn new(
        db: Db,
        queue: Queue,
        metrics: Metrics,
        tunables: Tunables,
        handlers: Vec<AnyJobHandler>,
    ) -> Self {
        Self::with_lease(db, queue, metrics, tunables, handlers, LEASE_DURATION)
    }

    /// Creates a worker whose leases have this duration instead of [`LEASE_DURATION`].
    fn with_lease(
        db: Db,
        queue: Queue,
        metrics: Metrics,
        tunables: Tunables,
        handlers: Vec<AnyJobHandler>,
        lease_duration: Duration,
    ) -> Self {
        let lists = handlers.iter().map(|handler| handler.kind().queue).collect();
        Self(Arc::new(Inner {
            db,
            queue,
            metrics,
            lists: watch::Sender::new(lists),
            full_lists: watch::Sender::default(),
            handlers,
            tunables,
            name: worker_name(),
            lease_duration,
            leases: Leases::default(),
            jobs_ready: Notify::new(),
        }))
    }

    /// Runs jobs until `shutdown` is canceled, which is when the process gets SIGTERM. From then on no
    /// job is started, and running jobs have `drain_timeout` to finish. Those that have not finished by
    /// then are made ready again at once.
    pub async fn run(self, shutdown: CancellationToken, drain_timeout: Duration) {
        let drained = CancellationToken::new();
        let (finished_sender, finished_receiver) = mpsc::channel(finish::MAX_BATCH);
        let (freed_sender, mut freed_receiver) = mpsc::unbounded_channel();
        let (popped_sender, mut popped_receiver) = mpsc::channel(1);
        let (lists, full_lists) = (self.0.lists.subscribe(), self.0.full_lists.subscribe());
        let tasks = [
            tokio::spawn(self.clone().run_finisher(finished_receiver, freed_sender)),
            tokio::spawn(self.clone().run_lease_renewal(drained.clone())),
            tokio::spawn(self.clone().run_maintenance(shutdown.clone())),
            tokio::spawn(self.0.queue.clone().listen(lists, full_lists, popped_sender)),
        ];
        tracing::info!(worker = self.0.name, "worker started");

        let mut tunables = self.0.tunables.in_force();
        let mut capacity = self.capacity();
        let mut poll = tokio::time::interval(POLL_INTERVAL);
        let mut intervals = 0_u32;
        loop {
            self.0.full_lists.send_if_modified(|current| {
                let previous = std::mem::replace(current, capacity.full_lists());
                *current != previous
            });
            let mut popped = Popped::new();
            tokio::select! {
                Some(list) = popped_receiver.recv(), if capacity.has_free_slot() => {
                    *popped.entry(list).or_default() += 1;
                }
                Some(kind) = freed_receiver.recv() => {
                    capacity.release(&kind);
                    while let Ok(kind) = freed_receiver.try_recv() {
                        capacity.release(&kind);
                    }
                    if !capacity.can_refill() {
                        continue;
                    }
                }
                () = self.0.jobs_ready.notified() => {}
                Ok(()) = tunables.changed() => {
                    capacity.resize(&tunables.borrow_and_update());
                    if !capacity.can_refill() {
                        continue;
                    }
                }
                _ = poll.tick() => {
                    intervals = intervals.wrapping_add(1);
                    if self.0.queue.is_up()
                        && !intervals.is_multiple_of(INTERVALS_PER_POLL_WITH_REDIS)
                    {
                        continue;
                    }
                }
                () = shutdown.cancelled() => break,
            }
            match self.claim(&mut capacity, popped).await {
                Ok(jobs) => {
                    for job in jobs {
                        self.spawn_attempt(job, &finished_sender);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "claiming jobs failed; retrying at the next poll");
                }
            }
        }

        drop(popped_receiver);
        drop(finished_sender);
        let drain = async {
            while capacity.used() > 0
                && let Some(kind) = freed_receiver.recv().await
            {
                capacity.release(&kind);
            }
        };
        let in_time = tokio::time::timeout(drain_timeout, drain).await.is_ok();
        self.0.leases.cancel_all();
        if !in_time {
            self.release(capacity.used()).await;
        }
        drained.cancel();
        let [finisher, others @ ..] = tasks;
        finisher.abort();
        for task in others {
            // Each stops when its token is canceled or its channel closes. A panic has been logged
            // by the panic hook.
            let _ = task.await;
        }
    }

    /// Does maintenance, claims jobs, runs and finishes them, once. Returns the number of attempts.
    ///
    /// # Errors
    /// Database errors.
    pub async fn run_once(&self) -> Result<usize> {
        self.promote_due().await?;
        self.reclaim_expired().await?;
        self.plan().await?;
        let jobs = self.claim(&mut self.capacity(), Popped::new()).await?;
        let attempts = jobs.into_iter().map(|job| self.attempt(job));
        let mut finished = futures::future::join_all(attempts).await;
        self.finish_batch(&mut finished).await;
        for attempt in &finished {
            self.0.leases.remove(&attempt.job);
        }
        Ok(finished.len())
    }

    /// Returns the slots of all kinds, all of them free.
    fn capacity(&self) -> Capacity {
        let mut capacity = Capacity::new(&self.0.handlers);
        capacity.resize(&self.0.tunables.in_force().borrow());
        capacity
    }

    /// Claims jobs for all free slots.
    async fn claim(&self, capacity: &mut Capacity, mut popped: Popped) -> Result<Vec<Job>> {
        let free = capacity.free_slots();
        if free.is_empty() {
            return Ok(Vec::new());
        }
        let started_at = Instant::now();
        let mut connection = self.0.db.acquire().await?;
        let lease = self.0.lease_duration;
        let jobs = jobs::sql::claim(&mut *connection, &free, &self.0.name, lease).await?;
        drop(connection);
        let claimed = capacity.occupy(&jobs);
        for job in &jobs {
            self.0.leases.add(job, started_at);
        }
        for (list, count) in claimed {
            let surplus = count.saturating_sub(popped.remove(list).unwrap_or_default());
            if surplus > 0 && self.0.queue.is_up() {
                self.0.queue.remove_ids(list, surplus).await;
            }
        }
        Ok(jobs)
    }

    /// Runs a job in a task of its own and sends the finished attempt to the finisher.
    fn spawn_attempt(&self, job: Job, finished: &mpsc::Sender<FinishedAttempt>) {
        let (worker, finished) = (self.clone(), finished.clone());
        tokio::spawn(async move {
            let attempt = worker.attempt(job).await;
            // The receiver is closed only when the process is about to exit.
            let _ = finished.send(attempt).await;
        });
    }

    async fn release(&self, unfinished: usize) {
        let released = async {
            let mut connection = self.0.db.acquire().await?;
            Ok::<_, crate::error::Error>(jobs::sql::release(&mut *connection, &self.0.name).await?)
        };
        match released.await {
            Ok(count) => tracing::info!(count, "released jobs that did not finish before shutdown"),
            Err(error) => tracing::warn!(
                %error,
                unfinished,
                "releasing unfinished jobs failed; they are retried when their leases expire"
            ),
        }
    }

    fn handler(&self, kind: &str) -> Option<&AnyJobHandler> {
        self.0.handlers.iter().find(|handler| handler.kind().name == kind)
    }
}

/// Returns a unique name of this process (host, process id, random suffix), shown by
/// `plant-api jobs active`.
fn worker_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
    let random = Uuid::new_v4().as_u64_pair().0 >> 48;
    format!("{host}:{}:{random:04x}", std::process::id())
}
