//! Paused kinds of jobs, whose ready jobs no worker claims.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// Pauses a kind; does nothing if it is paused.
///
/// # Errors
/// Database errors.
pub async fn pause(db: impl PgExecutor<'_>, kind: &str, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into paused_queue (kind, paused_at)
        values ($1, $2)
        on conflict (kind) do nothing",
        kind,
        now,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Resumes a kind; does nothing if it is not paused.
///
/// # Errors
/// Database errors.
pub async fn resume(db: impl PgExecutor<'_>, kind: &str) -> sqlx::Result<()> {
    sqlx::query!("delete from paused_queue where kind = $1", kind).execute(db).await.map(drop)
}

/// Returns the names of all paused kinds.
///
/// # Errors
/// Database errors.
pub async fn list(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!("select kind from paused_queue order by kind").fetch_all(db).await
}
