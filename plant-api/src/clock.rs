//! The clock, passed as an argument: the system clock, or in tests one that stands still
//! until it is moved.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use uuid::{NoContext, Timestamp, Uuid};

/// Source of the current time.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    #[default]
    System,
    /// A clock that changes only by [`Clock::advance`].
    Fixed(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    /// Creates a clock that is fixed at `moment`.
    pub fn fixed(moment: DateTime<Utc>) -> Self {
        Self::Fixed(Arc::new(Mutex::new(moment)))
    }

    /// Returns the current time, truncated to microseconds, the resolution of PostgreSQL.
    pub fn now(&self) -> DateTime<Utc> {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = match self {
            Self::System => Utc::now(),
            Self::Fixed(moment) => *moment.lock().unwrap_or_else(PoisonError::into_inner),
        };
        now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
    }

    /// Returns a new UUIDv7 of the current time.
    pub fn new_id(&self) -> Uuid {
        match self {
            Self::System => Uuid::now_v7(),
            Self::Fixed(_) => id_at(self.now()),
        }
    }

    /// Advances a fixed clock; does nothing to the system clock.
    pub fn advance(&self, by: TimeDelta) {
        if let Self::Fixed(moment) = self {
            *moment.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }
}

fn id_at(moment: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(moment.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, moment.timestamp_subsec_nanos()))
}
