//! Redis: one connection that all cache traffic shares, a small pool for the rest, and a
//! heartbeat.
//!
//! Redis is never in the way: nothing waits for it longer than [`PATIENCE`], and without it the
//! service goes on from PostgreSQL. Every failed command counts as a loss ([`Redis::losses`]),
//! since from then on nobody here can say what Redis holds; the cache looks at that count.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, RedisResult, cmd,
};
use deadpool_redis::{Config, Pool, PoolConfig, Runtime, Timeouts};
use tokio_util::sync::CancellationToken;

/// Longest that anything waits for Redis.
pub const PATIENCE: Duration = Duration::from_millis(50);

const BEAT: Duration = Duration::from_millis(200);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);
const POOL_SIZE: usize = 4;

/// The shared cache's server, if there is to be one. Clones share everything.
#[derive(Clone, Default)]
pub struct Redis(Option<Arc<Server>>);

struct Server {
    client: Client,
    pool: Pool,
    shared: RwLock<Option<MultiplexedConnection>>,
    up: AtomicBool,
    losses: AtomicU64,
}

/// How Redis is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisStatus {
    /// No `REDIS_URL` was given.
    NotConfigured,
    /// The last heartbeat was answered.
    Connected,
    /// It was not.
    Away,
}

impl Redis {
    /// A handle on the server at `url`; connects once [`Redis::beat`] runs.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn new(url: Option<&str>) -> Result<Self, RedisError> {
        let Some(url) = url else { return Ok(Self::default()) };
        let client = Client::open(url)?;
        let mut config = Config::from_url(url);
        let wait = Some(CONNECT_TIMEOUT);
        config.pool = Some(PoolConfig {
            max_size: POOL_SIZE,
            timeouts: Timeouts { wait, create: wait, recycle: wait },
            ..PoolConfig::default()
        });
        let pool = config
            .create_pool(Some(Runtime::Tokio1))
            .map_err(|e| std::io::Error::other(e.to_string()))?;
        Ok(Self(Some(Arc::new(Server {
            client,
            pool,
            shared: RwLock::default(),
            up: AtomicBool::new(false),
            losses: AtomicU64::new(0),
        }))))
    }

    /// How the last heartbeat went.
    pub fn status(&self) -> RedisStatus {
        match &self.0 {
            None => RedisStatus::NotConfigured,
            Some(server) if server.up.load(Ordering::Relaxed) => RedisStatus::Connected,
            Some(_) => RedisStatus::Away,
        }
    }

    /// How often what Redis holds became uncertain; `None` where there is to be no Redis.
    pub fn losses(&self) -> Option<u64> {
        self.0.as_ref().map(|server| server.losses.load(Ordering::SeqCst))
    }

    /// Connections of the pool: in use, idle.
    pub fn pool_use(&self) -> (usize, usize) {
        let Some(server) = &self.0 else { return (0, 0) };
        let status = server.pool.status();
        (status.size.saturating_sub(status.available), status.available)
    }

    /// Sends one command on the shared connection. `None` when Redis is away or does not answer
    /// within [`PATIENCE`], which counts as a loss.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let server = self.0.as_ref()?;
        let mut connection = server.connection()?;
        server.within_patience(command.query_async(&mut connection)).await
    }

    /// A connection for commands that wait at the server, which nobody else uses.
    ///
    /// # Errors
    /// When there is no Redis, or it does not answer.
    pub async fn own_connection(&self) -> Result<MultiplexedConnection, String> {
        let server = self.0.as_ref().ok_or("there is to be no Redis")?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None);
        let connection = server.client.get_multiplexed_async_connection_with_config(&config).await;
        connection.map_err(|e| e.to_string())
    }
    /// As [`Redis::ask`], and if that fails or the shared connection is lost, tries once more on a
    /// connection of its own, all within [`PATIENCE`]: for what other processes must learn, which
    /// may have found Redis again already, or have never lost it.
    pub async fn insist<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let server = self.0.as_ref()?;
        let insist = async {
            if let Some(answer) = self.ask(command).await {
                return Ok(answer);
            }
            let mut own = server.client.get_multiplexed_async_connection().await?;
            command.query_async(&mut own).await
        };
        match tokio::time::timeout(PATIENCE, insist).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(_)) | Err(_) => {
                server.lose();
                None
            }
        }
    }

    /// Beats until `stop`, and connects again after a loss.
    pub async fn beat(self, stop: CancellationToken) {
        let Some(server) = self.0 else { return };
        while !stop.is_cancelled() {
            let answered = server.check().await;
            let was_up = server.up.swap(answered.is_ok(), Ordering::Relaxed);
            match answered {
                Err(error) if was_up => {
                    tracing::warn!(%error, "Redis is away; going on without the cache");
                }
                Ok(()) if !was_up => tracing::info!("Redis is connected"),
                _ => {}
            }
            tokio::select! {
                () = tokio::time::sleep(BEAT) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

impl Server {
    async fn within_patience<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> Option<T> {
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a Redis command failed");
                self.lose();
                None
            }
            Err(_) => {
                self.lose();
                None
            }
        }
    }

    fn connection(&self) -> Option<MultiplexedConnection> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives up the shared connection: what became of its last commands is not known.
    fn lose(&self) {
        self.losses.fetch_add(1, Ordering::SeqCst);
        self.shared.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    async fn check(&self) -> RedisResult<()> {
        let answered = tokio::time::timeout(CONNECT_TIMEOUT, self.ping()).await;
        let answered = answered.unwrap_or_else(|_| Err(no_answer()));
        if answered.is_err() {
            self.lose();
            return answered;
        }
        if self.connection().is_none() {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(PATIENCE));
            let connection =
                self.client.get_multiplexed_async_connection_with_config(&config).await?;
            *self.shared.write().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        }
        Ok(())
    }

    async fn ping(&self) -> RedisResult<()> {
        let mut connection =
            self.pool.get().await.map_err(|e| std::io::Error::other(e.to_string()))?;
        cmd("PING").query_async::<String>(&mut connection).await.map(drop)
    }
}

fn no_answer() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time").into()
}
