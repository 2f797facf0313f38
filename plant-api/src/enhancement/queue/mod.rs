//! The queue of tickets, for operators: its state, pause and resume, and dead-lettered tickets.

pub(super) mod routes;
mod sql;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::job::KIND;
use crate::db::TenantId;
use crate::error::{Error, Result};
use crate::jobs::command::requeue as requeue_jobs;

/// State of the queue.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct QueueState {
    /// Name of the Redis list.
    #[schema(example = "enhancement_queue")]
    pub queue: String,
    /// Whether workers claim no tickets.
    pub paused: bool,
    /// Since when the queue is paused; null if it is not.
    pub paused_at: Option<DateTime<Utc>>,
    /// Tickets that a worker can claim, or could if the queue were not paused.
    #[schema(example = 12)]
    pub depth: i64,
    /// Tickets that wait for their next attempt.
    #[schema(example = 0)]
    pub waiting: i64,
    /// Tickets that are being processed.
    #[schema(example = 16)]
    pub running: i64,
    /// Dead-lettered tickets.
    #[schema(example = 0)]
    pub dead: i64,
    /// Seconds since the first of the tickets that can be claimed could be; null without any.
    #[schema(example = 0.4)]
    pub oldest_ready_seconds: Option<f64>,
    /// Workers that process tickets.
    #[schema(example = 1)]
    pub workers: i64,
    /// Jobs that were done in the last minute.
    #[schema(example = 5160)]
    pub completed_last_minute: i64,
    /// Jobs that were dead-lettered in the last minute.
    #[schema(example = 0)]
    pub failed_last_minute: i64,
}

/// A dead-lettered ticket.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DeadTicket {
    /// Id of the job.
    pub job_id: Uuid,
    /// Id of the tenant.
    pub tenant_id: TenantId,
    /// Id of the ticket at the service desk.
    #[schema(example = "TKT-1042")]
    pub ticket_id: String,
    /// Number of attempts.
    pub attempts: i32,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// When the ticket was accepted.
    pub accepted_at: DateTime<Utc>,
    /// When the job was dead-lettered.
    pub failed_at: DateTime<Utc>,
}

/// Requeues a dead-lettered ticket: it is pending again. The transaction must have entered all tenants.
///
/// # Errors
/// [`Error::NotFound`] when it is not dead-lettered, or was deleted; database errors.
pub async fn requeue(connection: &mut PgConnection, job: Uuid) -> Result<()> {
    // The job before the history, as workers lock them.
    let requeued = requeue_jobs(&mut *connection, Some(&[job]), Some(KIND.name)).await?;
    if requeued == 0 || !sql::reopen(connection, job).await? {
        return Err(Error::no_such("dead-lettered ticket"));
    }
    Ok(())
}
