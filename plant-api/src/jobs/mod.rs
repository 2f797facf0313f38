//! Durable jobs: work that is done after the answer, whatever is killed meanwhile.
//!
//! A job is a row of `job`, inserted by [`enqueue`] in the transaction of what it serves, so that
//! both are there or neither. A worker claims it with a lease that it keeps renewing, runs it, and
//! marks it done in the transaction that writes the result. That transaction first asks whether
//! the job is still this worker's ([`sql::finish`]), so a worker whose lease was lost cannot write.
//! A job therefore runs at least once and has its effect once.
//!
//! ```text
//! waiting ──▶ ready ──▶ running ──▶ done
//!    ▲          ▲          ├─ failed, up to MAX_ATTEMPTS ─▶ waiting, with backoff
//!    │          │          ├─ the lease ended ──▶ ready
//!    │          │          └─ failed for good ──▶ dead ── requeued by hand ─▶ ready
//!    └── due later
//! ```
//!
//! Leases and delays are told by the database's clock, which all workers share. Which job is next:
//! the most urgent priority, in it the lowest turn. A job's turn counts how many of its owner's
//! stand before it, so owners take turns however many jobs one of them has.

pub mod census;
pub mod show;
pub(crate) mod sql;
pub mod sweep;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::clock::Clock;
use crate::error::{Error, Result};

/// Attempts after which a job is buried.
pub const MAX_ATTEMPTS: i32 = 5;

/// How long a job is a worker's without a sign of life.
pub const LEASE: Duration = Duration::from_secs(10);

/// The first delay before a job is tried again; each further one is twice as long.
const BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// How urgent a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Before everything else.
    Critical = 0,
    /// Before what is usual.
    High = 1,
    /// Usual.
    #[default]
    Normal = 2,
    /// When there is nothing else to do.
    Low = 3,
}

/// What jobs of one kind have in common.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name in the table and in metrics.
    pub name: &'static str,
    /// The Redis list that shows the ids of those that are ready.
    pub queue: &'static str,
    /// Most that one process runs at once.
    pub at_once: usize,
    /// Longest that one attempt may take.
    pub time_limit: Duration,
}

/// A job to be done.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id, for which it can be asked later.
    pub id: Uuid,
    /// What kind.
    pub kind: &'static str,
    /// Whose; owners take turns.
    pub owner: String,
    /// What the kind's [`Handler`] needs to know.
    pub payload: Value,
    /// How urgent.
    pub priority: Priority,
    /// Not before this long from now.
    pub delay: Duration,
    /// No second job of the kind is made with this key while the first is kept.
    pub dedupe_key: Option<String>,
}

impl NewJob {
    /// A job of usual urgency, to be done at once.
    ///
    /// # Errors
    /// When the payload is not JSON.
    pub fn new(clock: &Clock, kind: Kind, owner: String, payload: &impl Serialize) -> Result<Self> {
        Ok(Self {
            id: clock.new_id(),
            kind: kind.name,
            owner,
            payload: serde_json::to_value(payload).map_err(|e| Error::Internal(Box::new(e)))?,
            priority: Priority::default(),
            delay: Duration::ZERO,
            dedupe_key: None,
        })
    }
}

/// Writes a job into the caller's transaction. `false`: there is one with its dedupe key already.
/// After the commit, `Queue::announce` wakes a worker; without it one looks by itself soon.
///
/// # Errors
/// Database errors.
pub async fn enqueue(connection: &mut PgConnection, job: &NewJob) -> sqlx::Result<bool> {
    sql::insert(connection, job).await
}

/// A job as a worker has claimed it.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// What kind.
    pub kind: String,
    /// Whose.
    pub owner: String,
    /// What to do.
    pub payload: Value,
    /// Which attempt this is, from 1; with the worker's name it tells claims apart.
    pub attempts: i32,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

impl Job {
    /// Its payload as the kind's type.
    ///
    /// # Errors
    /// [`Failure::Final`]: another attempt would not read it either.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        T::deserialize(&self.payload)
            .map_err(|e| Failure::Final(format!("its payload cannot be read: {e}")))
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It may go well another time.
    Retry {
        /// What happened.
        reason: String,
        /// The least delay before the next attempt, where somebody has asked for one.
        after: Option<Duration>,
    },
    /// It never will.
    Final(String),
}

impl Failure {
    /// It may go well another time.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { reason: reason.into(), after: None }
    }

    /// What happened.
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry { reason, .. } | Self::Final(reason) => reason,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::retry(error.to_string())
    }
}

/// What a slice does about jobs of one kind.
pub trait Handler: Send + Sync + 'static {
    /// The kind.
    fn kind(&self) -> Kind;

    /// Does what may be done twice, and answers what [`Handler::keep`] is to write. Holds no
    /// database connection while it waits for something else.
    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Value, Failure>>;

    /// Writes the result in the transaction that finishes the job; called only while the job is
    /// still this worker's.
    fn keep<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        job: &'a Job,
        result: &'a Value,
    ) -> BoxFuture<'a, Result<()>>;

    /// Tells those who wait that it came to nothing, in the transaction that buries the job.
    fn bury<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        job: &'a Job,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<()>>;

    /// Makes the jobs of this kind that nobody asks for; called every second by every worker.
    /// Answers how many.
    fn plan(&self) -> BoxFuture<'_, Result<usize>> {
        Box::pin(std::future::ready(Ok(0)))
    }
}

/// The delay before the attempt after `attempts`: doubled each time, then by `jitter` (0 to 1) up
/// to half of it less, so that what failed together does not come back together.
pub fn backoff(attempts: i32, jitter: f64) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(16);
    let whole = (BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF);
    whole.mul_f64(1.0 - jitter / 2.0)
}
