//! Statements on workflows and their events.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Event, Status, Workflow};
use crate::page::Page;
use crate::performance_agent::optimization::PlannedChange;

pub async fn insert(db: impl PgExecutor<'_>, workflow: &Workflow) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into performance_workflow (
            id, target, rules, requires_approval, auto_rollout, monitoring_seconds, health_threshold,
            status, status_since, created_by, created_at, updated_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9, $9)",
        workflow.id,
        workflow.target,
        workflow.rules,
        workflow.requires_approval,
        workflow.auto_rollout,
        workflow.monitoring_duration_seconds,
        workflow.health_threshold,
        workflow.status as Status,
        workflow.created_at,
        workflow.created_by,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn find(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Workflow>> {
    sqlx::query_as!(
        Workflow,
        r#"select
            id, id as workflow_id, target, rules, requires_approval, auto_rollout,
            monitoring_seconds as monitoring_duration_seconds, health_threshold,
            status as "status: Status", stage, changes as "changes: Json<Vec<PlannedChange>>",
            snapshot_id, baseline_snapshot_id, analysis_id, baseline_score, health_score, reason,
            created_by, created_at, updated_at, ended_at, version, status_since, tunables_version
        from performance_workflow
        where id = $1"#,
        id,
    )
    .fetch_optional(db)
    .await
}

/// Like [`find`], and locks the row until the end of the transaction.
pub async fn lock(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Workflow>> {
    sqlx::query_as!(
        Workflow,
        r#"select
            id, id as workflow_id, target, rules, requires_approval, auto_rollout,
            monitoring_seconds as monitoring_duration_seconds, health_threshold,
            status as "status: Status", stage, changes as "changes: Json<Vec<PlannedChange>>",
            snapshot_id, baseline_snapshot_id, analysis_id, baseline_score, health_score, reason,
            created_by, created_at, updated_at, ended_at, version, status_since, tunables_version
        from performance_workflow
        where id = $1
        for no key update"#,
        id,
    )
    .fetch_optional(db)
    .await
}

/// Returns a page of workflows, newest first.
pub async fn list(
    db: impl PgExecutor<'_>,
    status: Option<Status>,
    page: &Page,
) -> sqlx::Result<Vec<Workflow>> {
    sqlx::query_as!(
        Workflow,
        r#"select
            id, id as workflow_id, target, rules, requires_approval, auto_rollout,
            monitoring_seconds as monitoring_duration_seconds, health_threshold,
            status as "status: Status", stage, changes as "changes: Json<Vec<PlannedChange>>",
            snapshot_id, baseline_snapshot_id, analysis_id, baseline_score, health_score, reason,
            created_by, created_at, updated_at, ended_at, version, status_since, tunables_version
        from performance_workflow
        where ($1::text is null or status = $1) and id < $2
        order by id desc
        limit $3
        offset $4"#,
        status as Option<Status>,
        page.before(),
        page.fetch_limit(),
        page.offset,
    )
    .fetch_all(db)
    .await
}

/// Writes what transitions change. Returns whether the row had the version before.
pub async fn update(db: impl PgExecutor<'_>, workflow: &Workflow) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update performance_workflow
        set status = $2, status_since = $3, stage = $4, tunables_version = $5, changes = $6,
            snapshot_id = $7, analysis_id = $8, baseline_score = $9, health_score = $10,
            reason = $11, updated_at = $12, ended_at = $13, version = $14,
            baseline_snapshot_id = $15
        where id = $1 and version = $14::bigint - 1",
        workflow.id,
        workflow.status as Status,
        workflow.status_since,
        workflow.stage,
        workflow.tunables_version,
        Json(&workflow.changes.0) as _,
        workflow.snapshot_id,
        workflow.analysis_id,
        workflow.baseline_score,
        workflow.health_score,
        workflow.reason,
        workflow.updated_at,
        workflow.ended_at,
        workflow.version,
        workflow.baseline_snapshot_id,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Records the metrics of a process: the first ones, and the last ones.
pub async fn record_reading(
    db: impl PgExecutor<'_>,
    workflow: Uuid,
    process: Uuid,
    text: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into performance_reading (workflow_id, process, first, first_at, last, last_at)
        values ($1, $2, $3, $4, $3, $4)
        on conflict (workflow_id, process) do update
        set last = excluded.last, last_at = excluded.last_at",
        workflow,
        process,
        text,
        now,
    )
    .execute(db)
    .await
    .map(drop)
}

/// What a process has recorded.
pub struct Readings {
    pub process: Uuid,
    /// In the text format of Prometheus.
    pub first: String,
    pub first_at: DateTime<Utc>,
    pub last: String,
    pub last_at: DateTime<Utc>,
}

/// Returns what the processes have recorded.
pub async fn list_readings(db: impl PgExecutor<'_>, workflow: Uuid) -> sqlx::Result<Vec<Readings>> {
    sqlx::query_as!(
        Readings,
        "select process, first, first_at, last, last_at
        from performance_reading
        where workflow_id = $1",
        workflow,
    )
    .fetch_all(db)
    .await
}

/// Deletes what was recorded in the former state.
pub async fn delete_readings(db: impl PgExecutor<'_>, workflow: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from performance_reading where workflow_id = $1", workflow)
        .execute(db)
        .await
        .map(drop)
}

/// Records the state of a workflow.
pub async fn insert_event(
    db: impl PgExecutor<'_>,
    workflow: &Workflow,
    actor: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into performance_workflow_event (
            workflow_id, version, status, stage, health_score, actor, reason, at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8)",
        workflow.id,
        workflow.version,
        workflow.status as Status,
        workflow.stage,
        workflow.health_score,
        actor,
        workflow.reason,
        workflow.updated_at,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Returns the states of a workflow, oldest first.
pub async fn list_events(db: impl PgExecutor<'_>, workflow: Uuid) -> sqlx::Result<Vec<Event>> {
    sqlx::query_as!(
        Event,
        r#"select version, status as "status: Status", stage, health_score, actor, reason, at
        from performance_workflow_event
        where workflow_id = $1
        order by version
        limit 1000"#,
        workflow,
    )
    .fetch_all(db)
    .await
}

/// Deletes up to `limit` workflows that ended before a time, with their events; returns how many.
pub async fn delete_ended_before(
    db: impl PgExecutor<'_>,
    before: DateTime<Utc>,
    limit: u32,
) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "delete from performance_workflow
        where ctid = any(array(
            select ctid
            from performance_workflow
            where ended_at < $1
            order by ended_at
            limit $2
        ))",
        before,
        i64::from(limit),
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected())
}
