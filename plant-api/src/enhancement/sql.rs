//! Statements on `enhancement_history`, in a transaction that has entered the tenant.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::tenants::SealedDeskAccess;
use super::{DeliveryId, NewTicket, Priority, Status, Summary, Ticket};
use crate::db::TenantId;
use crate::jobs::Job;
use crate::page::Page;

/// A ticket to insert.
pub(super) struct NewEntry {
    pub id: Uuid,
    pub delivery: DeliveryId,
    /// SHA-256 of the body.
    pub body_sha256: [u8; 32],
    pub ticket: NewTicket,
}

/// Inserts tickets, those of each delivery once; waits for transactions that are inserting the same
/// ones. A delivery without a `webhook-id` is none of its own if its body was delivered with one.
/// Returns the ids of those that were inserted.
///
/// They are inserted in the order of their deliveries, so that two such transactions cannot wait for
/// each other.
pub(super) async fn insert(
    db: impl PgExecutor<'_>,
    tenant: &TenantId,
    entries: &[&NewEntry],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = entries.iter().map(|new| new.id).collect();
    let deliveries: Vec<String> = entries.iter().map(|new| new.delivery.0.clone()).collect();
    let bodies: Vec<Vec<u8>> = entries.iter().map(|new| new.body_sha256.to_vec()).collect();
    let events: Vec<String> = entries.iter().map(|new| new.ticket.event.clone()).collect();
    let ticket_ids: Vec<String> = entries.iter().map(|new| new.ticket.ticket_id.clone()).collect();
    let descriptions: Vec<String> =
        entries.iter().map(|new| new.ticket.description.clone()).collect();
    let priorities: Vec<String> =
        entries.iter().map(|new| new.ticket.priority.name().to_owned()).collect();
    let created_at: Vec<DateTime<Utc>> = entries.iter().map(|new| new.ticket.created_at).collect();
    let correlation_ids: Vec<Option<String>> =
        entries.iter().map(|new| new.ticket.correlation_id.clone()).collect();
    sqlx::query_scalar!(
        "insert into enhancement_history (
            id, tenant_id, delivery_id, event, ticket_id, description, priority,
            ticket_created_at, correlation_id, accepted_at, body_sha256
        )
        select
            id, $1, delivery_id, event, ticket_id, description, priority, ticket_created_at,
            correlation_id, $2, body_sha256
        from unnest(
            $3::uuid[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::text[],
            $10::timestamptz[], $11::text[]
        ) as new (
            id, delivery_id, body_sha256, event, ticket_id, description, priority,
            ticket_created_at, correlation_id
        )
        where
            delivery_id like 'id:%'
            or not exists (
                select
                from enhancement_history first
                where
                    first.tenant_id = $1 and first.delivery_id like 'id:%'
                    and first.body_sha256 = new.body_sha256
            )
        order by delivery_id, id
        on conflict (tenant_id, delivery_id) do nothing
        returning id",
        &**tenant,
        now,
        &ids,
        &deliveries,
        &bodies,
        &events,
        &ticket_ids,
        &descriptions,
        &priorities,
        &created_at,
        &correlation_ids as &[Option<String>],
    )
    .fetch_all(db)
    .await
}

/// A delivery that is stored.
pub(super) struct StoredDelivery {
    pub id: Uuid,
    pub delivery_id: String,
    /// `None`: stored by an earlier version.
    pub body_sha256: Option<Vec<u8>>,
}

/// Returns the stored deliveries of which these may be repetitions, the oldest first.
pub(super) async fn find_deliveries(
    db: impl PgExecutor<'_>,
    tenant: &TenantId,
    entries: &[&NewEntry],
) -> sqlx::Result<Vec<StoredDelivery>> {
    let deliveries: Vec<String> = entries.iter().map(|entry| entry.delivery.0.clone()).collect();
    let bodies: Vec<Vec<u8>> = entries.iter().map(|entry| entry.body_sha256.to_vec()).collect();
    sqlx::query_as!(
        StoredDelivery,
        "select id, delivery_id, body_sha256
        from enhancement_history
        where
            tenant_id = $1
            and (
                delivery_id = any($2)
                or (delivery_id like 'id:%' and body_sha256 = any($3))
            )
        order by id",
        &**tenant,
        &deliveries,
        &bodies,
    )
    .fetch_all(db)
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
        where tenant_id = $1 and id < $2
        order by id desc
        limit $3
        offset $4"#,
        &**tenant,
        page.before(),
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

/// Returns the ticket of a job, and where its note is posted; `None` if it was deleted.
pub async fn find_for_job(
    db: impl PgExecutor<'_>,
    id: Uuid,
) -> sqlx::Result<Option<(QueuedTicket, SealedDeskAccess)>> {
    let found = sqlx::query!(
        r#"select
            ticket_id, event, description, priority as "priority: Priority",
            status as "status: Status", enhancement, accepted_at, servicedesk_url,
            servicedesk_api_key_encrypted
        from enhancement_history
        join tenant_configs using (tenant_id)
        where id = $1"#,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(found.map(|row| {
        let ticket = QueuedTicket {
            ticket_id: row.ticket_id,
            event: row.event,
            description: row.description,
            priority: row.priority,
            status: row.status,
            enhancement: row.enhancement,
            accepted_at: row.accepted_at,
        };
        let api_key = row.servicedesk_api_key_encrypted;
        (ticket, SealedDeskAccess { url: row.servicedesk_url, api_key })
    }))
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
