//! Redis: a small pool, and a heartbeat that tells whether it is there.
//!
//! Redis is never in the way: without it the service goes on from PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_redis::redis::{RedisError, cmd};
use deadpool_redis::{Config, Pool, PoolConfig, Runtime, Timeouts};
use tokio_util::sync::CancellationToken;

const BEAT: Duration = Duration::from_millis(500);
const BEAT_TIMEOUT: Duration = Duration::from_millis(250);
const POOL_SIZE: usize = 4;

/// The shared cache's server, if there is to be one. Clones share everything.
#[derive(Clone, Default)]
pub struct Redis {
    pool: Option<Pool>,
    up: Arc<AtomicBool>,
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
    /// A handle on the server at `url`; connects when first used.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn new(url: Option<&str>) -> Result<Self, RedisError> {
        let Some(url) = url else { return Ok(Self::default()) };
        // Read the URL first: the pool's own error would not say what is wrong with it.
        deadpool_redis::redis::Client::open(url)?;
        let mut config = Config::from_url(url);
        let wait = Some(BEAT_TIMEOUT);
        config.pool = Some(PoolConfig {
            max_size: POOL_SIZE,
            timeouts: Timeouts { wait, create: wait, recycle: wait },
            ..PoolConfig::default()
        });
        let pool = config.create_pool(Some(Runtime::Tokio1)).ok();
        Ok(Self { pool, up: Arc::default() })
    }

    /// How the last heartbeat went.
    pub fn status(&self) -> RedisStatus {
        match (&self.pool, self.up.load(Ordering::Relaxed)) {
            (None, _) => RedisStatus::NotConfigured,
            (Some(_), true) => RedisStatus::Connected,
            (Some(_), false) => RedisStatus::Away,
        }
    }

    /// Connections of the pool: in use, idle.
    pub fn pool_use(&self) -> (usize, usize) {
        let Some(pool) = &self.pool else { return (0, 0) };
        let status = pool.status();
        (status.size.saturating_sub(status.available), status.available)
    }

    /// Beats until `stop`.
    pub async fn beat(self, stop: CancellationToken) {
        let Some(pool) = &self.pool else { return };
        while !stop.is_cancelled() {
            let answered = tokio::time::timeout(BEAT_TIMEOUT, ping(pool)).await.unwrap_or(false);
            let was_up = self.up.swap(answered, Ordering::Relaxed);
            match (was_up, answered) {
                (true, false) => tracing::warn!("Redis is away; going on without the cache"),
                (false, true) => tracing::info!("Redis is connected"),
                _ => {}
            }
            tokio::select! {
                () = tokio::time::sleep(BEAT) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

async fn ping(pool: &Pool) -> bool {
    match pool.get().await {
        Ok(mut connection) => cmd("PING")
            .query_async::<String>(&mut connection)
            .await
            .is_ok_and(|pong| pong == "PONG"),
        Err(_) => false,
    }
}
