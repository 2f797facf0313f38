//! Statements of the searches, in a transaction that has entered the tenant.

use std::net::IpAddr;

use sqlx::PgExecutor;

use super::{Article, SimilarTicket, System};
use crate::db::TenantId;

pub async fn similar_tickets(
    db: impl PgExecutor<'_>,
    text: &str,
    limit: i32,
) -> sqlx::Result<Vec<SimilarTicket>> {
    sqlx::query_as!(
        SimilarTicket,
        r#"select
            ticket_id as "ticket_id!", description as "description!", resolution as "resolution!"
        from similar_tickets($1, $2)"#,
        text,
        limit,
    )
    .fetch_all(db)
    .await
}

pub async fn articles(
    db: impl PgExecutor<'_>,
    text: &str,
    limit: i32,
) -> sqlx::Result<Vec<Article>> {
    sqlx::query_as!(
        Article,
        r#"select slug as "slug!", title as "title!", body as "body!"
        from relevant_articles($1, $2)"#,
        text,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Returns the systems with these addresses, in this order.
pub async fn systems(
    db: impl PgExecutor<'_>,
    tenant: &TenantId,
    addresses: &[IpAddr],
) -> sqlx::Result<Vec<System>> {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    sqlx::query_as!(
        System,
        r#"select host(s.address) as "address!", s.hostname, s.role
        from unnest($2::text[]) with ordinality as wanted (address, position)
        join inventory_system s
            on s.tenant_id = $1 and s.address = wanted.address::inet
        order by wanted.position"#,
        &**tenant,
        &addresses,
    )
    .fetch_all(db)
    .await
}
