//! The transaction of a write, and its end.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::PgConnection;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::key::Key;
use super::response::StoredResponse;
use super::{Rejection, sql};
use crate::cache::{Cache, Scope};
use crate::db::{TenantScope, Transaction};
use crate::error::{Error, Result};
use crate::state::AppState;
use crate::traces::in_current_trace;

/// An open transaction. It is rolled back if dropped without [`WriteTransaction::finish`].
pub struct WriteTransaction {
    tx: Transaction,
    /// Row of the idempotency key that this transaction has inserted.
    row_key: Option<sql::RowKey>,
    cache: Cache,
    scopes: Vec<Scope>,
    after_commit: Vec<Box<dyn FnOnce() + Send>>,
    tasks: TaskTracker,
}

impl Deref for WriteTransaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for WriteTransaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

impl WriteTransaction {
    /// Begins a transaction, and claims the idempotency key for `actor`, after waiting for other
    /// requests with the same key.
    ///
    /// # Errors
    /// [`Rejection::Replay`] when the key was used before with the same body; [`Error::Validation`]
    /// when it was used with another body; [`Error::Conflict`] when the other request is still in
    /// progress shortly before the request timeout; database errors.
    pub async fn begin(state: &AppState, actor: &str, key: Option<Key>) -> Result<Self, Rejection> {
        let mut write = Self::without_key(state).await?;
        if let Some(key) = key {
            let row_key = sql::RowKey { scope: format!("{actor} {}", key.route), key: key.key };
            let now = state.clock.now();
            let claimed = sql::claim(&mut *write, &row_key, &key.request_hash, now).await;
            if !claimed.map_err(map_lock_timeout)? {
                return Err(replay(&mut write, &state.cache, &row_key, &key.request_hash).await);
            }
            write.row_key = Some(row_key);
        }
        Ok(write)
    }

    /// Begins a transaction of a write that has no idempotency key.
    ///
    /// # Errors
    /// Database errors.
    pub async fn without_key(state: &AppState) -> Result<Self> {
        Ok(Self::new(state, state.db.for_requests().begin_write(lock_timeout(state)).await?))
    }

    /// Begins a transaction of a write that has no idempotency key, and that sees the rows of these
    /// tenants.
    ///
    /// # Errors
    /// Database errors.
    pub async fn in_tenant(state: &AppState, scope: TenantScope<'_>) -> Result<Self> {
        Ok(Self::new(
            state,
            state.db.for_requests().begin_write_in(scope, lock_timeout(state)).await?,
        ))
    }

    fn new(state: &AppState, tx: Transaction) -> Self {
        Self {
            tx,
            row_key: None,
            cache: state.cache.clone(),
            scopes: Vec::new(),
            after_commit: Vec::new(),
            tasks: state.write_tasks.clone(),
        }
    }

    /// Invalidates the cached responses of `scope` with the commit.
    pub fn invalidate(&mut self, scope: impl Into<Scope>) {
        self.scopes.push(scope.into());
    }

    /// Runs `action` after the commit. It must not block.
    pub fn after_commit(&mut self, action: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(action));
    }

    /// Stores the response for replays, commits, invalidates the cache and runs the actions after
    /// the commit. Runs to its end even if the returned future is dropped.
    ///
    /// # Errors
    /// Database errors. After an error of the commit itself it is unknown whether the write took
    /// effect; a client finds out by repeating the request with the same idempotency key.
    pub async fn finish(self, response: StoredResponse) -> Result<StoredResponse> {
        let tasks = self.tasks.clone();
        let commit = in_current_trace(self.commit_with(response)).in_current_span();
        let commit = tasks.spawn(commit);
        commit.await.map_err(|error| Error::Internal(Box::new(error)))?
    }

    async fn commit_with(mut self, response: StoredResponse) -> Result<StoredResponse> {
        if let Some(row_key) = &self.row_key {
            sql::store_response(&mut *self.tx, row_key, &response, &self.scopes).await?;
        }
        self.commit().await?;
        Ok(response)
    }

    /// Commits a write that has no idempotency key, invalidates the cache and runs the actions after
    /// the commit. The caller must be a task that is not cancelled.
    ///
    /// # Errors
    /// As [`WriteTransaction::finish`].
    pub async fn commit(self) -> Result<()> {
        self.cache.commit(self.tx, &self.scopes).await?;
        for action in self.after_commit {
            action();
        }
        Ok(())
    }
}

/// Returns the timeout of a statement for a row lock, which leaves time to respond before the request
/// timeout.
fn lock_timeout(state: &AppState) -> Duration {
    state.request_limits.request_timeout.mul_f64(0.9)
}

/// Returns the stored response of the first request with this key, after invalidating what that
/// request has changed: its process may have been killed before it could.
async fn replay(
    connection: &mut PgConnection,
    cache: &Cache,
    row_key: &sql::RowKey,
    request_hash: &[u8],
) -> Rejection {
    let stored = match sql::find(&mut *connection, row_key).await {
        Ok(Some(stored)) => stored,
        Ok(None) => {
            return Error::Internal("idempotency key not found after a conflict".into()).into();
        }
        Err(error) => return Error::from(error).into(),
    };
    if stored.request_hash != request_hash {
        let message = "was used with another request body; send a new key";
        return Error::invalid("Idempotency-Key", "reused", message).into();
    }
    cache.invalidate(&stored.scopes()).await;
    Rejection::Replay(stored.into_stored_response())
}

pub(super) fn map_lock_timeout(error: sqlx::Error) -> Error {
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
        Some(code) if code == LOCK_NOT_AVAILABLE => Error::Conflict(
            "another request with this Idempotency-Key is still in progress; try again shortly"
                .into(),
        ),
        _ => error.into(),
    }
}
