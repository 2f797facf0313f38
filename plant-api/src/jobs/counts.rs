//! Counts and lists of ready and running jobs, for metrics and for the Redis lists.

use sqlx::PgExecutor;
use uuid::Uuid;

/// Numbers of ready and running jobs of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobCounts {
    /// Name of the kind.
    pub kind: String,
    /// Jobs that a worker can claim now.
    pub ready: i64,
    /// Jobs that a worker of any process is running.
    pub running: i64,
}

/// Returns the numbers of ready and running jobs by kind; kinds without any are omitted.
///
/// # Errors
/// Database errors.
pub async fn count_by_kind(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<JobCounts>> {
    sqlx::query_as!(
        JobCounts,
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

/// Returns the ids of up to `limit` ready jobs of a kind, in the order in which they are claimed.
///
/// # Errors
/// Database errors.
pub async fn list_ready(
    db: impl PgExecutor<'_>,
    kind: &str,
    limit: i64,
) -> sqlx::Result<Vec<Uuid>> {
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
