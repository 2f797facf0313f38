//! A connection beside the pool of the requests for the performance agent, which must work when the
//! pool is exhausted.

use std::time::Duration;

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use super::{Db, switch_role};
use crate::error::{Error, Result};

/// Timeout for acquiring the connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(500);

/// `statement_timeout` in milliseconds: a collection must end within 3 s.
const STATEMENT_TIMEOUT: &str = "500";

/// The connection is closed when it was not used for this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns a pool of one connection, which is opened on first use.
pub(super) fn pool(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(1)
        // sqlx 0.9.0 can spin when it reaps idle connections below a minimum.
        .min_connections(0)
        .idle_timeout(IDLE_TIMEOUT)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move { switch_role(connection, STATEMENT_TIMEOUT).await })
        })
        .connect_lazy_with(options)
}

impl Db {
    /// Acquires the connection of the performance agent, which no request uses. It has the role of
    /// the service, and short timeouts.
    ///
    /// # Errors
    /// [`Error::Unavailable`] at once if the last heartbeat failed; a database error if the connection
    /// is used for more than 500 ms or cannot be opened.
    pub async fn acquire_monitor(&self) -> Result<PoolConnection<Postgres>> {
        if !self.is_up() {
            return Err(Error::database_unavailable());
        }
        Ok(self.shared.monitor.acquire().await?)
    }
}
