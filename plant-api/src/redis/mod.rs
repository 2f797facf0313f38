//! Redis client.
//!
//! - Commands share one multiplexed connection, which pipelines them.
//! - The heartbeat pings on a connection of its own, so that a ping does not wait behind commands on
//!   the shared connection. The heartbeat's connection is in a pool of one, which opens it, checks
//!   it and reports its state for `redis_pool_connections`.
//! - A blocking command, such as `BLPOP`, needs a connection of its own
//!   ([`Redis::dedicated_connection`]): on a shared one it would hold up all other commands.
//!
//! Redis is optional: commands time out after [`COMMAND_TIMEOUT`], and without Redis the service
//! continues with PostgreSQL alone. The time in which this process is too busy to receive a response does
//! not count (`timeout.rs`). Failed commands are counted ([`Redis::failure_count`]), because
//! after a failure the content of Redis is uncertain; the cache checks that count.

#[cfg(test)]
mod tests;
mod timeout;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    Arg, AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, RedisResult, cmd,
};
use deadpool_redis::{Config, Pool, PoolConfig, Runtime};
use tokio_util::sync::CancellationToken;

use crate::traces::{self, ChildSpan};
use timeout::timeout;

/// Timeout of a command, 50 ms.
pub const COMMAND_TIMEOUT: Duration = Duration::from_millis(50);

const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(200);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);
/// One ping runs at a time.
const POOL_SIZE: usize = 1;

/// Handle to a Redis server, or to none if `REDIS_URL` is empty. Clones share the state.
#[derive(Clone, Default)]
pub struct Redis(Option<Arc<Server>>);

struct Server {
    client: Client,
    pool: Pool,
    shared_connection: RwLock<Option<MultiplexedConnection>>,
    up: AtomicBool,
    failures: AtomicU64,
}

/// State of the connection to Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisStatus {
    /// `REDIS_URL` is empty.
    NotConfigured,
    /// The last heartbeat succeeded.
    Connected,
    /// The last heartbeat failed.
    Unavailable,
}

impl Redis {
    /// Creates a handle to the server at `url`, which connects when [`Redis::run_heartbeat`] runs.
    ///
    /// # Errors
    /// Returns an error if the URL is invalid.
    pub fn new(url: Option<&str>) -> Result<Self, RedisError> {
        let Some(url) = url else { return Ok(Self::default()) };
        let client = Client::open(url)?;
        let mut config = Config::from_url(url);
        // The heartbeat has a timeout for all of it.
        config.pool = Some(PoolConfig { max_size: POOL_SIZE, ..PoolConfig::default() });
        let pool = config
            .create_pool(Some(Runtime::Tokio1))
            .map_err(|e| std::io::Error::other(e.to_string()))?;
        Ok(Self(Some(Arc::new(Server {
            client,
            pool,
            shared_connection: RwLock::default(),
            up: AtomicBool::new(false),
            failures: AtomicU64::new(0),
        }))))
    }

    /// Returns the result of the last heartbeat.
    pub fn status(&self) -> RedisStatus {
        match &self.0 {
            None => RedisStatus::NotConfigured,
            Some(server) if server.up.load(Ordering::Relaxed) => RedisStatus::Connected,
            Some(_) => RedisStatus::Unavailable,
        }
    }

    /// Returns the number of failed commands and heartbeats; `None` if Redis is not configured.
    pub fn failure_count(&self) -> Option<u64> {
        self.0.as_ref().map(|server| server.failures.load(Ordering::SeqCst))
    }

    /// Returns the number of connections in the heartbeat's pool: (in use, idle).
    pub fn pool_usage(&self) -> (usize, usize) {
        let Some(server) = &self.0 else { return (0, 0) };
        let status = server.pool.status();
        (status.size.saturating_sub(status.available), status.available)
    }

    /// Executes a command on the shared connection. Returns `None` if Redis is unavailable, or if
    /// the command fails or exceeds [`COMMAND_TIMEOUT`], which is counted as a failure.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let server = self.0.as_ref()?;
        let mut connection = server.connection()?;
        let _span = span_of(command);
        server.with_timeout(command.query_async(&mut connection)).await
    }

    /// Sends a `PING` on the shared connection; returns whether it was answered.
    pub async fn ping(&self) -> bool {
        self.query::<String>(&cmd("PING")).await.is_some()
    }

    /// Opens a connection of its own for blocking commands such as `BLPOP`.
    ///
    /// # Errors
    /// Returns an error if Redis is not configured or cannot be connected.
    pub async fn dedicated_connection(&self) -> Result<MultiplexedConnection, String> {
        let server = self.0.as_ref().ok_or("Redis is not configured")?;
        timeout(CONNECT_TIMEOUT, server.connect()).await.map_err(|e| e.to_string())
    }

    /// Executes a command like [`Redis::query`], and if that fails, once more on a new connection,
    /// all within [`COMMAND_TIMEOUT`]. For commands whose effect other processes depend
    /// on, such as an invalidation: those processes may still be connected when this one is not.
    pub async fn execute_with_retry<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let server = self.0.as_ref()?;
        let attempts = async {
            if let Some(value) = self.query(command).await {
                return Ok(value);
            }
            let mut connection = server.connect().await?;
            command.query_async(&mut connection).await
        };
        server.with_timeout(attempts).await
    }

    /// Counts a failure that another process had, so that the content of Redis is uncertain here too.
    pub fn count_failure(&self) {
        if let Some(server) = &self.0 {
            server.failures.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Sends a `PING` every 200 ms and reconnects after failures, until shutdown.
    pub async fn run_heartbeat(self, shutdown: CancellationToken) {
        let Some(server) = self.0 else { return };
        let mut was_up = None;
        while !shutdown.is_cancelled() {
            let result = server.check_connection().await;
            let is_up = result.is_ok();
            server.up.store(is_up, Ordering::Relaxed);
            match (was_up.replace(is_up), result) {
                (Some(true), Err(error)) => tracing::warn!(
                    %error,
                    "Redis connection lost; bypassing the cache, retrying every {HEARTBEAT_INTERVAL:?}"
                ),
                (None, Err(error)) => tracing::warn!(
                    %error,
                    "Redis unavailable; bypassing the cache, retrying every {HEARTBEAT_INTERVAL:?}"
                ),
                (None | Some(false), Ok(())) => tracing::info!("connected to Redis"),
                (Some(true), Ok(())) | (Some(false), Err(_)) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(HEARTBEAT_INTERVAL) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }
}

/// Starts the span of a command, which has its name but not its arguments.
fn span_of(command: &Cmd) -> ChildSpan {
    traces::child("redis", || match command.args_iter().next() {
        Some(Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned().into(),
        _ => "command".into(),
    })
}

impl Server {
    async fn with_timeout<T>(&self, command: impl Future<Output = RedisResult<T>>) -> Option<T> {
        match timeout(COMMAND_TIMEOUT, command).await {
            Ok(value) => Some(value),
            Err(error) => {
                tracing::debug!(%error, "Redis command failed");
                self.record_failure();
                None
            }
        }
    }

    fn connection(&self) -> Option<MultiplexedConnection> {
        self.shared_connection.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a failure and drops the shared connection, the result of whose last commands is
    /// unknown.
    fn record_failure(&self) {
        self.failures.fetch_add(1, Ordering::SeqCst);
        self.shared_connection.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    async fn check_connection(&self) -> RedisResult<()> {
        let result = timeout(CONNECT_TIMEOUT, self.ping()).await;
        if result.is_err() {
            self.record_failure();
            return result;
        }
        if self.connection().is_none() {
            let connection = timeout(CONNECT_TIMEOUT, self.connect()).await?;
            *self.shared_connection.write().unwrap_or_else(PoisonError::into_inner) =
                Some(connection);
        }
        Ok(())
    }

    async fn ping(&self) -> RedisResult<()> {
        let mut connection =
            self.pool.get().await.map_err(|e| std::io::Error::other(e.to_string()))?;
        cmd("PING").query_async::<String>(&mut connection).await.map(drop)
    }

    /// Opens a connection without timeouts: callers have theirs.
    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }
}
