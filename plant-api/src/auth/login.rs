//! Login, with limits on failed attempts.
//!
//! An email without an account takes the same statements, the same hashing and the same response as
//! one with an account. After too many failed logins ([`Limits`]), logins are refused until the
//! minute ends, also with the right password. The failures are counted in the database, which all
//! replicas share. They are checked again after the password has been verified, so that concurrent
//! attempts get no more guesses than consecutive ones.

use std::time::Duration;

use super::failed_logins::{FAILED_LOGIN_WINDOW, Limits, Origin, too_many_failures};
use super::session;
use super::{Credentials, MAX_PASSWORD_CHARS, normalize_email, sql};
use crate::check::{Checks, MAX_NAME_CHARS};
use crate::error::{Error, Result};
use crate::limit::ClientIp;
use crate::passwords::Verification;
use crate::state::AppState;
use crate::write::{StoredResponse, WriteTransaction};

/// Verifies the credentials and starts a session.
///
/// # Errors
/// [`Error::Unauthenticated`] for an unknown email as for a wrong password, [`Error::Forbidden`]
/// when the account is inactive or not verified, [`Error::RateLimited`] after too many failures,
/// [`Error::Unavailable`] when the hashing queue is too long.
pub async fn login(
    state: &AppState,
    client: ClientIp,
    credentials: Credentials,
) -> Result<StoredResponse> {
    let (clock, policy) = (&state.clock, &state.access_policy);
    let Credentials { email, password } = credentials;
    let origin = Origin { email: normalize_email(&email), client: client.key().to_string() };
    let mut checks = Checks::default();
    checks.require(!origin.email.is_empty(), "email", "email", "must not be empty");
    checks.max_chars("email", &origin.email, MAX_NAME_CHARS);
    checks.max_chars("password", &password, MAX_PASSWORD_CHARS);
    checks.into_result()?;
    let slot = policy.password_hasher.reserve(client.key())?;

    let found = {
        let mut connection = state.db.for_requests().acquire().await?;
        sql::find_login(&mut *connection, &origin).await?
    };
    let limits = Limits::new(found.is_known_client);
    limits.check(&found.failures, clock.now())?;
    let hash = found.record.as_ref().map(|record| record.password_hash.clone());
    // No database connection is held during the hashing.
    let Verification { matches, new_hash } = slot.verify(password, hash.clone()).await?;

    let mut tx = WriteTransaction::without_key(state).await?;
    if let Some(record) = found.record.filter(|_| matches) {
        if let Err(error) = record.check_may_log_in(policy.require_verification) {
            // The error confirms the password, so it is subject to the limits as well.
            let found = sql::find_login(&mut *tx, &origin).await?;
            limits.check(&found.failures, clock.now())?;
            return Err(error);
        }
        let id = record.account.id;
        let attempt = session::Attempt { origin: &origin, limits, failures: &found.failures };
        if let Some(tokens) = session::start(&mut tx, clock, policy, record, &attempt).await? {
            if let (Some(old_hash), Some(new_hash)) = (hash, new_hash) {
                sql::replace_password_hash(&mut *tx, id, &old_hash, &new_hash).await?;
            }
            return tx.finish(StoredResponse::json(&tokens)?).await;
        }
    }
    // A right password that was refused is counted like a wrong one, so that the response does not
    // confirm it.
    let now = clock.now();
    let window_start = now - FAILED_LOGIN_WINDOW;
    let failures = sql::count_failure(&mut *tx, &origin, now, window_start).await?;
    tx.finish(StoredResponse::no_content()).await?;
    limits.check(&failures, now)?;
    if matches {
        // The window has ended since the session was refused.
        return Err(too_many_failures(Duration::ZERO));
    }
    Err(Error::Unauthenticated("the email or the password is wrong"))
}
