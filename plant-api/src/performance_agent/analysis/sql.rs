//! Statements on analyses, and on the snapshots before one.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use sqlx::types::Json;
use uuid::Uuid;

use super::Analysis;
use crate::performance_agent::database::TableMetrics;
use crate::performance_agent::memory::MemorySample;
use crate::performance_agent::snapshot::Snapshot;

pub async fn insert_analysis(db: impl PgExecutor<'_>, analysis: &Analysis) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into performance_analysis (id, snapshot_id, created_at, analysis)
        values ($1, $2, $3, $4)",
        analysis.id,
        analysis.snapshot_id,
        analysis.created_at,
        Json(analysis) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn find_analysis(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Analysis>> {
    let found = sqlx::query_scalar!(
        r#"select analysis as "analysis: Json<Analysis>"
        from performance_analysis
        where id = $1"#,
        id,
    );
    Ok(found.fetch_optional(db).await?.map(|Json(analysis)| analysis))
}

/// Returns the memory of the last 500 snapshots of a target between two times, oldest first.
pub async fn list_memory(
    db: impl PgExecutor<'_>,
    target: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> sqlx::Result<Vec<MemorySample>> {
    let mut samples = sqlx::query_as!(
        MemorySample,
        r#"select
            collected_at as "at",
            (snapshot->'process'->>'start_time')::float8 as start_time,
            (snapshot->'process'->>'id')::uuid as process,
            (snapshot->'process'->>'memory_bytes')::float8 as "bytes!"
        from performance_snapshot
        where target = $1 and collected_at between $2 and $3
            and snapshot->'process'->>'memory_bytes' is not null
        order by collected_at desc, id desc
        limit 500"#,
        target,
        from,
        to,
    )
    .fetch_all(db)
    .await?;
    samples.reverse();
    Ok(samples)
}

/// Returns the time and the tables of the last snapshot of a target before this one, if its database
/// could be read.
pub async fn find_earlier_tables(
    db: impl PgExecutor<'_>,
    snapshot: &Snapshot,
    since: DateTime<Utc>,
) -> sqlx::Result<Option<(DateTime<Utc>, Vec<TableMetrics>)>> {
    let found = sqlx::query!(
        r#"select
            collected_at, snapshot->'database'->'tables' as "tables!: Json<Vec<TableMetrics>>"
        from performance_snapshot
        where target = $1 and (collected_at, id) < ($2, $3) and collected_at > $4
            and jsonb_typeof(snapshot->'database'->'tables') = 'array'
        order by collected_at desc, id desc
        limit 1"#,
        snapshot.target,
        snapshot.collected_at,
        snapshot.id,
        since,
    );
    let found = found.fetch_optional(db).await?;
    Ok(found.map(|row| (row.collected_at, row.tables.0)))
}
