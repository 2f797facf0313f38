//! The path that every write of a request takes.
//!
//! A handler extracts a [`Write`]: the caller, the body and an open transaction. It calls a domain
//! function with the transaction and ends with [`WriteTransaction::finish`], which commits in a task
//! of its own: neither a client that disconnects nor a request that times out stops it between the
//! commit and the invalidation of the cache.
//!
//! A POST with an `Idempotency-Key` takes effect once. The key's row is written in the same
//! transaction as the effect, so a crash loses both or neither. While the first request is in
//! progress, others with the same key wait for the lock on that row. When it commits, they return
//! its response; when it rolls back, one of them is executed instead. A replay is a rejection of the
//! extractor, so handlers never see one. Rows are kept for 24 hours.

mod group_commit;
mod key;
mod response;
mod sql;
#[cfg(test)]
mod tests;
mod transaction;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::TimeDelta;

use crate::access::{AuthenticatedAccount, Caller, CallerWith};
use crate::cleanup;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::extract::{FromBody, read_body};
use crate::state::AppState;

pub use group_commit::GroupCommit;
pub use key::Key;
pub use response::StoredResponse;
pub use transaction::WriteTransaction;

const RETENTION: TimeDelta = TimeDelta::hours(24);

/// Extractor of a write: its caller, its body and the transaction that it is executed in.
pub struct Write<B, C = Caller> {
    pub caller: C,
    pub body: B,
    pub tx: WriteTransaction,
}

/// Extractor of a write whose transaction is begun later, with [`WriteTransaction::begin`], because
/// the handler has something slow to do first. No database connection is held until then.
pub struct WriteRequest<B> {
    pub body: B,
    pub key: Option<Key>,
}

/// Response to a write that is not executed: an error, or the response to the first request with
/// the same idempotency key.
#[derive(Debug)]
pub enum Rejection {
    Error(Error),
    Replay(StoredResponse),
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        match self {
            Self::Error(error) => error.into_response(),
            Self::Replay(response) => response.into_response(),
        }
    }
}

/// A caller that can write, with its actor text.
pub trait WriteCaller {
    /// Returns the text that identifies the caller in amendments and for idempotency keys.
    fn actor(&self) -> &str;
}

impl WriteCaller for Caller {
    fn actor(&self) -> &str {
        self.actor()
    }
}

impl<R> WriteCaller for CallerWith<R> {
    fn actor(&self) -> &str {
        Caller::actor(self)
    }
}

impl WriteCaller for AuthenticatedAccount {
    fn actor(&self) -> &str {
        self.actor()
    }
}

impl<B, C> FromRequest<AppState> for Write<B, C>
where
    B: FromBody + Send + 'static,
    C: WriteCaller + FromRequestParts<AppState, Rejection = Error> + Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Rejection> {
        let (mut parts, body) = request.into_parts();
        let caller = C::from_request_parts(&mut parts, state).await?;
        let request = WriteRequest::from_request(Request::from_parts(parts, body), state).await?;
        let tx = WriteTransaction::begin(state, caller.actor(), request.key).await?;
        Ok(Self { caller, body: request.body, tx })
    }
}

impl<B: FromBody + Send + 'static> FromRequest<AppState> for WriteRequest<B> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &AppState) -> Result<Self> {
        B::check_headers(request.headers())?;
        let key = Key::from_request(&request)?;
        let (headers, limits) = (request.headers().clone(), &state.request_limits);
        let bytes = if B::IS_READ { read_body(request, limits).await? } else { Bytes::new() };
        let parse = move |body: &[u8]| {
            let key = key.map(|key| key.with_body(body));
            Ok(Self { body: B::from_body(&headers, body)?, key })
        };
        limits.body_budget.process(bytes, parse).await
    }
}

/// Deletes up to [`cleanup::BATCH_SIZE`] keys older than 24 hours; returns how many.
///
/// # Errors
/// Database errors.
pub async fn delete_expired(db: &Db, clock: &Clock) -> Result<u64> {
    let mut connection = db.acquire().await?;
    Ok(sql::delete_before(&mut *connection, clock.now() - RETENTION, cleanup::BATCH_SIZE).await?)
}
