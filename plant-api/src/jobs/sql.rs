//! Statements on `job` that enqueue, claim and finish jobs.

use std::time::Duration;

use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{Job, NewJob};

/// Inserts jobs. Returns the ids of those whose deduplication key no other job has.
pub async fn insert(db: impl PgExecutor<'_>, jobs: &[NewJob]) -> sqlx::Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
    let kinds: Vec<String> = jobs.iter().map(|job| job.kind.to_owned()).collect();
    let owners: Vec<String> = jobs.iter().map(|job| job.owner.clone()).collect();
    let payloads: Vec<Value> = jobs.iter().map(|job| job.payload.clone()).collect();
    let priorities: Vec<i16> = jobs.iter().map(|job| job.priority as i16).collect();
    let delays: Vec<f64> = jobs.iter().map(|job| job.delay.as_secs_f64()).collect();
    let dedupe_keys: Vec<Option<String>> = jobs.iter().map(|job| job.dedupe_key.clone()).collect();
    sqlx::query_scalar!(
        "with new as (
            select *
            from unnest(
                $1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::smallint[], $6::float8[],
                $7::text[]
            ) with ordinality as new (
                id, kind, owner, payload, priority, delay, dedupe_key, position
            )
        ),
        first as (
            select
                kind, owner, priority,
                greatest(
                    0,
                    (
                        select min(turn)
                        from job
                        where state = 'ready' and kind = own.kind and priority = own.priority
                    ),
                    (
                        select max(turn) + 1
                        from job
                        where
                            state = 'ready' and kind = own.kind and priority = own.priority
                            and owner = own.owner
                    )
                ) as turn
            from (select distinct kind, owner, priority from new) own
        )
        insert into job (
            id, kind, owner, payload, state, priority, turn, run_at, dedupe_key, created_at
        )
        select
            id, kind, owner, payload, case when delay = 0 then 'ready' else 'waiting' end, priority,
            first.turn - 1 + row_number() over (
                partition by kind, owner, priority order by position
            ),
            now() + make_interval(secs => delay), dedupe_key, now()
        from new
        join first using (kind, owner, priority)
        order by dedupe_key, position
        on conflict (kind, dedupe_key) where dedupe_key is not null do nothing
        returning id",
        &ids,
        &kinds,
        &owners,
        &payloads,
        &priorities,
        &delays,
        &dedupe_keys as &[Option<String>],
    )
    .fetch_all(db)
    .await
}

/// Claims the next ready jobs of each kind that is not paused, up to the number in `room`. Skips
/// rows that another worker is claiming.
pub async fn claim(
    db: impl PgExecutor<'_>,
    room: &[(&str, usize)],
    worker: &str,
    lease: Duration,
) -> sqlx::Result<Vec<Job>> {
    let kinds: Vec<String> = room.iter().map(|(kind, _)| (*kind).to_owned()).collect();
    let counts: Vec<i32> =
        room.iter().map(|(_, count)| i32::try_from(*count).unwrap_or(i32::MAX)).collect();
    sqlx::query_as!(
        Job,
        r#"with next as materialized (
            select job.id
            from unnest($1::text[], $2::integer[]) as room (kind, count)
            cross join lateral (
                select id
                from job
                where state = 'ready' and kind = room.kind
                order by priority, turn, id
                limit room.count
                for update skip locked
            ) job
            where not exists (select from paused_queue where paused_queue.kind = room.kind)
        )
        update job
        set state = 'running', attempts = attempts + 1, worker = $3,
            lease_until = now() + make_interval(secs => $4), claimed_at = now()
        from next
        where job.id = next.id
        returning job.id, job.kind, job.owner, job.payload, job.attempts, job.created_at,
            extract(epoch from now() - job.postponed_since)::float8 as postponed_seconds"#,
        &kinds,
        &counts,
        worker,
        lease.as_secs_f64(),
    )
    .fetch_all(db)
    .await
}

/// Renews the leases of the worker's jobs and returns the ids of those renewed. Skips jobs that are
/// being finished in another transaction.
pub async fn renew(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
    worker: &str,
    lease: Duration,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "update job
        set lease_until = now() + make_interval(secs => $3)
        where id in (
            select id
            from job
            where id = any($1) and state = 'running' and worker = $2
            for no key update skip locked
        )
        returning id",
        ids,
        worker,
        lease.as_secs_f64(),
    )
    .fetch_all(db)
    .await
}

/// Attempts of one worker: parallel lists of job ids and attempt numbers.
#[derive(Debug, Default)]
pub struct Attempts {
    pub ids: Vec<Uuid>,
    pub numbers: Vec<i32>,
}

impl Attempts {
    pub fn push(&mut self, job: &Job) {
        self.ids.push(job.id);
        self.numbers.push(job.attempts);
    }
}

/// Marks jobs done and returns the ids of those that the worker still held. Only their results may
/// be written, in the same transaction.
pub async fn finish(
    db: impl PgExecutor<'_>,
    attempts: &Attempts,
    worker: &str,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "update job
        set state = 'done', finished_at = now(), worker = null, lease_until = null,
            last_error = null, dedupe_key = null
        from unnest($1::uuid[], $2::integer[]) as mine (id, attempts)
        where job.id = mine.id
            and job.state = 'running'
            and job.worker = $3
            and job.attempts = mine.attempts
        returning job.id",
        &attempts.ids,
        &attempts.numbers,
        worker,
    )
    .fetch_all(db)
    .await
}

/// Schedules another attempt after `delay`. Returns whether the worker still held the job.
pub async fn retry_later(
    db: impl PgExecutor<'_>,
    job: &Job,
    worker: &str,
    delay: Duration,
    reason: &str,
) -> sqlx::Result<bool> {
    wait(db, job, worker, Counts::Attempt, delay, reason).await
}

/// Schedules another attempt after `delay`, without counting this one. Returns whether the worker still
/// held the job.
pub async fn postpone(
    db: impl PgExecutor<'_>,
    job: &Job,
    worker: &str,
    delay: Duration,
    reason: &str,
) -> sqlx::Result<bool> {
    wait(db, job, worker, Counts::Nothing, delay, reason).await
}

/// What a wait follows.
#[derive(PartialEq)]
enum Counts {
    /// An attempt, which is counted.
    Attempt,
    /// A postponement, which is not.
    Nothing,
}

/// Lets a job wait for `delay`. Returns whether the worker still held it.
async fn wait(
    db: impl PgExecutor<'_>,
    job: &Job,
    worker: &str,
    counts: Counts,
    delay: Duration,
    reason: &str,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update job
        set state = 'waiting', run_at = now() + make_interval(secs => $5),
            attempts = attempts - case when $4 then 1 else 0 end,
            postponed_since = case when $4 then coalesce(postponed_since, now()) end,
            worker = null, lease_until = null, last_error = $6
        where id = $1 and state = 'running' and worker = $2 and attempts = $3",
        job.id,
        worker,
        job.attempts,
        counts == Counts::Nothing,
        delay.as_secs_f64(),
        reason,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Dead-letters a job. Returns whether the worker still held the job.
pub async fn dead_letter(
    db: impl PgExecutor<'_>,
    job: &Job,
    worker: &str,
    reason: &str,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update job
        set state = 'dead', finished_at = now(), worker = null, lease_until = null, last_error = $4,
            dedupe_key = null
        where id = $1 and state = 'running' and worker = $2 and attempts = $3",
        job.id,
        worker,
        job.attempts,
        reason,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Releases the jobs that the worker holds, but not the `running` ones, without counting the attempt.
/// Returns how many.
pub async fn release(db: impl PgExecutor<'_>, worker: &str, running: &[Uuid]) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "update job
        set state = 'ready', attempts = attempts - 1, worker = null, lease_until = null
        where id in (
            select id
            from job
            where state = 'running' and worker = $1 and id <> all ($2)
            for update skip locked
        )",
        worker,
        running,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected())
}

/// Sets this transaction's idle timeout to 5 s, so that a process that is stopped in the middle of
/// it does not keep its jobs locked.
pub async fn set_idle_timeout(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query!("select set_config('idle_in_transaction_session_timeout', '5000', true)")
        .fetch_all(db)
        .await
        .map(drop)
}
