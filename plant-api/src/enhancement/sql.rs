//! Statements on `enhancement_history`, in a transaction that has entered the tenant.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{DeliveryId, NewTicket, Priority, Status, Summary, Ticket};
use crate::db::TenantId;
use crate::jobs::Job;
use crate::page::Page;

/// Inserts a ticket. Returns `false` when this delivery was inserted before; waits for a transaction
/// that is inserting it.
pub(super) async fn insert(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: &TenantId,
    new: &NewTicket,
    delivery: &DeliveryId,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "insert into enhancement_history (
            id, tenant_id, delivery_id, event, ticket_id, description, priority,
            ticket_created_at, correlation_id, accepted_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (tenant_id, delivery_id) do nothing",
        id,
        &**tenant,
        delivery.0,
        new.event,
        new.ticket_id,
        new.description,
        new.priority as Priority,
        new.created_at,
        new.correlation_id,
        now,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Returns the id of the ticket that was inserted by this delivery.
pub(super) async fn find_delivery(
    db: impl PgExecutor<'_>,
    tenant: &TenantId,
    delivery: &DeliveryId,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "select id from enhancement_history where tenant_id = $1 and delivery_id = $2",
        &**tenant,
        delivery.0,
    )
    .fetch_optional(db)
    .await
}

/// Returns the entry of a ticket that was accepted last.
pub(super) async fn find_newest(
    db: impl PgExecutor<'_>,
    tenant: &TenantId,
    ticket_id: &str,
) -> sqlx::Result<Option<Ticket>> {
    sqlx::query_as!(
        Ticket,
        r#"select
            id as job_id, tenant_id as "tenant_id: TenantId", ticket_id, event,
            priority as "priority: Priority", status as "status: Status", description, context,
            enhancement, error, attempts, processing_time_ms, correlation_id,
            ticket_created_at as created_at, accepted_at, completed_at
        from enhancement_history
        where tenant_id = $1 and ticket_id = $2
        order by id desc
        limit 1"#,
        &**tenant,
        ticket_id,
    )
    .fetch_optional(db)
    .await
}

pub(super) async fn list(
    db: impl PgExecutor<'_>,
    tenant: &TenantId,
    page: &Page,
) -> sqlx::Result<Vec<Summary>> {
    sqlx::query_as!(
        Summary,
        r#"select
            id as job_id, tenant_id as "tenant_id: TenantId", ticket_id,
            priority as "priority: Priority", status as "status: Status", error, attempts,
            processing_time_ms, accepted_at, completed_at
        from enhancement_history
        where tenant_id = $1 and ($2::uuid is null or id < $2)
        order by id desc
        limit $3
        offset $4"#,
        &**tenant,
        page.after,
        page.fetch_limit(),
        page.offset,
    )
    .fetch_all(db)
    .await
}

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
