//! Job worker: claims as many jobs as it has slots, or slightly more, runs them concurrently, and
//! writes the outcomes of finished attempts in batches.
//!
//! One async task claims and starts jobs. Further tasks renew leases, finish attempts and do
//! maintenance. All share the process's connection pool.

mod attempt;
mod capacity;
mod claims;
mod finish;
mod handler;
mod lease;
mod maintenance;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cache::Cache;
use crate::db::Db;
use crate::error::Result;
use crate::jobs::{self, LEASE_DURATION};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::tunables::Tunables;
use claims::Popped;
use lease::Leases;

pub use handler::AnyJobHandler;
pub use maintenance::run_gauge_updates;

/// The worker of a process. Clones share the state.
#[derive(Clone)]
pub struct Worker(Arc<Inner>);

struct Inner {
    db: Db,
    queue: Queue,
    cache: Cache,
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
    /// Redis lists of the kinds of which no job can be claimed. Their ids stay in the lists, which show how many
    /// jobs are waiting.
    full_lists: watch::Sender<Vec<&'static str>>,
}

impl Worker {
    /// Creates a worker for the handlers' kinds of jobs. It runs as many jobs of a kind at once as the
    /// tunable of the kind says; of a kind without one, as many as its handler allows.
    pub fn new(
        db: Db,
        queue: Queue,
        cache: Cache,
        metrics: Metrics,
        tunables: Tunables,
        handlers: Vec<AnyJobHandler>,
    ) -> Self {
        Self::with_lease(db, queue, cache, metrics, tunables, handlers, LEASE_DURATION)
    }

    /// Creates a worker whose leases have this duration instead of [`LEASE_DURATION`].
    fn with_lease(
        db: Db,
        queue: Queue,
        cache: Cache,
        metrics: Metrics,
        tunables: Tunables,
        handlers: Vec<AnyJobHandler>,
        lease_duration: Duration,
    ) -> Self {
        let lists = handlers.iter().map(|handler| handler.kind().queue).collect();
        Self(Arc::new(Inner {
            db,
            queue,
            cache,
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
        let (popped_sender, popped_receiver) = mpsc::channel(1);
        let (lists, full_lists) = (self.0.lists.subscribe(), self.0.full_lists.subscribe());
        let mut finisher = tokio::spawn(self.clone().run_finisher(finished_receiver));
        let tasks = [
            tokio::spawn(self.clone().run_lease_renewal(drained.clone())),
            tokio::spawn(self.clone().run_maintenance(shutdown.clone())),
            tokio::spawn(self.0.queue.clone().listen(lists, full_lists, popped_sender)),
        ];
        tracing::info!(worker = self.0.name, "worker started");

        self.run_claims(popped_receiver, finished_sender, &shutdown, drain_timeout).await;
        // It ends when the last attempt is finished.
        let in_time = tokio::time::timeout(drain_timeout, &mut finisher).await.is_ok();
        self.0.leases.cancel_all();
        if !in_time {
            finisher.abort();
            self.release(&[]).await;
        }
        drained.cancel();
        for task in tasks {
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
        let jobs = self.claim(&self.capacity().room(), Popped::new()).await?;
        let attempts = jobs.into_iter().map(|job| self.attempt(job));
        let mut finished = futures::future::join_all(attempts).await;
        self.finish_batch(&mut finished).await;
        for attempt in &finished {
            self.0.leases.remove(&attempt.job);
        }
        Ok(finished.len())
    }

    /// Makes the jobs ready again that this worker holds, but not the `running` ones.
    async fn release(&self, running: &[Uuid]) {
        let released = async {
            let mut connection = self.0.db.acquire().await?;
            Ok::<_, crate::error::Error>(
                jobs::sql::release(&mut *connection, &self.0.name, running).await?,
            )
        };
        match released.await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "released jobs that did not finish before shutdown"),
            Err(error) => tracing::warn!(
                %error,
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
