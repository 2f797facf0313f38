//! Does the jobs: claims as many as there is room for, runs them side by side, and settles those
//! that have ended together, many in one transaction.
//!
//! One task claims. It is woken by an id in Redis, by room that has come free while there was
//! more to do, and by the clock, so that nothing depends on Redis. Others renew the leases
//! (`lease`), settle (`settle`) and sweep (`sweep`). All of them share the process's pool.

mod attempt;
mod lease;
mod room;
mod settle;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::db::Db;
use crate::error::Result;
use crate::jobs::{self, Handler, Job, LEASE};
use crate::metrics::Metrics;
use crate::queue::Queue;
use attempt::Ended;
use lease::Held;
use room::Room;

pub use sweep::watch;

/// How often a worker looks for jobs by itself while Redis is away.
const LOOK: Duration = Duration::from_millis(200);
/// Only each so many of these times while Redis tells of new jobs.
const LOOKS_WITH_REDIS: u32 = 5;

/// A process's worker. Clones share everything.
#[derive(Clone)]
pub struct Worker(Arc<Inner>);

struct Inner {
    db: Db,
    queue: Queue,
    metrics: Metrics,
    handlers: Vec<Arc<dyn Handler>>,
    name: String,
    held: Held,
    /// Rung when there is something to claim that Redis does not tell of.
    bell: Notify,
}

/// What a worker has popped from the lists, by list.
type Popped = HashMap<&'static str, usize>;

impl Worker {
    /// A worker for the handlers' kinds of jobs.
    pub fn new(db: Db, queue: Queue, metrics: Metrics, handlers: Vec<Arc<dyn Handler>>) -> Self {
        Self(Arc::new(Inner {
            db,
            queue,
            metrics,
            handlers,
            name: name(),
            held: Held::default(),
            bell: Notify::new(),
        }))
    }

    /// Works until `stop`; then what runs gets `drain` to finish, and the rest is given back.
    pub async fn run(self, stop: CancellationToken, drain: Duration) {
        let end = CancellationToken::new();
        let (ended, to_settle) = mpsc::channel(settle::AT_ONCE);
        let (freed, mut free) = mpsc::unbounded_channel();
        let (heard, mut calls) = mpsc::channel(1);
        let lists = self.0.handlers.iter().map(|handler| handler.kind().queue).collect();
        let tasks = [
            tokio::spawn(self.clone().settle_until_closed(to_settle, freed)),
            tokio::spawn(self.clone().renew_until(end.clone())),
            tokio::spawn(self.clone().sweep_until(stop.clone())),
            tokio::spawn(self.0.queue.clone().listen(lists, heard)),
        ];
        tracing::info!(worker = self.0.name, "working");

        let mut room = Room::of(&self.0.handlers);
        let mut clock = tokio::time::interval(LOOK);
        let mut ticks = 0_u32;
        loop {
            let mut popped = Popped::new();
            tokio::select! {
                Some(list) = calls.recv(), if room.any() => *popped.entry(list).or_default() += 1,
                Some(kind) = free.recv() => {
                    room.free(&kind);
                    while let Ok(kind) = free.try_recv() {
                        room.free(&kind);
                    }
                    if !room.may_fill() {
                        continue;
                    }
                }
                () = self.0.bell.notified() => {}
                _ = clock.tick() => {
                    ticks = ticks.wrapping_add(1);
                    if self.0.queue.is_up() && !ticks.is_multiple_of(LOOKS_WITH_REDIS) {
                        continue;
                    }
                }
                () = stop.cancelled() => break,
            }
            match self.claim(&mut room, popped).await {
                Ok(jobs) => jobs.into_iter().for_each(|job| self.start(job, &ended)),
                Err(error) => tracing::debug!(%error, "cannot claim"),
            }
        }

        drop(calls);
        drop(ended);
        let finish = async {
            while room.taken() > 0
                && let Some(kind) = free.recv().await
            {
                room.free(&kind);
            }
        };
        let in_time = tokio::time::timeout(drain, finish).await.is_ok();
        self.0.held.give_up_all();
        if !in_time {
            self.release(room.taken()).await;
        }
        end.cancel();
        let [settle, others @ ..] = tasks;
        settle.abort();
        for task in others {
            // They end by themselves; one that panicked has said so.
            let _ = task.await;
        }
    }

    /// Plans, claims, runs and settles once, and waits for all of it. Answers how many attempts
    /// that were.
    ///
    /// # Errors
    /// Database errors.
    pub async fn step(&self) -> Result<usize> {
        self.wake().await?;
        self.free().await?;
        self.plan().await?;
        let jobs = self.claim(&mut Room::of(&self.0.handlers), Popped::new()).await?;
        let attempts = jobs.into_iter().map(|job| self.attempt(job));
        let mut ended = futures::future::join_all(attempts).await;
        self.settle(&mut ended).await;
        for end in &ended {
            self.0.held.remove(&end.job);
        }
        Ok(ended.len())
    }

    /// Claims what there is room for.
    async fn claim(&self, room: &mut Room, mut popped: Popped) -> Result<Vec<Job>> {
        let wanted = room.wanted();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let since = Instant::now();
        let mut connection = self.0.db.acquire().await?;
        let jobs = jobs::sql::claim(&mut *connection, &wanted, &self.0.name, LEASE).await?;
        drop(connection);
        let taken = room.take(&jobs);
        for job in &jobs {
            self.0.held.add(job, since);
        }
        for (list, count) in taken {
            let surplus = count.saturating_sub(popped.remove(list).unwrap_or_default());
            if surplus > 0 && self.0.queue.is_up() {
                self.0.queue.drop_claimed(list, surplus).await;
            }
        }
        Ok(jobs)
    }

    /// Runs a job beside everything else and hands its end to those who settle.
    fn start(&self, job: Job, ended: &mpsc::Sender<Ended>) {
        let (worker, ended) = (self.clone(), ended.clone());
        tokio::spawn(async move {
            let end = worker.attempt(job).await;
            // Nobody settles any more only when the process is about to end.
            let _ = ended.send(end).await;
        });
    }

    async fn release(&self, left: usize) {
        let released = async {
            let mut connection = self.0.db.acquire().await?;
            Ok::<_, crate::error::Error>(jobs::sql::release(&mut *connection, &self.0.name).await?)
        };
        match released.await {
            Ok(count) => tracing::info!(count, "gave back jobs that were not finished in time"),
            Err(error) => {
                tracing::warn!(%error, left, "unfinished jobs stay ours until their lease ends");
            }
        }
    }

    fn handler(&self, kind: &str) -> Option<&Arc<dyn Handler>> {
        self.0.handlers.iter().find(|handler| handler.kind().name == kind)
    }
}

/// Which process this is, as `plant-api jobs active` shows it.
fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
    let random = Uuid::new_v4().as_u64_pair().0 >> 48;
    format!("{host}:{}:{random:04x}", std::process::id())
}
