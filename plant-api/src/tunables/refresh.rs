//! The values in force in this process follow the stored ones.

use std::time::Duration;

use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use super::{InForce, Tunables, change, sql};
use crate::db::Db;
use crate::error::Result;

/// Interval at which the stored values are read without a notification, and the version is reported.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Delay before the values are read again after a failure.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// A process that has not reported for this long has ended.
const REPORT_LIFETIME: Duration = Duration::from_secs(15);

/// Timeout for deleting the report of a process that stops.
const REMOVE_TIMEOUT: Duration = Duration::from_millis(500);

impl Tunables {
    /// Reads the stored values, applies them, and reports their version, on the connection beside the
    /// pool, so that a change can end an overload.
    ///
    /// # Errors
    /// As [`Db::acquire_monitor`]; database errors.
    pub async fn refresh(&self, db: &Db) -> Result<()> {
        let mut connection = db.acquire_monitor().await?;
        let rows = sql::list(&mut *connection).await?;
        let version = rows.first().map_or(0, |row| row.version);
        let settings =
            rows.iter().filter_map(|row| Some((row.name.clone()?, change::setting(row))));
        let values = InForce::new(self.catalogue(), version, &settings.collect());
        db.set_statement_timeout(values.statement_timeout);
        let changed = self.0.in_force.send_if_modified(|current| {
            let previous = std::mem::replace(current, values);
            *current != previous
        });
        self.0.version.set(version);
        if changed {
            tracing::info!(version, "tunables changed");
        }
        Ok(sql::report(&mut *connection, self.0.process, version, REPORT_LIFETIME).await?)
    }

    /// Refreshes the values after each notification, and at intervals, until shutdown.
    pub async fn run_refresh(self, db: Db, shutdown: CancellationToken) {
        self.run_refresh_every(POLL_INTERVAL, db, shutdown).await;
    }

    /// As [`Tunables::run_refresh`], with this interval instead of [`POLL_INTERVAL`].
    pub(super) async fn run_refresh_every(
        self,
        interval: Duration,
        db: Db,
        shutdown: CancellationToken,
    ) {
        let mut notifications = db.tunable_notifications();
        loop {
            notifications.mark_unchanged();
            let delay = match self.refresh(&db).await {
                Ok(()) => interval,
                Err(error) => {
                    tracing::debug!(%error, "reading the tunables failed; retrying in {RETRY_DELAY:?}");
                    RETRY_DELAY
                }
            };
            tokio::select! {
                // The sender is dropped with the database only.
                Ok(()) = notifications.changed() => {}
                () = tokio::time::sleep(delay) => {}
                () = shutdown.cancelled() => break,
            }
        }
        let remove = async {
            let mut connection = db.acquire_monitor().await?;
            Ok::<_, crate::error::Error>(sql::remove(&mut *connection, self.0.process).await?)
        };
        // Otherwise the report expires.
        let _ = tokio::time::timeout(REMOVE_TIMEOUT, remove).await;
    }

    /// Returns whether all processes that have reported lately apply this version or a later one. This
    /// process must be one of them: if it cannot report, others may not be able to either.
    ///
    /// # Errors
    /// Database errors.
    pub async fn is_in_force_everywhere(
        &self,
        connection: &mut PgConnection,
        version: i64,
    ) -> Result<bool> {
        Ok(sql::is_applied(connection, self.0.process, version, REPORT_LIFETIME).await?)
    }
}
