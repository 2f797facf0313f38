//! The statement timeout of the pool's connections, which can be changed. A connection gets the
//! timeout when it is opened; one that was opened before the last change is closed instead of being used again, so that
//! no statement needs a further round trip.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::switch_role;

#[derive(Debug)]
pub(super) struct StatementTimeout {
    started: Instant,
    millis: AtomicU64,
    /// Time of the last change, in microseconds after `started`; zero: none.
    changed_at: AtomicU64,
}

impl StatementTimeout {
    pub(super) fn new(timeout: Duration) -> Self {
        let millis = AtomicU64::new(millis(timeout));
        Self { started: Instant::now(), millis, changed_at: AtomicU64::new(0) }
    }

    /// Changes the timeout of statements that begin on a connection acquired from now on.
    pub(super) fn set(&self, timeout: Duration) {
        let millis = millis(timeout);
        if self.millis.swap(millis, Ordering::SeqCst) != millis {
            let now = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.changed_at.store(now.max(1), Ordering::SeqCst);
        }
    }

    /// Returns whether a connection of this age was opened after the last change.
    pub(super) fn opened_after_change(&self, age: Duration) -> bool {
        let changed_at = Duration::from_micros(self.changed_at.load(Ordering::SeqCst));
        changed_at.is_zero() || self.started.elapsed().saturating_sub(age) > changed_at
    }

    /// Prepares a new connection: switches its role and sets the timeout, again if it changes meanwhile.
    pub(super) async fn prepare(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        loop {
            let millis = self.millis.load(Ordering::SeqCst);
            switch_role(connection, &millis.to_string()).await?;
            if self.millis.load(Ordering::SeqCst) == millis {
                return Ok(());
            }
        }
    }
}

fn millis(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)
}
