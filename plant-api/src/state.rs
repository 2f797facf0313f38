//! What handlers may ask for: infrastructure, no slice's types.

use std::time::Duration;

use axum::extract::FromRef;
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::db::Db;
use crate::metrics::Metrics;
use crate::redis::Redis;

/// The handles. Cloned for each request; each clone shares the same parts.
#[derive(Clone, FromRef)]
pub struct State {
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
