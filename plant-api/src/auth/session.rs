//! Sessions: started by a login, extended by a refresh, revoked by a logout.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::failed_logins::{FAILED_LOGIN_WINDOW, FailedLogins, Limits, Origin};
use super::{AccountDetails, AccountRecord, AccountView, SessionRow, sql};
use crate::access;
use crate::cleanup;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::state::{AccessPolicy, AppState};
use crate::token::{ACCESS_TOKEN_LIFETIME, Claims, REFRESH_TOKEN_LIFETIME};
use crate::write::{StoredResponse, WriteTransaction};

const SESSION_ENDED: Error = Error::Unauthenticated("the session has ended; log in again");

/// The tokens of a session.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct TokenResponse {
    /// Access token, to be sent as `Authorization: Bearer <token>`.
    #[schema(example = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoiYWNjZXNzIn0.c2lnbmF0dXJl")]
    pub access_token: String,
    /// Refresh token, valid once.
    #[schema(example = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl")]
    pub refresh_token: String,
    /// Type of the access token: always `bearer`.
    #[schema(example = "bearer")]
    pub token_type: &'static str,
    /// Lifetime of the access token, in seconds.
    #[schema(example = 900)]
    pub expires_in: i64,
    /// Lifetime of the refresh token, in seconds.
    #[schema(example = 2_592_000)]
    pub refresh_expires_in: i64,
    /// Id of the session.
    pub session_id: Uuid,
    /// The account.
    pub user: AccountView,
}

/// Request for new tokens.
#[derive(Clone, Deserialize, utoipa::ToSchema)]
pub struct RefreshRequest {
    /// The refresh token from the login or the last refresh.
    #[schema(
        example = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl",
        max_length = 4096
    )]
    pub refresh_token: String,
}

/// Issues the tokens of session `id` and returns them with the row to be written.
fn issue_tokens(
    policy: &AccessPolicy,
    record: AccountRecord,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(TokenResponse, SessionRow)> {
    let claims = Claims {
        account: record.account.id,
        session: id,
        role: record.account.role,
        customer: record.customer.0,
    };
    let refresh_token = policy.tokens.issue_refresh_token(&claims, now)?;
    let row = SessionRow {
        id,
        account_id: record.account.id,
        refresh_hash: hash_token(&refresh_token),
        refreshed_at: now,
        expires_at: now + REFRESH_TOKEN_LIFETIME,
    };
    let response = TokenResponse {
        access_token: policy.tokens.issue_access_token(&claims, now)?,
        refresh_token,
        token_type: "bearer",
        expires_in: ACCESS_TOKEN_LIFETIME.num_seconds(),
        refresh_expires_in: REFRESH_TOKEN_LIFETIME.num_seconds(),
        session_id: id,
        user: record.account,
    };
    Ok((response, row))
}

/// Hashes a refresh token. It is random, so a fast hash is sufficient.
fn hash_token(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// A login with the right password.
pub(super) struct Attempt<'a> {
    pub origin: &'a Origin,
    pub limits: Limits,
    /// Failed logins before the password was verified.
    pub failures: &'a [FailedLogins],
}

/// Inserts a session and deletes the failed logins of this client with this email, if there are any.
/// Returns `None` when too many logins failed while the password was verified.
pub(super) async fn start(
    connection: &mut PgConnection,
    clock: &Clock,
    policy: &AccessPolicy,
    record: AccountRecord,
    attempt: &Attempt<'_>,
) -> Result<Option<TokenResponse>> {
    let now = clock.now();
    let Attempt { origin, limits, failures } = attempt;
    let (response, row) = issue_tokens(policy, record, clock.new_id(), now)?;
    let window_start = now - FAILED_LOGIN_WINDOW;
    if !sql::insert_session(&mut *connection, &row, origin, *limits, window_start).await? {
        return Ok(None);
    }
    let is_of_this_login =
        |counted: &FailedLogins| !counted.email.is_empty() && !counted.client.is_empty();
    if failures.iter().any(is_of_this_login) {
        sql::delete_failures(&mut *connection, origin).await?;
    }
    Ok(Some(response))
}

/// Exchanges a refresh token for the next tokens of its session.
///
/// # Errors
/// [`Error::Unauthenticated`] when the token is invalid, has expired, or was used before, which
/// revokes the session; [`Error::Forbidden`] when the account is inactive or not verified.
pub async fn refresh(state: &AppState, request: &RefreshRequest) -> Result<StoredResponse> {
    let (now, policy) = (state.clock.now(), &state.access_policy);
    let claims = policy.tokens.verify_refresh_token(&request.refresh_token, now)?;
    let mut tx = WriteTransaction::without_key(state).await?;
    let record = sql::find(&mut *tx, claims.account).await?.ok_or(SESSION_ENDED)?;
    record.check_may_log_in(policy.require_verification)?;
    let (tokens, row) = issue_tokens(policy, record, claims.session, now)?;
    if sql::rotate_refresh_token(&mut *tx, &row, &hash_token(&request.refresh_token)).await? {
        return tx.finish(StoredResponse::json(&tokens)?).await;
    }
    // The signature is valid, but it is not the current token of its session: it was used before.
    if sql::revoke(&mut *tx, claims.session, now).await? {
        tracing::warn!(session = %claims.session, "refresh token reused; session revoked");
    }
    tx.finish(StoredResponse::no_content()).await?;
    Err(SESSION_ENDED)
}

/// Revokes the caller's session.
///
/// # Errors
/// Database errors.
pub async fn logout(
    connection: &mut PgConnection,
    clock: &Clock,
    account: &access::AuthenticatedAccount,
) -> Result<()> {
    sql::revoke(connection, account.session, clock.now()).await?;
    Ok(())
}

/// Reads the caller's account.
///
/// # Errors
/// [`Error::Unauthenticated`] when the session was revoked.
pub async fn me(db: &Db, account: &access::AuthenticatedAccount) -> Result<AccountDetails> {
    let mut connection = db.acquire().await?;
    sql::find_details(&mut *connection, account.id, account.session).await?.ok_or(SESSION_ENDED)
}

/// Deletes up to [`cleanup::BATCH_SIZE`] expired sessions and up to as many old failed logins; returns
/// the larger of both numbers.
///
/// # Errors
/// Database errors.
pub async fn delete_expired(db: &Db, clock: &Clock) -> Result<u64> {
    let (now, limit) = (clock.now(), cleanup::BATCH_SIZE);
    let mut connection = db.acquire().await?;
    let sessions = sql::delete_expired_sessions(&mut *connection, now, limit).await?;
    let cutoff = now - FAILED_LOGIN_WINDOW;
    let failures = sql::delete_failures_before(&mut *connection, cutoff, limit).await?;
    Ok(sessions.max(failures))
}
