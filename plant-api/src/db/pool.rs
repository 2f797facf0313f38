//! The pool of connections: it hands them out and takes them back without a round trip and without a
//! task.

use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
use futures::FutureExt;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, SqlStr, raw_sql};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::congestion::Congestion;
use super::statement_timeout::StatementTimeout;
use super::{DatabaseLimits, Heartbeat, notify_caches};

/// A connection is replaced at this age: what the server keeps for it does not grow forever.
const MAX_AGE: Duration = Duration::from_secs(1800);

/// Timeout for finding out whether a connection of unknown state can be used again.
const RESET_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout for closing an idle connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections that are opened when they are first needed.
#[derive(Debug)]
pub(super) struct Pool {
    connections: managed::Pool<Manager>,
    acquire_timeout: Duration,
    congestion: Congestion,
    created: Instant,
}

/// What a caller is that waits for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A request, which is rejected soon during congestion.
    Request,
    /// A job or a periodic task, which waits for the whole timeout.
    Background,
}

/// Opens connections, and decides which may be used again.
#[derive(Debug)]
struct Manager {
    options: PgConnectOptions,
    heartbeat: Arc<Heartbeat>,
    statement_timeout: Arc<StatementTimeout>,
    replacements: Replacements,
}

/// Limits how many connections are replaced for their age: all were opened at the same time, and the
/// requests would wait for all of them.
#[derive(Debug, Default)]
struct Replacements {
    /// The last second in which one was replaced.
    second: AtomicU64,
}

impl Replacements {
    /// Returns whether a connection of this age is to be replaced `now`: at most one in a second.
    fn replaces(&self, age: Duration, now: Duration) -> bool {
        age >= MAX_AGE && self.second.swap(now.as_secs(), Ordering::Relaxed) != now.as_secs()
    }
}

impl managed::Manager for Manager {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> sqlx::Result<PgConnection> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        self.statement_timeout.prepare(&mut connection).await?;
        Ok(connection)
    }

    /// A ping before each use would cost a round trip; connections opened before the last failure are
    /// closed instead.
    async fn recycle(&self, _: &mut PgConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        let age = metrics.age();
        let usable = self.heartbeat.opened_after_disconnect(age)
            && self.statement_timeout.opened_after_change(age)
            && !self.replacements.replaces(age, self.heartbeat.started.elapsed());
        if usable { Ok(()) } else { Err(RecycleError::message("outdated")) }
    }
}

impl Pool {
    pub(super) fn new(
        options: PgConnectOptions,
        limits: &DatabaseLimits,
        heartbeat: Arc<Heartbeat>,
        statement_timeout: Arc<StatementTimeout>,
    ) -> Self {
        let replacements = Replacements::default();
        let manager = Manager { options, heartbeat, statement_timeout, replacements };
        let connections = managed::Pool::builder(manager)
            .max_size(limits.max_connections as usize)
            // The connection used last: its server process is the most likely to be in a cache.
            .queue_mode(QueueMode::Lifo)
            .build()
            .expect("without timeouts no runtime is needed");
        Self {
            connections,
            acquire_timeout: limits.acquire_timeout,
            congestion: Congestion::new(limits.congestion_target),
            created: Instant::now(),
        }
    }

    pub(super) fn connect_options(&self) -> &PgConnectOptions {
        &self.connections.manager().options
    }

    pub(super) async fn acquire(&self, purpose: Purpose) -> sqlx::Result<Connection> {
        let started = Instant::now();
        let object = self.wait_for_object(purpose, started).await?;
        let is_queue_empty = self.connections.status().waiting == 0;
        self.congestion.record(self.created.elapsed(), started.elapsed(), is_queue_empty);
        Ok(Connection(Some(object)))
    }

    async fn wait_for_object(
        &self,
        purpose: Purpose,
        started: Instant,
    ) -> sqlx::Result<Object<Manager>> {
        let mut object = pin!(self.connections.get());
        loop {
            let remaining = self.acquire_timeout.saturating_sub(started.elapsed());
            let wait = match purpose {
                Purpose::Request => remaining.min(self.congestion.target()),
                Purpose::Background => remaining,
            };
            match timeout(wait, &mut object).await {
                Ok(Ok(object)) => return Ok(object),
                Ok(Err(PoolError::Backend(error))) => return Err(error),
                Ok(Err(_)) => return Err(sqlx::Error::PoolClosed),
                Err(_) if wait == remaining || self.is_congested() => {
                    return Err(sqlx::Error::PoolTimedOut);
                }
                Err(_) => {}
            }
        }
    }

    /// Returns whether requests that have waited for the target should be rejected. While connections are
    /// being opened, they are what is waited for. As many as there are connections may always wait, so
    /// that a burst is not rejected as a whole, nor a single request because of a slow statement.
    fn is_congested(&self) -> bool {
        let status = self.connections.status();
        status.size == status.max_size
            && self.congestion.is_congested(self.created.elapsed())
            && status.waiting > status.max_size
    }

    /// Opens all connections, so that the first requests need not.
    pub(super) async fn open_connections(&self) -> sqlx::Result<()> {
        let max = self.connections.status().max_size;
        let opened = (0..max).map(|_| self.acquire(Purpose::Background));
        futures::future::try_join_all(opened).await.map(drop)
    }

    /// Returns the number of connections: (in use, idle, maximum).
    pub(super) fn usage(&self) -> (u64, u64, u64) {
        let status = self.connections.status();
        let in_use = status.size - status.available;
        (in_use as u64, status.available as u64, status.max_size as u64)
    }

    /// Closes the idle connections, and those in use when they are returned.
    pub(super) async fn close(&self) {
        let idle = self.connections.retain(|_, _| false).removed;
        self.connections.close();
        let close = idle.into_iter().map(|idle| timeout(CLOSE_TIMEOUT, idle.close()));
        futures::future::join_all(close).await;
    }
}

/// A connection of the pool, which gets it back when this is dropped: at once if all its statements
/// have been executed. If one is in progress, because its caller was cancelled, the connection is in
/// use until the server has responded, and is closed if that fails.
#[derive(Debug)]
pub struct Connection(Option<Object<Manager>>);

impl Connection {
    /// Takes the connection out, without returning it to the pool.
    fn take(&mut self) -> Option<Object<Manager>> {
        self.0.take()
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect("taken at the end only")
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("taken at the end only")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(mut object) = self.take() else { return };
        // Ready at the first poll, without a round trip, if there is nothing to send and to wait for.
        match object.flush().now_or_never() {
            Some(Ok(())) => drop(object),
            Some(Err(_)) => drop(Object::take(object)),
            None => reset_later(object, false),
        }
    }
}

/// Returns a connection to the pool when the statement in progress has ended and the transaction, if
/// there is one, is rolled back; closes it if that fails.
fn reset_later(mut object: Object<Manager>, in_transaction: bool) {
    let Ok(runtime) = Handle::try_current() else { return drop(Object::take(object)) };
    let age = Object::metrics(&object).age();
    let pool = Object::pool(&object);
    if pool.is_none_or(|pool| !pool.manager().heartbeat.opened_after_disconnect(age)) {
        return drop(Object::take(object));
    }
    runtime.spawn(async move {
        let reset = timeout(RESET_TIMEOUT, reset(&mut object, in_transaction)).await;
        if !matches!(reset, Ok(Ok(()))) {
            drop(Object::take(object));
        }
    });
}

async fn reset(connection: &mut PgConnection, in_transaction: bool) -> sqlx::Result<()> {
    connection.flush().await?;
    if in_transaction {
        raw_sql("rollback").execute(connection).await?;
    }
    Ok(())
}

/// An open transaction. It is rolled back if dropped.
#[derive(Debug)]
pub struct Transaction(Connection);

impl Transaction {
    /// Begins with one or more statements.
    pub(super) async fn begin(connection: Connection, begin: SqlStr) -> sqlx::Result<Self> {
        let mut transaction = Self(connection);
        raw_sql(begin).execute(&mut *transaction).await?;
        Ok(transaction)
    }

    /// Notifies all processes, when the transaction commits, that their caches must not be trusted.
    ///
    /// # Errors
    /// Database errors.
    pub async fn notify_caches(&mut self) -> sqlx::Result<()> {
        notify_caches(&mut *self).await
    }

    /// Commits, and returns the connection to the pool.
    ///
    /// # Errors
    /// Database errors; after one it is unknown whether the transaction has been committed.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        raw_sql("commit").execute(&mut *self).await?;
        drop(self.0.take());
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            reset_later(object, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_replaced_for_their_age_one_in_a_second() {
        let replacements = Replacements::default();
        let seconds = Duration::from_secs;
        assert!(!replacements.replaces(seconds(1799), seconds(1800)));
        assert!(replacements.replaces(MAX_AGE, seconds(1800)));
        assert!(!replacements.replaces(MAX_AGE, seconds(1800)));
        assert!(replacements.replaces(MAX_AGE, seconds(1801)));
    }
}
