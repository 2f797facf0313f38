//! What handlers may ask for: infrastructure, no slice's types.

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

/// The handles, shared. Several clones are made for each request, so a clone must cost little.
#[derive(Clone)]
pub struct State(Arc<Handles>);

/// The handles. Clones of each share the same parts.
pub struct Handles {
    /// PostgreSQL.
    pub db: Db,
    /// Finished answers of read-heavy routes.
    pub cache: Cache,
    /// The lists that wake workers, and with them Redis, if there is one.
    pub queue: Queue,
    /// The service's figures.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
    /// What decides who gets in.
    pub gate: Gate,
    /// Bounds on requests.
    pub limits: Limits,
    /// Cancelled when the process begins to stop.
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

/// Lets handlers ask for a handle by its type.
macro_rules! handed_out {
    ($($name:ident: $handle:ty),+ $(,)?) => {
        $(impl FromRef<State> for $handle {
            fn from_ref(state: &State) -> Self {
                state.$name.clone()
            }
        })+
    };
}

handed_out!(
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

/// What decides who gets in. Clones share everything.
#[derive(Clone)]
pub struct Gate {
    /// Whether a token must be sent.
    pub access: Access,
    /// Issues and reads tokens.
    pub tokens: Tokens,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Counts what each client asks for.
    pub rate: RateLimit,
    /// Whether an address must be verified before its account may log in.
    pub verification: bool,
    /// Fingerprint of the token that whoever runs the service may send.
    pub operators_key: Option<[u8; 32]>,
}

impl Gate {
    /// Whether `key` is the operator's. Fingerprints are compared, which tells nothing of the key
    /// by the time it takes.
    pub fn opens_for(&self, key: &str) -> bool {
        self.operators_key.is_some_and(|known| known == self.tokens.fingerprint(key.as_bytes()))
    }
}

/// Bounds on what a request may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until the answer is ready.
    pub request_timeout: Duration,
    /// Until the body has arrived.
    pub body_timeout: Duration,
    /// Bytes of a body.
    pub body_bytes: usize,
}
