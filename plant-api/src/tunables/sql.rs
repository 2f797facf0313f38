//! Statements on `tunable`, `tunable_version` and `tunable_process`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::db::TUNABLE_CHANNEL;

/// A row of `tunable`; `name` is `None` in the row that stands for an empty table.
pub struct Row {
    /// Version of all settings.
    pub version: i64,
    pub name: Option<String>,
    pub value: Option<i64>,
    pub rollout_id: Option<Uuid>,
    pub rollout_value: Option<i64>,
    pub rollout_share: Option<i16>,
    pub ended_rollout_id: Option<Uuid>,
    pub ended_rollout_finished: Option<bool>,
    pub row_version: Option<i64>,
    pub updated_by: Option<String>,
    pub updated_at: Option<DateTime<Utc>>,
}

/// Returns the version and all rows, of one snapshot.
pub async fn list(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"select
            v.version, t.name as "name?", t.value, t.rollout_id, t.rollout_value, t.rollout_share,
            t.ended_rollout_id, t.ended_rollout_finished, t.version as "row_version?",
            t.updated_by as "updated_by?", t.updated_at as "updated_at?"
        from tunable_version v
        left join tunable t on true
        order by t.name"#,
    )
    .fetch_all(db)
    .await
}

/// Locks the version until the end of the transaction and returns it.
pub async fn lock_version(db: impl PgExecutor<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar!("select version from tunable_version for update").fetch_one(db).await
}

/// The new content of a row.
pub struct Change<'a> {
    pub name: &'a str,
    pub value: Option<i64>,
    pub rollout: Option<(Uuid, i64, i16)>,
    /// The rollout that this change ends, and whether its value became the current one.
    pub ended_rollout: Option<(Uuid, bool)>,
    pub updated_by: &'a str,
    pub updated_at: DateTime<Utc>,
}

/// Writes a row, increments the version, and notifies all processes with the commit. Returns the new
/// version. The ended rollout of the row stays if the change ends none.
pub async fn write(db: impl PgExecutor<'_>, change: &Change<'_>) -> sqlx::Result<i64> {
    let (rollout_id, rollout_value, rollout_share) = match change.rollout {
        Some((id, value, share)) => (Some(id), Some(value), Some(share)),
        None => (None, None, None),
    };
    let (ended_id, ended_finished) = change.ended_rollout.unzip();
    sqlx::query_scalar!(
        "with next as (
            update tunable_version set version = version + 1 returning version
        ),
        notified as (
            select pg_notify($10, '')
        )
        insert into tunable as t (
            name, value, rollout_id, rollout_value, rollout_share, ended_rollout_id,
            ended_rollout_finished, version, updated_by, updated_at
        )
        select $1, $2, $3, $4, $5, $6, $7, next.version, $8, $9
        from next
        cross join notified
        on conflict (name) do update
        set value = excluded.value, rollout_id = excluded.rollout_id,
            rollout_value = excluded.rollout_value, rollout_share = excluded.rollout_share,
            ended_rollout_id = coalesce(excluded.ended_rollout_id, t.ended_rollout_id),
            ended_rollout_finished =
                coalesce(excluded.ended_rollout_finished, t.ended_rollout_finished),
            version = excluded.version, updated_by = excluded.updated_by,
            updated_at = excluded.updated_at
        returning version",
        change.name,
        change.value,
        rollout_id,
        rollout_value,
        rollout_share,
        ended_id,
        ended_finished,
        change.updated_by,
        change.updated_at,
        TUNABLE_CHANNEL,
    )
    .fetch_one(db)
    .await
}

/// Records the version that a process applies, and deletes the rows of processes that have not
/// reported for `lifetime`.
pub async fn report(
    db: impl PgExecutor<'_>,
    process: Uuid,
    version: i64,
    lifetime: Duration,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with gone as (
            delete from tunable_process
            where reported_at < now() - make_interval(secs => $3) and id <> $1
        )
        insert into tunable_process (id, version, reported_at)
        values ($1, $2, now())
        on conflict (id) do update
        set version = excluded.version, reported_at = excluded.reported_at",
        process,
        version,
        lifetime.as_secs_f64(),
    )
    .execute(db)
    .await
    .map(drop)
}

/// Deletes the row of a process that stops.
pub async fn remove(db: impl PgExecutor<'_>, process: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from tunable_process where id = $1", process).execute(db).await.map(drop)
}

/// Returns whether all processes that have reported within `lifetime` apply `version` or a later one, and
/// whether `process` is one of them.
pub async fn is_applied(
    db: impl PgExecutor<'_>,
    process: Uuid,
    version: i64,
    lifetime: Duration,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select coalesce(bool_and(version >= $1) and bool_or(id = $2), false) as "is_applied!"
        from tunable_process
        where reported_at >= now() - make_interval(secs => $3)"#,
        version,
        process,
        lifetime.as_secs_f64(),
    )
    .fetch_one(db)
    .await
}
