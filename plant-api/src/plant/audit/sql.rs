//! Statements that no other slice needs.

use sqlx::PgExecutor;

/// Any number that nobody else locks.
const EXPORT_LOCK: i64 = 0x706c_616e_745f_6578;

/// Whether this transaction is now the one that exports; over all replicas there is one.
pub async fn become_the_exporter(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "locked!""#, EXPORT_LOCK)
        .fetch_one(db)
        .await
}

/// Lets the statements of this transaction take as long as they need.
pub async fn lift_the_time_limit(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query!("set local statement_timeout = 0").execute(db).await.map(drop)
}
