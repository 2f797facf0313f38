//! The performance agent: collects metrics of this service or of another Prometheus endpoint, compares
//! them with rules, and plans changes.
//!
//! ```text
//! target ── collect ──▶ snapshot ── analyze ──▶ analysis ── plan ──▶ plan of changes
//! ```
//!
//! A [`snapshot`] is computed from two readings of a target in the Prometheus text format, a short
//! interval apart (`readings`); this service is read without a request, but in the same format. A
//! snapshot of this service also has the statistics of its `database`. [`analysis`] compares the
//! measurements of a snapshot, and of those before it, with [`rules`], which are data.
//! [`optimization`] plans changes of tunables, and others that a person makes. [`workflows`] do all of it,
//! and roll the changes out in stages.
//!
//! The agent must work when the service does not, so it has a database connection of its own
//! ([`Db::acquire_monitor`](crate::db::Db::acquire_monitor)). Metrics are those of one process: an agent does not see the
//! requests that other replicas answer.

mod agent;
pub mod analysis;
mod blocking;
mod collect;
mod database;
mod exposition;
mod info;
mod measurement;
mod memory;
pub mod optimization;
mod readings;
mod routes;
pub mod rules;
pub mod snapshot;
mod sql;
mod target;
#[cfg(test)]
mod tests;
mod tunables;
pub mod workflows;

use std::time::Duration;

use axum::Extension;
use utoipa_axum::router::OpenApiRouter;

use crate::cleanup;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;
use crate::state::AppState;

pub use agent::{Agent, AgentSettings, CollectionPermit};
pub use analysis::analyze;
pub use collect::collect;
pub use optimization::plan;
pub use target::Target;

/// Returns the routes of the performance agent and of the tunables.
pub fn router(agent: Agent) -> OpenApiRouter<AppState> {
    let workflows = workflows::routes::router(agent.clone());
    routes::router()
        .merge(info::routes::router())
        .layer(Extension(agent))
        .merge(tunables::routes::router())
        .merge(workflows)
}

/// Deletes up to [`cleanup::BATCH_SIZE`] snapshots that are older than `retention`, with their
/// analyses, and up to as many workflows that ended long ago; returns the larger number of the two.
///
/// # Errors
/// Database errors.
pub async fn delete_expired(db: &Db, clock: &Clock, retention: Duration) -> Result<u64> {
    let mut connection = db.acquire().await?;
    let before = clock.now() - retention;
    let limit = cleanup::BATCH_SIZE;
    let snapshots = sql::delete_snapshots_before(&mut *connection, before, limit).await?;
    let workflows = workflows::delete_expired(&mut connection, clock, limit).await?;
    Ok(snapshots.max(workflows))
}
