//! Application state: the infrastructure handles that axum handlers extract. It contains no types
//! of the slices.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::Access;
use crate::db::Db;
use crate::limit::RateLimit;
use crate::metrics::Metrics;
use crate::passwords::Passwords;
use crate::queue::Queue;
use crate::redis::Redis;
use crate::token::Tokens;

/// Application state. It is cloned several times per request, so all of it is behind one `Arc`.
#[derive(Clone)]
pub struct State(Arc<Handles>);

/// Infrastructure handles. Clones of a handle share its state.
pub struct Handles {
    /// PostgreSQL connection pool.
    pub db: Db,
    /// Response cache of read-heavy routes.
    pub cache: Cache,
    /// Redis lists that wake workers; holds the Redis handle.
    pub queue: Queue,
    /// Prometheus metrics.
    pub metrics: Metrics,
    /// Clock.
    pub clock: Clock,
    /// Authentication and rate limiting.
    pub gate: Gate,
    /// Timeouts and size limits of requests.
    pub limits: Limits,
    /// Canceled when the process starts to shut down.
    pub stop: CancellationToken,
}

impl From<Handles> for State {
    fn from(handles: Handles) -> Self {
        Self(Arc::new(handles))
    }
}

impl Deref for State {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0
    }
}

/// Implements [`FromRef`] for handles, so that handlers can extract each by its type.
macro_rules! impl_from_ref {
    ($($name:ident: $handle:ty),+ $(,)?) => {
        $(impl FromRef<State> for $handle {
            fn from_ref(state: &State) -> Self {
                state.$name.clone()
            }
        })+
    };
}

impl_from_ref!(
    db: Db,
    cache: Cache,
    queue: Queue,
    metrics: Metrics,
    clock: Clock,
    gate: Gate,
    limits: Limits,
    stop: CancellationToken,
);

impl FromRef<State> for Redis {
    fn from_ref(state: &State) -> Self {
        state.queue.redis().clone()
    }
}

/// Authentication and rate limiting. Clones share the state.
#[derive(Clone)]
pub struct Gate {
    /// Access mode: whether requests need a token.
    pub access: Access,
    /// Issues and validates tokens.
    pub tokens: Tokens,
    /// Password hashing threads.
    pub passwords: Passwords,
    /// Rate limit per client.
    pub rate: RateLimit,
    /// Whether login requires a verified email.
    pub verification: bool,
    /// Fingerprint of the admin key; `None`: disabled.
    pub admin_key_fingerprint: Option<[u8; 32]>,
}

impl Gate {
    /// Returns whether `key` is the admin key. Compares fingerprints, so that the time it takes
    /// reveals nothing about the key.
    pub fn opens_for(&self, key: &str) -> bool {
        self.admin_key_fingerprint
            .is_some_and(|expected| expected == self.tokens.fingerprint(key.as_bytes()))
    }
}

/// Timeouts and size limits of requests.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Timeout until the response is ready.
    pub request_timeout: Duration,
    /// Timeout for receiving the body.
    pub body_timeout: Duration,
    /// Maximum size of a body in bytes.
    pub body_bytes: usize,
}
