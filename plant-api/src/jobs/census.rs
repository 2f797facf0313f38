//! How many jobs there are.

use sqlx::PgExecutor;
use uuid::Uuid;

/// Jobs of a kind that are to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The kind.
    pub kind: String,
    /// Those that a worker could claim now.
    pub ready: i64,
    /// Those that are being run, by whichever process.
    pub running: i64,
}

/// The kinds of which anything is to be done.
///
/// # Errors
/// Database errors.
pub async fn count(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as!(
        Count,
        r#"select kind as "kind!", sum(ready)::bigint as "ready!",
            sum(running)::bigint as "running!"
        from (
            select kind, count(*) as ready, 0 as running
            from job
            where state = 'ready'
            group by kind
            union all
            select kind, 0, count(*)
            from job
            where state = 'running'
            group by kind
        ) part
        group by kind"#,
    )
    .fetch_all(db)
    .await
}

/// Ids of the jobs of a kind that a worker could claim now, the next one first.
///
/// # Errors
/// Database errors.
pub async fn ready(db: impl PgExecutor<'_>, kind: &str, limit: i64) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select id
        from job
        where state = 'ready' and kind = $1
        order by priority, turn, id
        limit $2",
        kind,
        limit,
    )
    .fetch_all(db)
    .await
}
