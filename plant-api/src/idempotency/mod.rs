//! `Idempotency-Key`: a POST that is sent again with the same key takes effect once.
//!
//! The key's row is written in the same transaction as the effect, so a crash loses both or
//! neither. While the first request is in progress, others with the same key wait for the lock on
//! that row. When it commits, they return its response; when it rolls back, one of them is executed
//! instead. Rows are kept for 24 hours.

mod sql;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::time::Duration;

use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::TimeDelta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};
use tokio_util::sync::CancellationToken;

use crate::access::Caller;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::etag;
use crate::extract::{read_body, read_json, require_json};
use crate::state::RequestLimits;

const HEADER_NAME: &str = "idempotency-key";
const MAX_KEY_BYTES: usize = 255;
const RETENTION: TimeDelta = TimeDelta::hours(24);
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3600);

/// Extractor of the body of a POST and of its idempotency key, if it has one.
#[derive(Debug, Clone)]
pub struct IdempotentRequest<T> {
    pub body: T,
    pub key: Option<Key>,
}

/// An idempotency key with the route and the body hash of its request.
#[derive(Debug, Clone)]
pub struct Key {
    key: String,
    route: String,
    request_hash: [u8; 32],
    /// Timeout for waiting for another request with the same key.
    lock_timeout: Duration,
}

impl<S, T> FromRequest<S> for IdempotentRequest<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
    RequestLimits: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        require_json(request.headers())?;
        let key = request.headers().get(HEADER_NAME).map(parse_key).transpose()?;
        let route = format!("{} {}", request.method(), request.uri().path());
        let limits = RequestLimits::from_ref(state);
        let body = read_body(request, &limits).await?;
        let key = key.map(|key| Key {
            key,
            route,
            request_hash: Sha256::digest(&body).into(),
            // Leaves time to respond before the request timeout.
            lock_timeout: limits.request_timeout.mul_f64(0.9),
        });
        Ok(Self { body: read_json(&body)?, key })
    }
}

impl Key {
    /// Replaces the hash of the request body with `map(hash)`, such as its HMAC. For bodies with a
    /// password an HMAC is required, because a plain hash allows guessing the password.
    #[must_use]
    pub fn map_request_hash(self, map: impl FnOnce(&[u8]) -> [u8; 32]) -> Self {
        Self { request_hash: map(&self.request_hash), ..self }
    }
}

fn parse_key(value: &HeaderValue) -> Result<String> {
    let text = value.to_str().unwrap_or_default();
    let visible = text.bytes().all(|b| b.is_ascii_graphic());
    if text.is_empty() || text.len() > MAX_KEY_BYTES || !visible {
        let message = "must be 1 to 255 visible ASCII characters";
        return Err(Error::invalid("Idempotency-Key", "shape", message));
    }
    Ok(text.to_owned())
}

/// Result of [`claim`].
pub enum Claim {
    /// The key was used before; this is its response.
    Replay(StoredResponse),
    /// The request is new and must be executed.
    New(Transaction),
}

/// The connection of a new request: inside a transaction if the request has a key, plain otherwise.
pub enum Transaction {
    /// Without a key: a connection, without a transaction.
    Unkeyed(PoolConnection<Postgres>),
    /// With a key: a transaction that has inserted the key's row.
    Keyed(sqlx::Transaction<'static, Postgres>, sql::RowKey),
}

/// Claims the key for this request, after waiting for other requests with the same key. Without a
/// key the request is always new.
///
/// # Errors
/// [`Error::Validation`] when the key was used with another body, [`Error::Conflict`] when the
/// other request is still in progress after the lock timeout, database errors.
pub async fn claim(db: &Db, clock: &Clock, caller: &Caller, key: Option<Key>) -> Result<Claim> {
    let Some(key) = key else {
        return Ok(Claim::New(Transaction::Unkeyed(db.acquire().await?)));
    };
    let row_key = sql::RowKey { scope: format!("{} {}", caller.actor(), key.route), key: key.key };
    let mut tx = db.begin().await?;
    sql::set_lock_timeout(&mut *tx, key.lock_timeout).await?;
    let claimed = sql::claim(&mut *tx, &row_key, &key.request_hash, clock.now()).await;
    if claimed.map_err(map_lock_timeout)? {
        return Ok(Claim::New(Transaction::Keyed(tx, row_key)));
    }
    let stored = sql::find(&mut *tx, &row_key).await?;
    let stored = stored
        .ok_or_else(|| Error::Internal("idempotency key not found after a conflict".into()))?;
    if stored.request_hash != key.request_hash {
        let message = "was used with another request body; send a new key";
        return Err(Error::invalid("Idempotency-Key", "reused", message));
    }
    Ok(Claim::Replay(stored.into_stored_response()))
}

fn map_lock_timeout(error: sqlx::Error) -> Error {
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
        Some(code) if code == LOCK_NOT_AVAILABLE => Error::Conflict(
            "another request with this Idempotency-Key is still in progress; try again shortly"
                .into(),
        ),
        _ => error.into(),
    }
}

impl Transaction {
    /// Returns the connection to execute the request on.
    pub fn connection(&mut self) -> &mut PgConnection {
        match self {
            Self::Unkeyed(connection) => connection,
            Self::Keyed(tx, _) => tx,
        }
    }

    /// With a key, stores the response and commits; without one, does nothing. Dropping `self`
    /// instead rolls back.
    ///
    /// # Errors
    /// Database errors; the transaction is rolled back.
    pub async fn commit(self, response: StoredResponse) -> Result<StoredResponse> {
        if let Self::Keyed(mut tx, row_key) = self {
            sql::store_response(&mut *tx, &row_key, &response).await?;
            tx.commit().await?;
        }
        Ok(response)
    }
}

/// The response to a POST, as it is stored for replays.
#[derive(Debug, Clone)]
pub struct StoredResponse {
    status: StatusCode,
    location: Option<String>,
    etag: String,
    body: Bytes,
}

impl StoredResponse {
    /// Returns a 201 response: `value` was created at `location`.
    ///
    /// # Errors
    /// When the value cannot be serialized to JSON.
    pub fn created(
        location: String,
        version: impl Display,
        value: &impl Serialize,
    ) -> Result<Self> {
        let existing = Self::ok(version, value)?;
        Ok(Self { status: StatusCode::CREATED, location: Some(location), ..existing })
    }

    /// Returns a 202 response: `value` was queued; its progress can be read at `location`.
    ///
    /// # Errors
    /// When the value cannot be serialized to JSON.
    pub fn accepted(
        location: String,
        version: impl Display,
        value: &impl Serialize,
    ) -> Result<Self> {
        let created = Self::created(location, version, value)?;
        Ok(Self { status: StatusCode::ACCEPTED, ..created })
    }

    /// Returns a 200 response: `value` existed before the request.
    ///
    /// # Errors
    /// When the value cannot be serialized to JSON.
    pub fn ok(version: impl Display, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|e| Error::Internal(Box::new(e)))?;
        Ok(Self {
            status: StatusCode::OK,
            location: None,
            etag: format!("{version}"),
            body: body.into(),
        })
    }
}

impl IntoResponse for StoredResponse {
    fn into_response(self) -> Response {
        let content_type = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status, content_type, self.body).into_response();
        if let Some(location) = self.location.and_then(|l| HeaderValue::try_from(l).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        etag::with_etag(self.etag, response)
    }
}

/// Deletes keys older than 24 hours, every hour, until shutdown.
pub async fn run_cleanup(db: Db, clock: Clock, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(CLEANUP_INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
        if let Err(error) = delete_expired(&db, &clock).await {
            tracing::warn!(%error, "deleting expired idempotency keys failed; retrying in 1 h");
        }
    }
}

async fn delete_expired(db: &Db, clock: &Clock) -> Result<u64> {
    let mut connection = db.acquire().await?;
    Ok(sql::delete_before(&mut *connection, clock.now() - RETENTION).await?)
}
