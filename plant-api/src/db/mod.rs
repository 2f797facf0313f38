//! PostgreSQL: the connection pool, the heartbeat, and the migrations.
//!
//! Connections of the pool switch to the restricted role `plant_app` when they are opened. A
//! heartbeat on a connection of its own detects within a second that the database is unavailable,
//! so that requests fail at once instead of waiting. It detects as fast that it is available again.

mod bulk;
mod congestion;
mod migrate;
mod monitor;
mod pool;
mod statement_timeout;
mod tenant;
#[cfg(test)]
mod tests;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus::Histogram;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::traces;

pub use bulk::{BulkRead, BulkSnapshot, ResultPermit};
pub use migrate::{SetupError, check_schema, grant_privileges, migrate, run_schema_check};
pub use pool::{Connection, Transaction};
use pool::{Pool, Purpose};
use statement_timeout::StatementTimeout;
pub use tenant::{TenantId, TenantScope, enter};

/// PostgreSQL channel on which a process notifies the others that the cache must not be trusted.
pub const CACHE_CHANNEL: &str = "plant_cache";

/// Notifies all processes, when the transaction of `connection` commits, that their caches must not be trusted.
///
/// # Errors
/// Database errors.
pub async fn notify_caches(connection: &mut PgConnection) -> sqlx::Result<()> {
    let notify = sqlx::query("select pg_notify($1, '')").bind(CACHE_CHANNEL);
    notify.execute(connection).await.map(drop)
}

/// PostgreSQL channel on which a process notifies all processes that tunables have changed.
pub const TUNABLE_CHANNEL: &str = "plant_tunables";

const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(1);

/// Connection pool with a heartbeat. Clones share the state; every request makes one.
#[derive(Debug, Clone)]
pub struct Db {
    shared: Arc<Shared>,
    purpose: Purpose,
}

#[derive(Debug)]
struct Shared {
    pool: Pool,
    /// The connection of [`Db::acquire_monitor`].
    monitor: PgPool,
    bulk_reads: bulk::BulkReads,
    /// Permits of [`Db::begin_snapshot`].
    snapshots: Arc<Semaphore>,
    heartbeat: Arc<Heartbeat>,
    statement_timeout: Arc<StatementTimeout>,
    acquire_wait: Histogram,
}

/// A read-only transaction with one snapshot; see [`Db::begin_snapshot`].
#[derive(Debug)]
pub struct Snapshot {
    transaction: Transaction,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Deref for Snapshot {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for Snapshot {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

/// Limits of the connection pool and of statements.
#[derive(Debug, Clone, Copy)]
pub struct DatabaseLimits {
    pub max_connections: u32,
    /// Timeout for acquiring a connection from the pool.
    pub acquire_timeout: Duration,
    /// Timeout of requests for it while they arrive faster than the connections serve them.
    pub congestion_target: Duration,
    /// `statement_timeout`, so that the server does not continue statements of requests that have
    /// timed out.
    pub statement_timeout: Duration,
}

/// Results of the last heartbeats.
#[derive(Debug)]
struct Heartbeat {
    up: watch::Sender<bool>,
    /// Whether the schema has still to be checked, until which the database counts as unavailable.
    is_schema_unchecked: AtomicBool,
    started: Instant,
    /// Time of the last failure, in microseconds after `started`; zero: none.
    disconnected_at: AtomicU64,
    backends: AtomicI64,
    max_connections: AtomicI64,
    /// Number of notifications on [`CACHE_CHANNEL`], and of times when some may have been missed.
    cache_notifications: watch::Sender<u64>,
    /// As `cache_notifications`, for [`TUNABLE_CHANNEL`].
    tunable_notifications: watch::Sender<u64>,
}

impl Heartbeat {
    /// Counts a notification on this channel.
    fn record_notification(&self, channel: &str) {
        let notifications = match channel {
            TUNABLE_CHANNEL => &self.tunable_notifications,
            _ => &self.cache_notifications,
        };
        notifications.send_modify(|count| *count += 1);
    }

    fn record_disconnect(&self) {
        let now = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.disconnected_at.store(now, Ordering::Relaxed);
    }

    /// Returns whether a connection of this age was opened after the last failure.
    fn opened_after_disconnect(&self, age: Duration) -> bool {
        let disconnected_at = Duration::from_micros(self.disconnected_at.load(Ordering::Relaxed));
        disconnected_at.is_zero() || self.started.elapsed().saturating_sub(age) > disconnected_at
    }
}

impl Db {
    /// Creates a pool that connects on first use; `acquire_wait` is the histogram of the wait of
    /// each acquire.
    pub fn new(options: PgConnectOptions, limits: DatabaseLimits, acquire_wait: Histogram) -> Self {
        let heartbeat = Arc::new(Heartbeat {
            up: watch::Sender::new(true),
            is_schema_unchecked: AtomicBool::new(false),
            started: Instant::now(),
            disconnected_at: AtomicU64::new(0),
            backends: AtomicI64::new(0),
            max_connections: AtomicI64::new(0),
            cache_notifications: watch::Sender::new(0),
            tunable_notifications: watch::Sender::new(0),
        });
        let statement_timeout = Arc::new(StatementTimeout::new(limits.statement_timeout));
        let max_snapshots = (limits.max_connections as usize / 3).max(1);
        let pool =
            Pool::new(options.clone(), &limits, heartbeat.clone(), statement_timeout.clone());
        let shared = Shared {
            pool,
            monitor: monitor::pool(options),
            bulk_reads: bulk::BulkReads::default(),
            snapshots: Arc::new(Semaphore::new(max_snapshots)),
            heartbeat,
            statement_timeout,
            acquire_wait,
        };
        Self { shared: Arc::new(shared), purpose: Purpose::Background }
    }

    /// Returns the pool as requests use it: when they arrive faster than the connections serve them,
    /// those that would wait long are rejected. Jobs and periodic tasks wait.
    #[must_use]
    pub fn for_requests(&self) -> Self {
        Self { purpose: Purpose::Request, ..self.clone() }
    }

    /// Opens all connections of the pool, so that the first requests need not.
    ///
    /// # Errors
    /// As [`Db::acquire`].
    pub async fn open_connections(&self) -> Result<()> {
        if !self.is_up() {
            return Err(Error::database_unavailable());
        }
        Ok(self.shared.pool.open_connections().await?)
    }

    /// Changes the statement timeout of all connections of the pool; statements in progress keep
    /// theirs.
    pub fn set_statement_timeout(&self, timeout: Duration) {
        self.shared.statement_timeout.set(timeout);
    }

    /// Acquires a connection from the pool and measures the wait.
    ///
    /// # Errors
    /// [`Error::Unavailable`] at once if the last heartbeat failed, and if no connection becomes available in
    /// time.
    pub async fn acquire(&self) -> Result<Connection> {
        if !self.is_up() {
            return Err(Error::database_unavailable());
        }
        let span = traces::child("postgresql", || "acquire connection".into());
        let started = Instant::now();
        let connection = self.shared.pool.acquire(self.purpose).await;
        drop(span);
        self.shared.acquire_wait.observe(started.elapsed().as_secs_f64());
        connection.map_err(|error| match error {
            sqlx::Error::PoolTimedOut => Error::overloaded("the database (too many requests)"),
            error => error.into(),
        })
    }

    /// Begins a transaction; it is rolled back if dropped.
    ///
    /// # Errors
    /// As [`Db::acquire`].
    pub async fn begin(&self) -> Result<Transaction> {
        Ok(Transaction::begin(self.acquire().await?, "begin".into_sql_str()).await?)
    }

    /// Begins a transaction in which a statement waits for a row lock at most for `lock_timeout`.
    ///
    /// # Errors
    /// As [`Db::acquire`].
    pub async fn begin_write(&self, lock_timeout: Duration) -> Result<Transaction> {
        self.begin_with(format!("set local lock_timeout = {}", lock_timeout.as_millis())).await
    }

    /// As [`Db::begin_write`], in a transaction that sees the rows of these tenants.
    ///
    /// # Errors
    /// As [`Db::acquire`].
    pub async fn begin_write_in(
        &self,
        scope: TenantScope<'_>,
        lock_timeout: Duration,
    ) -> Result<Transaction> {
        let (timeout, tenant) = (lock_timeout.as_millis(), scope.setting());
        let settings =
            format!("set local lock_timeout = {timeout}; set local plant.tenant_id = '{tenant}'");
        self.begin_with(settings).await
    }

    /// Begins a transaction that sees the rows of these tenants.
    ///
    /// # Errors
    /// As [`Db::acquire`].
    pub async fn begin_in(&self, scope: TenantScope<'_>) -> Result<Transaction> {
        self.begin_with(format!("set local plant.tenant_id = '{}'", scope.setting())).await
    }

    /// Begins a transaction whose statements are planned for the values that they are executed with,
    /// for a statement whose best plan depends on them. Its tables are joined in the order in which they
    /// are written: trying others takes most of the time of planning.
    ///
    /// # Errors
    /// As [`Db::acquire`].
    pub async fn begin_planned(&self) -> Result<Transaction> {
        let settings =
            "set local plan_cache_mode = force_custom_plan; set local join_collapse_limit = 1";
        self.begin_with(settings.into()).await
    }

    /// Begins a transaction and changes its settings, in one round trip. `settings` must not contain
    /// text of clients, except ids of tenants, which need no quoting.
    async fn begin_with(&self, settings: String) -> Result<Transaction> {
        let begin = AssertSqlSafe(format!("begin; {settings}")).into_sql_str();
        Ok(Transaction::begin(self.acquire().await?, begin).await?)
    }

    /// Begins a read-only transaction with one snapshot for all its statements (repeatable read).
    /// Such reads may take long, so at most a third of the pool's connections serve them; others wait
    /// without a connection.
    ///
    /// # Errors
    /// As [`Db::acquire`].
    pub async fn begin_snapshot(&self) -> Result<Snapshot> {
        // The semaphore is never closed.
        let permit = self.shared.snapshots.clone().acquire_owned().await.ok();
        let begin = "begin isolation level repeatable read, read only".into_sql_str();
        let transaction = Transaction::begin(self.acquire().await?, begin).await?;
        Ok(Snapshot { transaction, _permit: permit })
    }

    /// Returns an identifier of the database: different for another database of the same server,
    /// and for the same name on another server.
    ///
    /// # Errors
    /// As [`Db::acquire`].
    pub async fn identity(&self) -> Result<String> {
        let mut connection = self.acquire().await?;
        let identity = sqlx::query_scalar(
            "select substr(md5(id::text || current_database()), 1, 16) from database_identity",
        );
        Ok(identity.fetch_one(&mut *connection).await?)
    }

    /// Returns a receiver that changes when another process has committed a write that it could not
    /// announce in Redis, and whenever such a notification may have been missed.
    pub fn cache_notifications(&self) -> watch::Receiver<u64> {
        self.shared.heartbeat.cache_notifications.subscribe()
    }

    /// Returns a receiver that changes when tunables were changed by any process, and whenever such a
    /// notification may have been missed.
    pub fn tunable_notifications(&self) -> watch::Receiver<u64> {
        self.shared.heartbeat.tunable_notifications.subscribe()
    }

    /// Returns whether the last heartbeat succeeded and the schema was checked.
    pub fn is_up(&self) -> bool {
        *self.shared.heartbeat.up.borrow()
    }

    /// Completes when a heartbeat fails after this call, so that callers can stop waiting for a
    /// server that does not respond.
    pub async fn wait_for_disconnect(&self) {
        let mut up = self.shared.heartbeat.up.subscribe();
        while up.changed().await.is_ok() {
            if !*up.borrow_and_update() {
                return;
            }
        }
    }

    /// Returns the number of pool connections: (in use, idle, maximum).
    pub fn pool_usage(&self) -> (u64, u64, u64) {
        self.shared.pool.usage()
    }

    /// Returns the server's backends on this database and its `max_connections`.
    pub fn server_usage(&self) -> (i64, i64) {
        (
            self.shared.heartbeat.backends.load(Ordering::Relaxed),
            self.shared.heartbeat.max_connections.load(Ordering::Relaxed),
        )
    }

    /// Queries the server every 500 ms on a connection of its own, until shutdown.
    /// Between two queries, a connection closed by the server is detected at once.
    pub async fn run_heartbeat(self, shutdown: CancellationToken) {
        let heartbeat_pool = PgPoolOptions::new()
            .max_connections(1)
            .min_connections(0)
            .connect_lazy_with(self.shared.pool.connect_options().clone());
        let mut listener = None;
        while !shutdown.is_cancelled() {
            let query = self.query_server(&heartbeat_pool, &mut listener);
            let result = match tokio::time::timeout(HEARTBEAT_TIMEOUT, query).await {
                Ok(result) => result.map_err(|e| e.to_string()),
                Err(_) => Err(format!("no response within {HEARTBEAT_TIMEOUT:?}")),
            };
            if result.is_err() {
                listener = None;
            }
            self.record(result);
            tokio::select! {
                () = tokio::time::sleep(HEARTBEAT_INTERVAL) => {}
                () = self.wait_for_close(&mut listener) => {
                    self.record(Err("the server closed the connection".into()));
                }
                () = shutdown.cancelled() => {}
            }
        }
        self.shared.monitor.close().await;
        self.shared.pool.close().await;
    }

    async fn query_server(
        &self,
        pool: &PgPool,
        listener: &mut Option<PgListener>,
    ) -> sqlx::Result<()> {
        let listener = match listener {
            Some(connected) => connected,
            None => {
                let mut connected = PgListener::connect_with(pool).await?;
                // By default a closed connection is reported only after a successful reconnect.
                connected.eager_reconnect(false);
                connected.listen_all([CACHE_CHANNEL, TUNABLE_CHANNEL]).await?;
                // Notifications were not received before.
                self.shared.heartbeat.record_notification(CACHE_CHANNEL);
                self.shared.heartbeat.record_notification(TUNABLE_CHANNEL);
                listener.insert(connected)
            }
        };
        let (backends, max_connections) = sqlx::query_as::<_, (i32, i32)>(
            "select numbackends, current_setting('max_connections')::int \
             from pg_stat_database where datname = current_database()",
        )
        .fetch_one(listener)
        .await?;
        self.shared.heartbeat.backends.store(backends.into(), Ordering::Relaxed);
        self.shared.heartbeat.max_connections.store(max_connections.into(), Ordering::Relaxed);
        Ok(())
    }

    /// Completes when the listener's connection is closed; never, if there is no listener. Passes on
    /// notifications meanwhile.
    async fn wait_for_close(&self, listener: &mut Option<PgListener>) {
        match listener {
            // `try_recv` returns `None` or an error when the connection is closed.
            Some(connected) => {
                while let Ok(Some(notification)) = connected.try_recv().await {
                    self.shared.heartbeat.record_notification(notification.channel());
                }
            }
            None => std::future::pending().await,
        }
        *listener = None;
    }

    fn record(&self, result: Result<(), String>) {
        let is_up =
            result.is_ok() && !self.shared.heartbeat.is_schema_unchecked.load(Ordering::SeqCst);
        let was_up = self.shared.heartbeat.up.send_replace(is_up);
        match result {
            Err(reason) => {
                self.shared.heartbeat.record_disconnect();
                if was_up {
                    tracing::warn!(
                        "database connection lost: {reason}; retrying every {HEARTBEAT_INTERVAL:?}"
                    );
                }
            }
            Ok(()) if is_up && !was_up => tracing::info!("database connection restored"),
            Ok(()) => {}
        }
    }
}

/// Switches a connection from the owner to the role `plant_app` and sets the statement timeout.
///
/// Statements are planned once for all values: planning takes longer than most of them, and the
/// server plans one with `limit $n` anew each time. Indices are assumed to be in memory or on a fast
/// disk.
async fn switch_role(connection: &mut PgConnection, timeout: &str) -> sqlx::Result<()> {
    sqlx::query(
        "select
            set_config('role', 'plant_app', false), set_config('statement_timeout', $1, false),
            set_config('plan_cache_mode', 'force_generic_plan', false),
            set_config('random_page_cost', '1.1', false)",
    )
    // Executed once, so that the server need not keep it.
    .persistent(false)
    .bind(timeout)
    .execute(connection)
    .await
    .map(drop)
}
