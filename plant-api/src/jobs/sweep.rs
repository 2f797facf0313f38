//! What is done about jobs now and then, by every worker, whoever comes first.

use sqlx::PgExecutor;

use super::{Job, MAX_ATTEMPTS};

/// Most rows that one sweep changes at once.
const AT_ONCE: i64 = 5_000;

/// Makes ready what waited for its time.
pub(crate) async fn wake(db: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    // Behind nobody who is there already, but no longer before everybody else.
    let done = sqlx::query!(
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
        AT_ONCE,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Makes ready again what workers have left lying, unless that was the last attempt.
pub(crate) async fn free(db: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "update job
        set state = 'ready', worker = null, lease_until = null,
            last_error = 'the worker went away'
        where id in (
            select id
            from job
            where state = 'running' and lease_until < now() and attempts < $1
            limit $2
            for update skip locked
        )",
        MAX_ATTEMPTS,
        AT_ONCE,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Buries what workers have left lying at its last attempt, in a transaction that also tells those
/// who wait.
pub(crate) async fn bury_left(db: impl PgExecutor<'_>, reason: &str) -> sqlx::Result<Vec<Job>> {
    sqlx::query_as!(
        Job,
        "update job
        set state = 'dead', finished_at = now(), worker = null, lease_until = null, last_error = $3
        where id in (
            select id
            from job
            where state = 'running' and lease_until < now() and attempts >= $1
            limit $2
            for update skip locked
        )
        returning id, kind, owner, payload, attempts, created_at",
        MAX_ATTEMPTS,
        AT_ONCE,
        reason,
    )
    .fetch_all(db)
    .await
}

/// Forgets what was done more than an hour ago, and what was buried more than 30 days ago.
pub(crate) async fn forget(db: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from job
        where id in (
            select id
            from job
            where state in ('done', 'dead')
                and finished_at < now() - interval '1 hour'
                and (state = 'done' or finished_at < now() - interval '30 days')
            order by finished_at
            limit $1
            for update skip locked
        )",
        AT_ONCE,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
