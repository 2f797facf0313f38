//! The index for searches. It takes most of the time of planting many agents when it takes them
//! one by one, each with a hundred parts; so many are listed first and then sorted in together.

use sqlx::PgConnection;

/// With so many agents it is worth it.
const MANY: i64 = 2_000;

/// Whether many of `agents` are still to be planted.
pub async fn grows_much(db: &mut PgConnection, agents: u32) -> sqlx::Result<bool> {
    let there = sqlx::query_scalar!(r#"select count(*) as "there!" from agent"#);
    Ok(i64::from(agents) - there.fetch_one(db).await? >= MANY)
}

/// Has new agents listed. Only the owner may do it, and until the transaction ends nobody else can
/// read agents, as when tables are emptied; a transaction that ends early leaves the index as it
/// was.
pub async fn list_first(db: &mut PgConnection) -> sqlx::Result<()> {
    let statement = "alter index agent_search_text_idx set (fastupdate = on)";
    sqlx::raw_sql(statement).execute(db).await.map(drop)
}

/// Sorts in what is still listed, and has further agents taken one by one again.
pub async fn sort_in(db: &mut PgConnection) -> sqlx::Result<()> {
    let statements = "alter index agent_search_text_idx set (fastupdate = off);
        select gin_clean_pending_list('agent_search_text_idx')";
    sqlx::raw_sql(statements).execute(db).await.map(drop)
}
