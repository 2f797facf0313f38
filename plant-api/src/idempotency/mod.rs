//! `Idempotency-Key`: a creating POST that is sent again has its effect once.
//!
//! The key's row is written in the transaction of the effect, so a kill loses both or neither.
//! While the first request is in flight the others wait on that row; when it commits they
//! answer what it answered, when it fails one of them takes its place. Rows live for a day.

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
use sqlx::{PgConnection, Postgres, Transaction};
use tokio_util::sync::CancellationToken;

use crate::access::Caller;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::etag;
use crate::extract::{read_body, read_json, require_json};
use crate::state::Limits;

const HEADER: &str = "idempotency-key";
const KEY_MAX: usize = 255;
const KEPT: TimeDelta = TimeDelta::hours(24);
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// The body of a creating POST, and its key if it has one.
#[derive(Debug, Clone)]
pub struct Posted<T> {
    /// The body.
    pub body: T,
    /// The key.
    pub key: Option<Key>,
}

/// An idempotency key with what it was sent for.
#[derive(Debug, Clone)]
pub struct Key {
    key: String,
    route: String,
    request_hash: [u8; 32],
    /// How long to wait for another request with the same key.
    patience: Duration,
}

impl<S, T> FromRequest<S> for Posted<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
    Limits: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        require_json(request.headers())?;
        let key = request.headers().get(HEADER).map(read_key).transpose()?;
        let route = format!("{} {}", request.method(), request.uri().path());
        let limits = Limits::from_ref(state);
        let body = read_body(request, limits).await?;
        let key = key.map(|key| Key {
            key,
            route,
            request_hash: Sha256::digest(&body).into(),
            // Leaves time to answer before the request's own deadline.
            patience: limits.request_timeout.mul_f64(0.9),
        });
        Ok(Self { body: read_json(&body)?, key })
    }
}

impl Key {
    /// The same key, of whose request only what `seal` makes of its hash is kept: for bodies that
    /// hold a password, which can be guessed by a plain hash.
    #[must_use]
    pub fn sealed(self, seal: impl FnOnce(&[u8]) -> [u8; 32]) -> Self {
        Self { request_hash: seal(&self.request_hash), ..self }
    }
}

fn read_key(value: &HeaderValue) -> Result<String> {
    let text = value.to_str().unwrap_or_default();
    let plain = text.bytes().all(|b| b.is_ascii_graphic());
    if text.is_empty() || text.len() > KEY_MAX || !plain {
        let message = "must be 1 to 255 visible ASCII characters";
        return Err(Error::invalid("Idempotency-Key", "shape", message));
    }
    Ok(text.to_owned())
}

/// How a creating POST begins.
pub enum Begun {
    /// It was answered before.
    Replay(Answer),
    /// It is to be done.
    Fresh(Work),
}

/// A creating POST being done: a plain connection, or a transaction that holds its key.
pub enum Work {
    /// No key was sent.
    Plain(PoolConnection<Postgres>),
    /// The key's row is written, not yet committed.
    Keyed(Transaction<'static, Postgres>, sql::Place),
}

/// Begins a creating POST: at once without a key; with one, after any other with the same key.
///
/// # Errors
/// [`Error::Validation`] when the key was used for another request, [`Error::Conflict`] when the
/// other one is still in flight at the deadline, database errors.
pub async fn begin(db: &Db, clock: &Clock, caller: &Caller, key: Option<Key>) -> Result<Begun> {
    let Some(key) = key else {
        return Ok(Begun::Fresh(Work::Plain(db.acquire().await?)));
    };
    let place = sql::Place { scope: format!("{} {}", caller.actor(), key.route), key: key.key };
    let mut tx = db.begin().await?;
    sql::wait_at_most(&mut *tx, key.patience).await?;
    let claimed = sql::claim(&mut *tx, &place, &key.request_hash, clock.now()).await;
    if claimed.map_err(still_in_flight)? {
        return Ok(Begun::Fresh(Work::Keyed(tx, place)));
    }
    let before = sql::find(&mut *tx, &place).await?;
    let before = before.ok_or_else(|| Error::Internal("an idempotency key vanished".into()))?;
    if before.request_hash != key.request_hash {
        let message = "was used for another request; choose a new one";
        return Err(Error::invalid("Idempotency-Key", "reused", message));
    }
    Ok(Begun::Replay(before.answer()))
}

fn still_in_flight(error: sqlx::Error) -> Error {
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
        Some(code) if code == LOCK_NOT_AVAILABLE => Error::Conflict(
            "another request with this Idempotency-Key is still running; try again shortly".into(),
        ),
        _ => error.into(),
    }
}

impl Work {
    /// Where to do it.
    pub fn connection(&mut self) -> &mut PgConnection {
        match self {
            Self::Plain(connection) => connection,
            Self::Keyed(tx, _) => tx,
        }
    }

    /// Keeps what was done and, with a key, its answer; dropping `self` instead undoes keyed work.
    ///
    /// # Errors
    /// Database errors; keyed work is undone then.
    pub async fn commit(self, answer: Answer) -> Result<Answer> {
        if let Self::Keyed(mut tx, place) = self {
            sql::keep(&mut *tx, &place, &answer).await?;
            tx.commit().await?;
        }
        Ok(answer)
    }
}

/// The answer to a creating POST.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    location: Option<String>,
    etag: String,
    body: Bytes,
}

impl Answer {
    /// 201: `value` now exists at `location`.
    ///
    /// # Errors
    /// When the value is not JSON.
    pub fn created(
        location: String,
        version: impl Display,
        value: &impl Serialize,
    ) -> Result<Self> {
        let existing = Self::existing(version, value)?;
        Ok(Self { status: StatusCode::CREATED, location: Some(location), ..existing })
    }

    /// 202: `value` will be done, and can be watched at `location`.
    ///
    /// # Errors
    /// When the value is not JSON.
    pub fn accepted(
        location: String,
        version: impl Display,
        value: &impl Serialize,
    ) -> Result<Self> {
        let created = Self::created(location, version, value)?;
        Ok(Self { status: StatusCode::ACCEPTED, ..created })
    }

    /// 200: `value` existed before.
    ///
    /// # Errors
    /// When the value is not JSON.
    pub fn existing(version: impl Display, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|e| Error::Internal(Box::new(e)))?;
        Ok(Self {
            status: StatusCode::OK,
            location: None,
            etag: format!("{version}"),
            body: body.into(),
        })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status, kind, self.body).into_response();
        if let Some(location) = self.location.and_then(|l| HeaderValue::try_from(l).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        etag::with_version(self.etag, response)
    }
}

/// Forgets keys that are older than a day, now and then, until `stop`.
pub async fn sweep(db: Db, clock: Clock, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = forget_old(&db, &clock).await {
            tracing::warn!(%error, "old idempotency keys stay for now");
        }
    }
}

async fn forget_old(db: &Db, clock: &Clock) -> Result<u64> {
    let mut connection = db.acquire().await?;
    Ok(sql::delete_before(&mut *connection, clock.now() - KEPT).await?)
}
