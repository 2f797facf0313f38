//! Application state: the infrastructure handles that axum handlers extract. It contains no types
//! of the slices.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{AccessMode, CorsOrigins};
use crate::crypto::Sealer;
use crate::db::Db;
use crate::limit::{BodyBudget, Overload, RateLimit};
use crate::metrics::{Metrics, gauge_value};
use crate::passwords::PasswordHasher;
use crate::queue::Queue;
use crate::redis::Redis;
use crate::signature::WebhookKey;
use crate::token::Tokens;
use crate::traces::Traces;
use crate::tunables::Tunables;

/// Application state. It is cloned several times per request, so all of it is behind one `Arc`.
#[derive(Clone)]
pub struct AppState(Arc<Handles>);

/// Infrastructure handles. Clones of a handle share its state.
pub struct Handles {
    pub db: Db,
    /// Response cache of read-heavy routes.
    pub cache: Cache,
    /// Redis lists that wake workers; holds the Redis handle.
    pub queue: Queue,
    pub metrics: Metrics,
    pub clock: Clock,
    /// Authentication and rate limiting.
    pub access_policy: AccessPolicy,
    /// Timeouts and size limits of requests.
    pub request_limits: RequestLimits,
    /// Share of the requests that are rejected because there are too many.
    pub overload: Overload,
    /// Settings that can be changed while the process runs.
    pub tunables: Tunables,
    /// Spans of requests.
    pub traces: Traces,
    /// Canceled when the process starts to shut down.
    pub shutdown: CancellationToken,
    /// Commits in progress, which the process waits for before it stops.
    pub write_tasks: TaskTracker,
}

impl From<Handles> for AppState {
    fn from(handles: Handles) -> Self {
        Self(Arc::new(handles))
    }
}

impl AppState {
    /// Updates the gauges of the pools and returns all metrics of this process in Prometheus text
    /// format.
    ///
    /// # Errors
    /// When the metrics cannot be encoded.
    pub fn encode_metrics(&self) -> prometheus::Result<String> {
        let (db, redis, metrics) = (&self.db, self.queue.redis(), &self.metrics);
        let (in_use, idle, max) = db.pool_usage();
        metrics.db_connections.with_label_values(&["in_use"]).set(gauge_value(in_use));
        metrics.db_connections.with_label_values(&["idle"]).set(gauge_value(idle));
        metrics.db_pool_max.set(gauge_value(max));
        let (backends, max_connections) = db.server_usage();
        metrics.pg_backends.set(backends);
        metrics.pg_max_connections.set(max_connections);
        let (in_use, idle) = redis.pool_usage();
        metrics.redis_connections.with_label_values(&["in_use"]).set(gauge_value(in_use as u64));
        metrics.redis_connections.with_label_values(&["idle"]).set(gauge_value(idle as u64));
        metrics.encode()
    }
}

impl Deref for AppState {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0
    }
}

/// Implements [`FromRef`] for handles, so that handlers can extract each by its type.
macro_rules! impl_from_ref {
    ($($name:ident: $handle:ty),+ $(,)?) => {
        $(impl FromRef<AppState> for $handle {
            fn from_ref(state: &AppState) -> Self {
                state.$name.clone()
            }
        })+
    };
}

impl_from_ref!(
    cache: Cache,
    queue: Queue,
    metrics: Metrics,
    clock: Clock,
    access_policy: AccessPolicy,
    request_limits: RequestLimits,
    tunables: Tunables,
    shutdown: CancellationToken,
);

impl FromRef<AppState> for Db {
    fn from_ref(state: &AppState) -> Self {
        state.db.for_requests()
    }
}

impl FromRef<AppState> for Redis {
    fn from_ref(state: &AppState) -> Self {
        state.queue.redis().clone()
    }
}

/// Authentication, rate limiting, and the web pages that may call the API. Clones share the state.
#[derive(Clone)]
pub struct AccessPolicy {
    pub access_mode: AccessMode,
    pub tokens: Tokens,
    pub password_hasher: PasswordHasher,
    pub rate_limit: RateLimit,
    /// Shared, because the state is cloned.
    pub cors_origins: Arc<CorsOrigins>,
    /// Whether login requires a verified email.
    pub require_verification: bool,
    /// Fingerprint of the admin key; `None`: disabled.
    pub admin_key_fingerprint: Option<[u8; 32]>,
    /// Key of the payment provider's signatures.
    pub webhook_key: WebhookKey,
    /// Seals the secrets of tenants.
    pub sealer: Sealer,
}

impl AccessPolicy {
    /// Returns whether `key` is the admin key. Compares fingerprints, so that the time it takes
    /// reveals nothing about the key.
    pub fn is_admin_key(&self, key: &str) -> bool {
        self.admin_key_fingerprint
            .is_some_and(|expected| expected == self.tokens.hmac(key.as_bytes()))
    }
}

/// Timeouts and size limits of requests. Clones share the memory for bodies.
#[derive(Debug, Clone)]
pub struct RequestLimits {
    /// Timeout until the response is ready.
    pub request_timeout: Duration,
    pub body_timeout: Duration,
    pub max_body_bytes: usize,
    /// Memory for the bodies of all requests.
    pub body_budget: BodyBudget,
    /// Memory for the bodies of all responses, which clients may receive slowly.
    pub response_budget: BodyBudget,
}
