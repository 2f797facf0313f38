//! Statements on the queue of tickets, in a transaction that has entered all tenants.

use sqlx::PgExecutor;
use uuid::Uuid;

use super::{DeadTicket, QueueState};
use crate::db::TenantId;
use crate::enhancement::job::KIND;

pub async fn find_state(db: impl PgExecutor<'_>) -> sqlx::Result<QueueState> {
    sqlx::query_as!(
        QueueState,
        r#"select
            $2 as "queue!",
            paused_at is not null as "paused!",
            paused_at as "paused_at?",
            ready.jobs as "depth!",
            (select count(*) from job where state = 'waiting' and kind = $1) as "waiting!",
            running.jobs as "running!",
            (
                select count(*)
                from job
                join enhancement_history history on history.id = job.id
                where job.state = 'dead' and job.kind = $1
            ) as "dead!",
            extract(epoch from now() - ready.oldest)::float8 as oldest_ready_seconds,
            running.workers as "workers!",
            (
                select count(*)
                from job
                where state = 'done' and kind = $1 and finished_at > now() - interval '1 minute'
            ) as "completed_last_minute!",
            (
                select count(*)
                from job
                where state = 'dead' and kind = $1 and finished_at > now() - interval '1 minute'
            ) as "failed_last_minute!"
        from (
            select count(*) as jobs, min(run_at) as oldest
            from job
            where state = 'ready' and kind = $1
        ) ready
        cross join (
            select count(*) as jobs, count(distinct worker) as workers
            from job
            where state = 'running' and kind = $1
        ) running
        left join paused_queue on paused_queue.kind = $1"#,
        KIND.name,
        KIND.queue,
    )
    .fetch_one(db)
    .await
}

/// Returns up to `limit` dead-lettered tickets, the last first.
pub async fn list_dead(db: impl PgExecutor<'_>, limit: i64) -> sqlx::Result<Vec<DeadTicket>> {
    sqlx::query_as!(
        DeadTicket,
        r#"select
            job.id as job_id, tenant_id as "tenant_id: TenantId", ticket_id, job.attempts,
            job.last_error as error, accepted_at, job.finished_at as "failed_at!"
        from job
        join enhancement_history history on history.id = job.id
        where job.state = 'dead' and job.kind = $1
        order by job.finished_at desc, job.id desc
        limit $2"#,
        KIND.name,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Marks a failed ticket pending. Returns whether it was failed.
pub async fn reopen(db: impl PgExecutor<'_>, job: Uuid) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update enhancement_history
        set status = 'pending', error = null, processing_time_ms = null, completed_at = null
        where id = $1 and status = 'failed'",
        job,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}
