//! Inserts of the tenant and its knowledge. Existing rows stay unchanged.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{ResolvedTicket, System, slug};
use crate::seed::files::{Article, Tenant};

pub async fn insert_tenant(
    db: &mut PgConnection,
    tenant: &Tenant,
    created_at: DateTime<Utc>,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "insert into tenant_configs (
            tenant_id, name, servicedesk_url, servicedesk_api_key_encrypted,
            webhook_signing_secret_encrypted, tool_type, created_at, updated_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $7)
        on conflict (tenant_id) do nothing",
        tenant.tenant_id,
        tenant.name,
        tenant.servicedesk_url,
        tenant.api_key,
        tenant.signing_secret,
        tenant.tool_type,
        created_at,
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}

pub async fn insert_resolved_tickets(
    db: &mut PgConnection,
    tenant: &str,
    rows: &[ResolvedTicket],
) -> sqlx::Result<u64> {
    let ids: Vec<_> = rows.iter().map(|row| row.ticket_id.as_str()).collect();
    let descriptions: Vec<_> = rows.iter().map(|row| row.description.as_str()).collect();
    let resolutions: Vec<_> = rows.iter().map(|row| row.resolution.as_str()).collect();
    let resolved: Vec<_> = rows.iter().map(|row| row.resolved_at).collect();
    sqlx::query!(
        "insert into resolved_ticket (tenant_id, ticket_id, description, resolution, resolved_at)
        select $1, new.*
        from unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[]) new
        on conflict (tenant_id, ticket_id) do nothing",
        tenant,
        &ids as &[&str],
        &descriptions as &[&str],
        &resolutions as &[&str],
        &resolved,
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}

pub async fn insert_articles(
    db: &mut PgConnection,
    tenant: &str,
    rows: &[&Article],
) -> sqlx::Result<u64> {
    let slugs: Vec<_> = rows.iter().map(|row| slug(&row.title)).collect();
    let titles: Vec<_> = rows.iter().map(|row| row.title.as_str()).collect();
    let bodies: Vec<_> = rows.iter().map(|row| row.body.as_str()).collect();
    sqlx::query!(
        "insert into knowledge_article (tenant_id, slug, title, body)
        select $1, new.* from unnest($2::text[], $3::text[], $4::text[]) new
        on conflict (tenant_id, slug) do nothing",
        tenant,
        &slugs,
        &titles as &[&str],
        &bodies as &[&str],
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}

pub async fn insert_systems(
    db: &mut PgConnection,
    tenant: &str,
    rows: &[System],
) -> sqlx::Result<u64> {
    let addresses: Vec<_> = rows.iter().map(|row| row.address.to_string()).collect();
    let hostnames: Vec<_> = rows.iter().map(|row| row.hostname.as_str()).collect();
    let roles: Vec<_> = rows.iter().map(|row| row.role.as_str()).collect();
    sqlx::query!(
        "insert into inventory_system (tenant_id, address, hostname, role)
        select $1, new.address::inet, new.hostname, new.role
        from unnest($2::text[], $3::text[], $4::text[]) as new (address, hostname, role)
        on conflict (tenant_id, address) do nothing",
        tenant,
        &addresses,
        &hostnames as &[&str],
        &roles as &[&str],
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}
