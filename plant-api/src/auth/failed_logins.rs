//! The limit on failed logins with one email.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::{Error, Result};

/// Failed logins within [`FAILED_LOGIN_WINDOW`] after which logins with the email are refused.
pub const MAX_FAILED_LOGINS: i32 = 5;
/// Period in which failed logins are counted, from the first one.
pub const FAILED_LOGIN_WINDOW: TimeDelta = TimeDelta::minutes(1);

/// Failed logins with one email in the current window.
#[derive(Debug, Clone, Copy)]
pub struct FailedLogins {
    pub count: i32,
    pub since: DateTime<Utc>,
}

impl FailedLogins {
    /// Checks that at most `max` logins failed in the window, if it has not ended before `now`.
    ///
    /// # Errors
    /// [`Error::RateLimited`] until the window ends.
    pub fn check_limit(self, max: i32, now: DateTime<Utc>) -> Result<()> {
        let remaining = (self.since + FAILED_LOGIN_WINDOW - now).to_std().unwrap_or_default();
        if self.count > max && !remaining.is_zero() {
            Err(too_many_failures(remaining))
        } else {
            Ok(())
        }
    }
}

/// Returns the error for an email with too many failed logins.
pub fn too_many_failures(retry_after: Duration) -> Error {
    Error::RateLimited { what: "too many failed logins with this email", retry_after }
}
