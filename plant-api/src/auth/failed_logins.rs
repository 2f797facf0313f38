//! Limits on failed logins.
//!
//! A failed login is counted three times: for the client with the email, for the email, and for the
//! client. A client from which the account has logged in before is limited by the first count only,
//! so failed logins from other addresses do not lock its owner out.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::{Error, Result};

/// Email and client of a login, by which failures are counted.
pub struct Origin {
    /// Email, trimmed and in lower case; not empty.
    pub email: String,
    /// Key of the client, see [`ClientIp::key`](crate::limit::ClientIp::key).
    pub client: String,
}

/// Period in which failed logins are counted, from the first one.
pub const FAILED_LOGIN_WINDOW: TimeDelta = TimeDelta::minutes(1);

/// Numbers of failed logins within [`FAILED_LOGIN_WINDOW`] after which logins are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of one client with one email.
    pub per_client_and_email: i32,
    /// Of all clients with one email.
    pub per_email: i32,
    /// Of one client with all emails.
    pub per_client: i32,
}

impl Limits {
    const UNKNOWN_CLIENT: Self = Self { per_client_and_email: 5, per_email: 50, per_client: 100 };
    const KNOWN_CLIENT: Self =
        Self { per_email: i32::MAX, per_client: i32::MAX, ..Self::UNKNOWN_CLIENT };

    /// Returns the limits of a client, by whether the account has logged in from it before.
    pub fn new(is_known_client: bool) -> Self {
        if is_known_client { Self::KNOWN_CLIENT } else { Self::UNKNOWN_CLIENT }
    }

    /// Checks that none of `counts` has reached its limit.
    ///
    /// # Errors
    /// [`Error::RateLimited`] until the window of each count that has reached its limit ends.
    pub fn check(self, counts: &[FailedLogins], now: DateTime<Utc>) -> Result<()> {
        let reached = counts.iter().filter(|counted| counted.count >= self.limit_of(counted));
        match reached.map(|counted| counted.remaining(now)).max() {
            Some(remaining) if !remaining.is_zero() => Err(too_many_failures(remaining)),
            _ => Ok(()),
        }
    }

    fn limit_of(self, counted: &FailedLogins) -> i32 {
        match (counted.email.is_empty(), counted.client.is_empty()) {
            (false, false) => self.per_client_and_email,
            (false, true) => self.per_email,
            (true, _) => self.per_client,
        }
    }
}

/// Failed logins of a client with an email in the current window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedLogins {
    /// Empty: with all emails.
    pub email: String,
    /// Empty: of all clients.
    pub client: String,
    pub count: i32,
    /// Time of the first one.
    pub since: DateTime<Utc>,
}

impl FailedLogins {
    /// Returns the time until the window ends; zero after its end.
    fn remaining(&self, now: DateTime<Utc>) -> Duration {
        (self.since + FAILED_LOGIN_WINDOW - now).to_std().unwrap_or_default()
    }
}

/// Returns the error for too many failed logins.
pub fn too_many_failures(retry_after: Duration) -> Error {
    Error::RateLimited { what: "too many failed logins", retry_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn failures(email: &str, client: &str, count: i32) -> FailedLogins {
        FailedLogins { email: email.into(), client: client.into(), count, since: SINCE }
    }

    fn retry_after(
        limits: Limits,
        counts: &[FailedLogins],
        now: DateTime<Utc>,
    ) -> Option<Duration> {
        match limits.check(counts, now) {
            Ok(()) => None,
            Err(Error::RateLimited { retry_after, .. }) => Some(retry_after),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn each_count_has_its_own_limit_and_a_known_client_only_one() {
        let minute = Some(Duration::from_secs(60));
        for (email, client, limit, known_client_is_limited) in
            [("asha", "192.0.2.1", 5, true), ("asha", "", 50, false), ("", "192.0.2.1", 100, false)]
        {
            let below = [failures(email, client, limit - 1)];
            let reached = [failures(email, client, limit)];
            assert_eq!(retry_after(Limits::new(false), &below, SINCE), None);
            assert_eq!(retry_after(Limits::new(false), &reached, SINCE), minute);
            let expected = minute.filter(|_| known_client_is_limited);
            assert_eq!(
                retry_after(Limits::new(true), &reached, SINCE),
                expected,
                "{email} {client}"
            );
        }
    }

    #[test]
    fn a_limit_applies_until_the_last_window_ends() {
        let limits = Limits::new(false);
        let later = FailedLogins { since: SINCE + TimeDelta::seconds(20), ..failures("a", "", 50) };
        let counts = [failures("a", "192.0.2.1", 5), later, failures("", "192.0.2.1", 99)];
        let at = |seconds| SINCE + TimeDelta::seconds(seconds);
        assert_eq!(retry_after(limits, &counts, at(30)), Some(Duration::from_secs(50)));
        assert_eq!(retry_after(limits, &counts, at(79)), Some(Duration::from_secs(1)));
        assert_eq!(retry_after(limits, &counts, at(80)), None);
    }
}
