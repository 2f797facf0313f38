//! Bulk updates of the GIN index for agent searches. Updating it row by row, about a hundred
//! trigrams each, takes most of the time of seeding many agents. So a bulk insert uses the pending
//! list of the index and flushes it once.

use sqlx::PgConnection;

/// Minimum number of new agents for which the pending list is used.
const MIN_BULK_AGENTS: i64 = 2_000;

/// Returns whether at least `MIN_BULK_AGENTS` of `agents` are still to be inserted.
pub async fn is_bulk_insert(db: &mut PgConnection, agents: u32) -> sqlx::Result<bool> {
    let existing = sqlx::query_scalar!(r#"select count(*) as "there!" from agent"#);
    Ok(i64::from(agents) - existing.fetch_one(db).await? >= MIN_BULK_AGENTS)
}

/// Enables the pending list (`fastupdate`). Requires the owner of the index. `alter index` blocks
/// reads of agents until the transaction ends; a rollback restores the setting.
pub async fn enable_pending_list(db: &mut PgConnection) -> sqlx::Result<()> {
    let statement = "alter index agent_search_text_idx set (fastupdate = on)";
    sqlx::raw_sql(statement).execute(db).await.map(drop)
}

/// Disables the pending list and moves its entries into the index.
pub async fn flush_pending_list(db: &mut PgConnection) -> sqlx::Result<()> {
    let statements = "alter index agent_search_text_idx set (fastupdate = off);
        select gin_clean_pending_list('agent_search_text_idx')";
    sqlx::raw_sql(statements).execute(db).await.map(drop)
}
