//! Login, with a limit on failed attempts per email.
//!
//! An email without an account takes the same statements, the same hashing and the same response as
//! one with an account. After five failed logins within a minute, all logins with the email are
//! refused for the rest of that minute, also with the right password. The failures are counted in
//! the database, which all replicas share. They are checked again after the password has been
//! verified, so that concurrent attempts get no more guesses than consecutive ones.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::session::{self, TokenResponse};
use super::{Credentials, MAX_PASSWORD_CHARS, normalize_email, sql};
use crate::check::{Checks, MAX_NAME_CHARS};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::state::Gate;

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
    /// Returns [`Error::RateLimited`] when more than `max` failed in the minute before `now`.
    fn check_limit(self, max: i32, now: DateTime<Utc>) -> Result<()> {
        let remaining = (self.since + FAILED_LOGIN_WINDOW - now).to_std().unwrap_or_default();
        if self.count > max && !remaining.is_zero() {
            Err(too_many_failures(remaining))
        } else {
            Ok(())
        }
    }
}

fn too_many_failures(retry_after: Duration) -> Error {
    Error::RateLimited { what: "too many failed logins with this email", retry_after }
}

/// Verifies the credentials and starts a session.
///
/// # Errors
/// [`Error::Unauthenticated`] for an unknown email as for a wrong password, [`Error::Forbidden`]
/// when the account is inactive or not verified, [`Error::RateLimited`] after too many failures,
/// [`Error::Unavailable`] when the hashing queue is too long.
pub async fn login(
    db: &Db,
    clock: &Clock,
    policy: &Gate,
    credentials: Credentials,
) -> Result<TokenResponse> {
    let email = normalize_email(&credentials.email);
    let mut checks = Checks::default();
    checks.at_most("email", &email, MAX_NAME_CHARS);
    checks.at_most("password", &credentials.password, MAX_PASSWORD_CHARS);
    checks.done()?;
    let slot = policy.passwords.reserve()?;

    let (record, failures) = {
        let mut connection = db.acquire().await?;
        sql::find_login(&mut *connection, &email).await?
    };
    if let Some(failures) = failures {
        failures.check_limit(MAX_FAILED_LOGINS - 1, clock.now())?;
    }
    let hash = record.as_ref().map(|record| record.password_hash.clone());
    // No database connection is held during the hashing.
    let password_matches = slot.verify(credentials.password, hash).await?;

    let now = clock.now();
    let mut connection = db.acquire().await?;
    let record = match record {
        Some(record) if password_matches => record,
        _ => {
            let failures =
                sql::count_failure(&mut *connection, &email, now, now - FAILED_LOGIN_WINDOW)
                    .await?;
            failures.check_limit(MAX_FAILED_LOGINS, now)?;
            return Err(Error::Unauthenticated("the email or the password is wrong"));
        }
    };
    record.check_may_log_in(policy.verification)?;
    let had_failures = failures.is_some();
    let tokens = session::start(&mut connection, clock, policy, record, had_failures).await?;
    tokens.ok_or_else(|| too_many_failures(FAILED_LOGIN_WINDOW.to_std().unwrap_or_default()))
}
