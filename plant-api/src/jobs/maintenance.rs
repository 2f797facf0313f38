//! Statements that every worker runs regularly: they make waiting jobs ready, reclaim jobs whose
//! lease has expired and delete old jobs. Rows that another worker has locked are skipped.

use sqlx::PgExecutor;

use super::{Job, MAX_ATTEMPTS};

/// Maximum number of rows changed by one statement.
const BATCH_SIZE: i64 = 5_000;

/// Makes waiting jobs ready whose time has come. Returns how many.
pub(crate) async fn promote_due(db: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    // The turn is raised to the lowest ready one, so that an old turn does not put the job ahead of
    // all ready jobs.
    let result = sqlx::query!(
        "update job
        set state = 'ready',
            turn = greatest(
                turn,
                (
                    select min(first.turn)
                    from job first
                    where first.state = 'ready'
                        and first.kind = job.kind
                        and first.priority = job.priority
                )
            )
        where id in (
            select id
            from job
            where state = 'waiting' and run_at <= now()
            order by run_at
            limit $1
            for update skip locked
        )",
        BATCH_SIZE,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected())
}

/// Makes running jobs with an expired lease ready again, except after the last attempt. Returns how
/// many.
pub(crate) async fn reclaim_expired(db: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "update job
        set state = 'ready', worker = null, lease_until = null,
            last_error = 'the lease expired'
        where id in (
            select id
            from job
            where state = 'running' and lease_until < now() and attempts < $1
            limit $2
            for update skip locked
        )",
        MAX_ATTEMPTS,
        BATCH_SIZE,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected())
}

/// Dead-letters jobs of these kinds whose lease expired during the last attempt, and returns them. The
/// caller, which has the handlers of the kinds, records the failures in the same transaction.
pub(crate) async fn dead_letter_abandoned(
    db: impl PgExecutor<'_>,
    kinds: &[String],
    reason: &str,
) -> sqlx::Result<Vec<Job>> {
    sqlx::query_as!(
        Job,
        r#"update job
        set state = 'dead', finished_at = now(), worker = null, lease_until = null, last_error = $3,
            dedupe_key = null
        where id in (
            select id
            from job
            where state = 'running' and lease_until < now() and attempts >= $1 and kind = any($4)
            limit $2
            for update skip locked
        )
        returning id, kind, owner, payload, attempts, created_at,
            null::float8 as postponed_seconds"#,
        MAX_ATTEMPTS,
        BATCH_SIZE,
        reason,
        kinds,
    )
    .fetch_all(db)
    .await
}

/// Deletes up to `limit` jobs that were done more than 1 hour ago, the oldest first. Returns how
/// many.
pub(crate) async fn delete_done(db: impl PgExecutor<'_>, limit: u32) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "delete from job
        where ctid = any(array(
            select ctid
            from job
            where state = 'done' and finished_at < now() - interval '1 hour'
            order by finished_at
            limit $1
            for update skip locked
        ))",
        i64::from(limit),
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected())
}

/// Deletes up to `limit` jobs that have been dead for more than 30 days, the oldest first. Returns
/// how many.
pub(crate) async fn delete_dead(db: impl PgExecutor<'_>, limit: u32) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "delete from job
        where ctid = any(array(
            select ctid
            from job
            where state = 'dead' and finished_at < now() - interval '30 days'
            order by finished_at
            limit $1
            for update skip locked
        ))",
        i64::from(limit),
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected())
}
