//! Statements on `enhancement_history`, in a transaction that has entered the tenant.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{Priority, Status};
use crate::jobs::Job;

/// A ticket, as its job needs it.
#[derive(Debug, Clone)]
pub struct QueuedTicket {
    pub ticket_id: String,
    pub event: String,
    pub description: String,
    pub priority: Priority,
    /// `Failed` if `plant-api jobs requeue` has requeued the job.
    pub status: Status,
    /// The note of an earlier attempt.
    pub enhancement: Option<String>,
    pub accepted_at: DateTime<Utc>,
}

/// Returns the ticket of a job; `None` if it was deleted.
pub async fn find_for_job(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<QueuedTicket>> {
    sqlx::query_as!(
        QueuedTicket,
        r#"select
            ticket_id, event, description, priority as "priority: Priority",
            status as "status: Status", enhancement, accepted_at
        from enhancement_history
        where id = $1"#,
        id,
    )
    .fetch_optional(db)
    .await
}

/// Stores what the writer was given and the note that it has written. Returns whether the ticket still
/// exists.
pub async fn store_draft(
    db: impl PgExecutor<'_>,
    id: Uuid,
    context: &Value,
    enhancement: &str,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update enhancement_history set context = $2, enhancement = $3 where id = $1",
        id,
        context,
        enhancement,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Marks a ticket completed. Returns whether it still exists and was not completed before.
pub async fn complete(
    db: impl PgExecutor<'_>,
    job: &Job,
    processing_time: Duration,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update enhancement_history
        set status = 'completed', error = null, attempts = $2, processing_time_ms = $3,
            completed_at = $4
        where id = $1 and status <> 'completed'",
        job.id,
        job.attempts,
        milliseconds(processing_time),
        now,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Marks a ticket failed, unless it was completed before. Returns whether it did.
pub async fn fail(
    db: impl PgExecutor<'_>,
    job: &Job,
    error: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update enhancement_history
        set status = 'failed', error = $2, attempts = $3, completed_at = $4,
            processing_time_ms = (
                select greatest(0, extract(epoch from now() - claimed_at) * 1000)::integer
                from job
                where id = $1
            )
        where id = $1 and status <> 'completed'",
        job.id,
        error,
        job.attempts,
        now,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
