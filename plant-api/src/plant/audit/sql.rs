//! Statements for the export.

use sqlx::PgExecutor;

/// Key of the advisory lock for exports; no other code may use it.
const EXPORT_LOCK_KEY: i64 = 0x706c_616e_745f_6578;

/// Takes the advisory lock for exports until the end of the transaction, so that one export runs at
/// a time across all replicas. Returns whether the lock was free.
pub async fn try_lock_export(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "locked!""#, EXPORT_LOCK_KEY)
        .fetch_one(db)
        .await
}

/// Disables the statement timeout for this transaction.
pub async fn disable_statement_timeout(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query!("set local statement_timeout = 0").execute(db).await.map(drop)
}
