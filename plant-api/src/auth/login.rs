//! Login, with a limit on failed attempts per email.
//!
//! An email without an account takes the same statements, the same hashing and the same response as
//! one with an account. After five failed logins within a minute, all logins with the email are
//! refused for the rest of that minute, also with the right password. The failures are counted in
//! the database, which all replicas share. They are checked again after the password has been
//! verified, so that concurrent attempts get no more guesses than consecutive ones.

use super::failed_logins::{FAILED_LOGIN_WINDOW, MAX_FAILED_LOGINS, too_many_failures};
use super::session::{self, TokenResponse};
use super::{Credentials, MAX_PASSWORD_CHARS, normalize_email, sql};
use crate::check::{Checks, MAX_NAME_CHARS};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::state::AccessPolicy;

/// Verifies the credentials and starts a session.
///
/// # Errors
/// [`Error::Unauthenticated`] for an unknown email as for a wrong password, [`Error::Forbidden`]
/// when the account is inactive or not verified, [`Error::RateLimited`] after too many failures,
/// [`Error::Unavailable`] when the hashing queue is too long.
pub async fn login(
    db: &Db,
    clock: &Clock,
    policy: &AccessPolicy,
    credentials: Credentials,
) -> Result<TokenResponse> {
    let email = normalize_email(&credentials.email);
    let mut checks = Checks::default();
    checks.max_chars("email", &email, MAX_NAME_CHARS);
    checks.max_chars("password", &credentials.password, MAX_PASSWORD_CHARS);
    checks.into_result()?;
    let slot = policy.password_hasher.reserve()?;

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
    record.check_may_log_in(policy.require_verification)?;
    let had_failures = failures.is_some();
    let tokens = session::start(&mut connection, clock, policy, record, had_failures).await?;
    tokens.ok_or_else(|| too_many_failures(FAILED_LOGIN_WINDOW.to_std().unwrap_or_default()))
}
