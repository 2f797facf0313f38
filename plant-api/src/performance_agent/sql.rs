//! Statements on snapshots.

use chrono::{DateTime, Utc};
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use sqlx::PgExecutor;
use sqlx::types::Json;
use uuid::Uuid;

use super::snapshot::Snapshot;
use crate::page::Page;

pub async fn insert_snapshot(db: impl PgExecutor<'_>, snapshot: &Snapshot) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into performance_snapshot (id, target, collected_at, snapshot)
        values ($1, $2, $3, $4)",
        snapshot.id,
        snapshot.target,
        snapshot.collected_at,
        Json(snapshot) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn find_snapshot(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Snapshot>> {
    let found = sqlx::query_scalar!(
        r#"select snapshot as "snapshot: Json<Snapshot>"
        from performance_snapshot
        where id = $1"#,
        id,
    );
    Ok(found.fetch_optional(db).await?.map(|Json(snapshot)| snapshot))
}

/// Streams the snapshots of a page that were collected after `since`, the newest first.
pub fn list_snapshots<'a>(
    db: impl PgExecutor<'a> + 'a,
    since: DateTime<Utc>,
    page: &Page,
) -> BoxStream<'a, sqlx::Result<Snapshot>> {
    sqlx::query_scalar!(
        r#"select snapshot as "snapshot: Json<Snapshot>"
        from performance_snapshot
        where collected_at > $1 and id < $2
        order by id desc
        limit $3
        offset $4"#,
        since,
        page.before(),
        page.fetch_limit(),
        page.offset,
    )
    .fetch(db)
    .map_ok(|Json(snapshot)| snapshot)
    .boxed()
}

/// Deletes up to `limit` snapshots that were collected before a time, with their analyses; returns how
/// many.
pub async fn delete_snapshots_before(
    db: impl PgExecutor<'_>,
    before: DateTime<Utc>,
    limit: u32,
) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "delete from performance_snapshot
        where ctid = any(array(
            select ctid
            from performance_snapshot
            where collected_at < $1
            order by collected_at
            limit $2
        ))",
        before,
        i64::from(limit),
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected())
}

pub async fn ping(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query!(r#"select 1 as "one!""#).fetch_one(db).await.map(drop)
}

/// Returns the seconds since the oldest of the jobs that are ready could be claimed; zero without any.
pub async fn find_claim_delay(db: impl PgExecutor<'_>) -> sqlx::Result<f64> {
    sqlx::query_scalar!(
        r#"select coalesce(max(extract(epoch from now() - run_at)), 0)::float8 as "seconds!"
        from job
        where state = 'ready' and kind not in (select kind from paused_queue)"#,
    )
    .fetch_one(db)
    .await
}
