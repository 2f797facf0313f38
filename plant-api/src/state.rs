//! What handlers may ask for: infrastructure, no slice's types.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::db::Db;
use crate::metrics::Metrics;
use crate::redis::Redis;

/// The handles, shared. Several clones are made for each request, so a clone must cost little.
#[derive(Clone)]
pub struct State(Arc<Handles>);

/// The handles. Clones of each share the same parts.
pub struct Handles {
    /// PostgreSQL.
    pub db: Db,
    /// Redis, if there is one.
    pub redis: Redis,
    /// Finished answers of read-heavy routes.
    pub cache: Cache,
    /// The service's figures.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
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
    redis: Redis,
    cache: Cache,
    metrics: Metrics,
    clock: Clock,
    limits: Limits,
    stop: CancellationToken,
);

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
