//! Durable background jobs: work that is done after the response and survives crashes.
//!
//! A job is a row of `job`, inserted by [`enqueue`] in the same transaction as the row it belongs
//! to, so that either both exist or neither. A worker claims it with a lease, renews the lease
//! while the job runs, and marks the job done in the transaction that writes the result. That
//! transaction first checks that the worker still holds the job (`sql::finish`), so a worker
//! that lost its lease cannot write. Delivery is therefore at least once, the effect exactly once.
//!
//! ```text
//! enqueued with a delay ──▶ waiting ──▶ ready ◀── enqueued
//!
//! ready ──▶ running ──▶ done
//!              ├─ failed, attempts left ──▶ waiting, with backoff
//!              ├─ postponed ──▶ waiting, the attempt does not count
//!              ├─ lease expired, attempts left ──▶ ready
//!              └─ failed permanently, or no attempts left ──▶ dead ── requeued ──▶ ready
//! ```
//!
//! A paused kind ([`paused`]) is not claimed: its jobs stay ready.
//!
//! Leases and delays use the database's clock, which all workers share. Jobs are claimed by
//! priority, then by `turn`. A job's turn is the number of its owner's jobs that are ahead of it,
//! so owners are served round-robin however many jobs one of them has.

pub mod command;
pub mod counts;
pub mod maintenance;
pub mod paused;
pub(crate) mod sql;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::cache::Scope;
use crate::cleanup;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};

/// Maximum number of attempts before a job is dead-lettered.
pub const MAX_ATTEMPTS: i32 = 5;

/// Duration of a lease, 10 s; a job whose lease is not renewed in this time goes to another worker.
pub const LEASE_DURATION: Duration = Duration::from_secs(10);

/// Delay before the second attempt; it doubles with each further attempt.
const INITIAL_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Priority of a job. A higher priority is always served first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Served before all other jobs.
    Critical = 0,
    /// Served before normal jobs.
    High = 1,
    /// The default.
    #[default]
    Normal = 2,
    /// Served when no other job is ready.
    Low = 3,
}

/// Settings shared by all jobs of one kind.
#[derive(Debug, Clone, Copy)]
pub struct JobKind {
    /// Name in the table and in metrics.
    pub name: &'static str,
    /// Redis list that holds the ids of ready jobs.
    pub queue: &'static str,
    /// Maximum number of jobs that one process runs concurrently.
    pub max_concurrency: usize,
    /// Whether a process claims half as many again, so that the next job starts as soon as one has
    /// ended. For jobs that are so short that a claim takes a notable part of their time; others would
    /// wait in one process while another has a free slot.
    pub prefetches: bool,
    pub timeout: Duration,
}

/// A job to enqueue.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub id: Uuid,
    /// Name of the kind.
    pub kind: &'static str,
    /// Owner of the job; owners are served round-robin.
    pub owner: String,
    /// [`JobHandler::Payload`] as JSON.
    pub payload: Value,
    pub priority: Priority,
    /// Delay before the first attempt.
    pub delay: Duration,
    /// Deduplication key: no second job of the kind is inserted until the one with this key is done or
    /// dead.
    pub dedupe_key: Option<String>,
}

impl NewJob {
    /// Creates a job for the handler `H`, of normal priority and without delay.
    ///
    /// # Errors
    /// When the payload cannot be serialized as JSON.
    pub fn new<H: JobHandler>(clock: &Clock, owner: String, payload: &H::Payload) -> Result<Self> {
        Ok(Self {
            id: clock.new_id(),
            kind: H::KIND.name,
            owner,
            payload: serde_json::to_value(payload).map_err(|e| Error::Internal(Box::new(e)))?,
            priority: Priority::default(),
            delay: Duration::ZERO,
            dedupe_key: None,
        })
    }
}

/// Inserts a job in the caller's transaction. Returns `false` when a job with the same
/// deduplication key has not ended. After the commit, call `Queue::push_later` to wake a worker; without it
/// the job is found at the next poll.
///
/// # Errors
/// Database errors.
pub async fn enqueue(connection: &mut PgConnection, job: &NewJob) -> sqlx::Result<bool> {
    Ok(!enqueue_all(connection, std::slice::from_ref(job)).await?.is_empty())
}

/// Inserts jobs like [`enqueue`]. Returns the ids of those that were inserted.
///
/// # Errors
/// Database errors.
pub async fn enqueue_all(
    connection: &mut PgConnection,
    jobs: &[NewJob],
) -> sqlx::Result<Vec<Uuid>> {
    sql::insert(connection, jobs).await
}

/// A claimed job.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: Uuid,
    /// Name of the kind.
    pub kind: String,
    pub owner: String,
    /// [`JobHandler::Payload`] as JSON.
    pub payload: Value,
    /// Number of this attempt, from 1. A claim is identified by job, attempt and worker: the attempts of
    /// a requeued job are counted from 1 again.
    pub attempts: i32,
    pub created_at: DateTime<Utc>,
    /// Seconds since it was postponed first after the last attempt that was counted; `None`: it was not.
    pub postponed_seconds: Option<f64>,
}

/// Reason why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Temporary: another attempt may succeed.
    Retry {
        reason: String,
        /// Minimum delay before the next attempt, such as a `Retry-After`.
        after: Option<Duration>,
    },
    /// Nothing was attempted, because something that the job needs is unavailable: the attempt does not
    /// count. The handler must give up at some time by itself.
    Postponed {
        reason: String,
        /// Delay before the next attempt; up to half of it is added, so that jobs that were postponed
        /// together do not come back together.
        after: Duration,
    },
    /// Permanent: the job is dead-lettered. Holds the reason.
    Permanent(String),
}

impl Failure {
    /// Creates a temporary failure without a minimum delay.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { reason: reason.into(), after: None }
    }

    pub fn reason(&self) -> &str {
        match self {
            Self::Retry { reason, .. }
            | Self::Postponed { reason, .. }
            | Self::Permanent(reason) => reason,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::retry(error.to_string())
    }
}

/// Implementation of one kind of job. Most kinds need [`JobHandler::run`] and
/// [`JobHandler::persist`] only.
pub trait JobHandler: Send + Sync + 'static {
    const KIND: JobKind;

    /// Input, stored with the job as JSON.
    type Payload: Serialize + DeserializeOwned + Send;

    /// Result of an attempt. It is kept in memory until [`JobHandler::persist`] has written it.
    type Output: Send + Sync + 'static;

    /// Returns the maximum number of jobs that one process runs concurrently. Default: that of the kind.
    fn max_concurrency(&self) -> usize {
        Self::KIND.max_concurrency
    }

    /// Runs one attempt. Must be safe to repeat. Must not hold a database connection while it waits
    /// for something else.
    fn run(
        &self,
        job: &Job,
        payload: Self::Payload,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// Writes the result in the transaction that finishes the job. Called only while the worker
    /// still holds the job; called again if the transaction is rolled back. Returns the scopes whose
    /// cached responses the commit invalidates. Default: nothing.
    fn persist(
        &self,
        _connection: &mut PgConnection,
        _job: &Job,
        _output: &Self::Output,
    ) -> impl Future<Output = Result<Vec<Scope>>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Records the failure in the transaction that dead-letters the job. Default: nothing.
    fn on_dead_letter(
        &self,
        _connection: &mut PgConnection,
        _job: &Job,
        _reason: &str,
    ) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Enqueues scheduled jobs of this kind and returns how many. Every worker calls it every
    /// second. Default: none.
    fn enqueue_due(&self) -> impl Future<Output = Result<usize>> + Send {
        std::future::ready(Ok(0))
    }
}

/// Deletes up to [`cleanup::BATCH_SIZE`] jobs that ended (completed or died) longer ago than they are
/// kept; returns how many.
///
/// # Errors
/// Database errors.
pub async fn delete_expired(db: &Db, _: &Clock) -> Result<u64> {
    let mut connection = db.acquire().await?;
    let done = maintenance::delete_done(&mut *connection, cleanup::BATCH_SIZE).await?;
    let dead = maintenance::delete_dead(&mut *connection, cleanup::BATCH_SIZE).await?;
    Ok(done.max(dead))
}

/// Returns the delay before the next attempt: exponential backoff, reduced by up to half depending
/// on `jitter` (0 to 1), so that jobs that failed together are not retried together.
pub fn backoff(attempts: i32, jitter: f64) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(16);
    let full = (INITIAL_BACKOFF * 2_u32.pow(doublings)).min(MAX_BACKOFF);
    full.mul_f64(1.0 - jitter / 2.0)
}
