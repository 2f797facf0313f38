//! Sessions: what a login begins, a refresh goes on with, and a logout ends.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::login::{FAILURES_MAX, WINDOW};
use super::{Me, User, sql};
use crate::access;
use crate::clock::Clock;
use crate::customers::CustomerId;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::state::Gate;
use crate::token::{ACCESS_LIFETIME, Holder, REFRESH_LIFETIME};

const SWEEP_EVERY: Duration = Duration::from_secs(3600);
const ENDED: Error = Error::Unauthenticated("the session has ended; log in again");

/// A session with its tokens.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct Login {
    /// To be sent as `Authorization: Bearer …` with everything else.
    #[schema(example = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoiYWNjZXNzIn0.c2lnbmF0dXJl")]
    pub access_token: String,
    /// For the next two tokens, once.
    #[schema(example = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl")]
    pub refresh_token: String,
    /// How the access token is sent: `bearer`.
    #[schema(example = "bearer")]
    pub token_type: &'static str,
    /// Seconds that the access token is good for.
    #[schema(example = 900)]
    pub expires_in: i64,
    /// Seconds that the refresh token is good for.
    #[schema(example = 2_592_000)]
    pub refresh_expires_in: i64,
    /// The session.
    pub session_id: Uuid,
    /// The account.
    pub user: User,
}

/// The refresh token of a session.
#[derive(Clone, Deserialize, utoipa::ToSchema)]
pub struct Refresh {
    /// As the login or the last refresh answered it.
    #[schema(
        example = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl",
        max_length = 4096
    )]
    pub refresh_token: String,
}

/// An account, with what is not for others.
pub struct Known {
    pub user: User,
    pub customer: CustomerId,
    pub password_hash: String,
}

impl Known {
    /// [`Error::Forbidden`] for an account that may not log in, for all that its password is right.
    pub fn refuse_unless_welcome(&self, verification: bool) -> Result<()> {
        if !self.user.is_active {
            return Err(Error::Forbidden("this account is not active"));
        }
        if verification && !self.user.is_verified {
            return Err(Error::Forbidden("this account's address is not verified yet"));
        }
        Ok(())
    }
}

/// A session's row.
pub struct Row {
    pub id: Uuid,
    pub account_id: Uuid,
    pub refresh_hash: [u8; 32],
    pub now: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// The tokens of a session from `now` on, and the row that goes with them.
fn issue(gate: &Gate, known: Known, id: Uuid, now: DateTime<Utc>) -> Result<(Login, Row)> {
    let holder = Holder {
        account: known.user.id,
        session: id,
        role: known.user.role,
        customer: known.customer.0,
    };
    let refresh_token = gate.tokens.issue_refresh(&holder, now)?;
    let row = Row {
        id,
        account_id: known.user.id,
        refresh_hash: hash(&refresh_token),
        now,
        expires_at: now + REFRESH_LIFETIME,
    };
    let login = Login {
        access_token: gate.tokens.issue_access(&holder, now)?,
        refresh_token,
        token_type: "bearer",
        expires_in: ACCESS_LIFETIME.num_seconds(),
        refresh_expires_in: REFRESH_LIFETIME.num_seconds(),
        session_id: id,
        user: known.user,
    };
    Ok((login, row))
}

/// A refresh token's own randomness makes a plain hash of it as good as a slow one.
fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Begins a session and, where there were `failures`, forgets them. `None` when too many came in
/// while the password was verified.
pub(super) async fn begin(
    connection: &mut PgConnection,
    clock: &Clock,
    gate: &Gate,
    known: Known,
    failures: bool,
) -> Result<Option<Login>> {
    let now = clock.now();
    let email = known.user.email.clone();
    let (login, row) = issue(gate, known, clock.new_id(), now)?;
    let open = sql::Open { email: &email, failures: FAILURES_MAX, after: now - WINDOW };
    if !sql::insert_session(&mut *connection, &row, &open).await? {
        return Ok(None);
    }
    if failures {
        sql::forget_failures(&mut *connection, &email).await?;
    }
    Ok(Some(login))
}

/// The next tokens of a session, in exchange for its refresh token.
///
/// # Errors
/// [`Error::Unauthenticated`] when the token is none, has expired, or was used before, which ends
/// the session; [`Error::Forbidden`] when the account may not log in any more.
pub async fn refresh(db: &Db, clock: &Clock, gate: &Gate, sent: &Refresh) -> Result<Login> {
    let now = clock.now();
    let holder = gate.tokens.read_refresh(&sent.refresh_token, now)?;
    let mut connection = db.acquire().await?;
    let known = sql::find(&mut *connection, holder.account).await?.ok_or(ENDED)?;
    known.refuse_unless_welcome(gate.verification)?;
    let (login, row) = issue(gate, known, holder.session, now)?;
    if sql::rotate(&mut *connection, &row, &hash(&sent.refresh_token)).await? {
        return Ok(login);
    }
    // It is well signed, but not the newest of its session: it was used before.
    if sql::revoke(&mut *connection, holder.session, now).await? {
        tracing::warn!(session = %holder.session, "a used refresh token came again");
    }
    Err(ENDED)
}

/// Ends the caller's session.
///
/// # Errors
/// Database errors.
pub async fn logout(db: &Db, clock: &Clock, account: &access::Account) -> Result<()> {
    let mut connection = db.acquire().await?;
    sql::revoke(&mut *connection, account.session, clock.now()).await?;
    Ok(())
}

/// The caller's own account.
///
/// # Errors
/// [`Error::Unauthenticated`] when its session has ended.
pub async fn me(db: &Db, account: &access::Account) -> Result<Me> {
    let mut connection = db.acquire().await?;
    sql::find_me(&mut *connection, account.id, account.session).await?.ok_or(ENDED)
}

/// Forgets sessions and failed logins that no longer matter, now and then, until `stop`.
pub async fn sweep(db: Db, clock: Clock, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = forget_old(&db, &clock).await {
            tracing::warn!(%error, "old sessions stay for now");
        }
    }
}

pub(super) async fn forget_old(db: &Db, clock: &Clock) -> Result<()> {
    let mut connection = db.acquire().await?;
    sql::delete_expired(&mut *connection, clock.now()).await?;
    sql::delete_failures_before(&mut *connection, clock.now() - WINDOW).await?;
    Ok(())
}
