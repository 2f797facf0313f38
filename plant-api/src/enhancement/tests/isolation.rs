//! Row-level security: statements of the service's role see and write the rows of the entered tenant.

use sqlx::{AssertSqlSafe, PgConnection};

use super::*;
use crate::db::{TenantId, TenantScope};

const TABLES: [&str; 5] = [
    "tenant_configs",
    "enhancement_history",
    "resolved_ticket",
    "knowledge_article",
    "inventory_system",
];

/// A service with a row of each tenant in each table.
async fn app_with_two_tenants(pool: PgPool) -> TestApp {
    let app = app_with_tenant(pool).await;
    create_tenant(&app, "rose").await;
    for tenant in ["acme", "rose"] {
        post_signed(&app, tenant, &ticket("TKT-1"), SECRET).await.expect(202);
        for insert in [
            "insert into resolved_ticket (tenant_id, ticket_id, description, resolution, resolved_at)
            values ($1, 'OLD-1', 'slow mail', 'restarted', now())",
            "insert into knowledge_article (tenant_id, slug, title, body)
            values ($1, 'mail', 'Mail', 'Restart it')",
            "insert into inventory_system (tenant_id, address, hostname, role)
            values ($1, '10.0.0.1', 'mail-1', 'mail server')",
        ] {
            sqlx::query(insert).bind(tenant).execute(&app.owner).await.unwrap();
        }
    }
    app
}

async fn count(db: &mut PgConnection, table: &str, filter: &str) -> i64 {
    let select = format!("select count(*) from {table} where {filter}");
    sqlx::query_scalar(AssertSqlSafe(select)).fetch_one(db).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_transaction_reads_the_rows_of_its_tenant_only(pool: PgPool) {
    let app = app_with_two_tenants(pool).await;
    let acme = TenantId::parse("acme").unwrap();
    for table in TABLES {
        let mut none = app.state.db.begin().await.unwrap();
        assert_eq!(count(&mut none, table, "true").await, 0, "{table}");
        let mut one = app.state.db.begin_in(TenantScope::One(&acme)).await.unwrap();
        assert_eq!(count(&mut one, table, "true").await, 1, "{table}");
        assert_eq!(count(&mut one, table, "tenant_id = 'rose'").await, 0, "{table}");
        let mut all = app.state.db.begin_in(TenantScope::All).await.unwrap();
        assert_eq!(count(&mut all, table, "true").await, 2, "{table}");
        // Entering another tenant in the same transaction leaves the first one.
        crate::db::enter(&mut *all, TenantScope::One(&acme)).await.unwrap();
        assert_eq!(count(&mut all, table, "true").await, 1, "{table}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_tenant_is_left_with_the_transaction(pool: PgPool) {
    let app = app_with_two_tenants(pool).await;
    let acme = TenantId::parse("acme").unwrap();
    // More transactions than connections, so that each connection is used again.
    for _ in 0..10 {
        let mut one = app.state.db.begin_in(TenantScope::One(&acme)).await.unwrap();
        assert_eq!(count(&mut one, "tenant_configs", "true").await, 1);
        one.commit().await.unwrap();
        let mut none = app.state.db.acquire().await.unwrap();
        assert_eq!(count(&mut none, "tenant_configs", "true").await, 0);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_transaction_writes_the_rows_of_its_tenant_only(pool: PgPool) {
    let app = app_with_two_tenants(pool).await;
    let acme = TenantId::parse("acme").unwrap();
    for write in [
        "update enhancement_history set error = 'x', status = 'failed', completed_at = now()
        where tenant_id = 'rose'",
        "delete from enhancement_history where tenant_id = 'rose'",
        "update tenant_configs set is_active = false where tenant_id = 'rose'",
        "delete from tenant_configs where tenant_id = 'rose'",
    ] {
        let mut tx = app.state.db.begin_in(TenantScope::One(&acme)).await.unwrap();
        let written = sqlx::query(write).execute(&mut *tx).await.unwrap().rows_affected();
        assert_eq!(written, 0, "{write}");
    }
    for write in [
        "insert into enhancement_history (
            id, tenant_id, delivery_id, event, ticket_id, description, priority,
            ticket_created_at, accepted_at
        )
        values (gen_random_uuid(), 'rose', 'x', 'x', 'X', 'x', 'low', now(), now())",
        "update enhancement_history set tenant_id = 'rose'",
        "insert into tenant_configs (
            tenant_id, name, servicedesk_url, servicedesk_api_key_encrypted,
            webhook_signing_secret_encrypted, tool_type
        )
        values ('iris', 'x', 'x', 'x', 'x', 'x')",
        "update tenant_configs set tenant_id = 'iris'",
    ] {
        let mut tx = app.state.db.begin_in(TenantScope::One(&acme)).await.unwrap();
        let error = sqlx::query(write).execute(&mut *tx).await.unwrap_err().to_string();
        assert!(error.contains("row-level security"), "{write}: {error}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_owner_is_not_restricted(pool: PgPool) {
    let app = app_with_two_tenants(pool).await;
    let mut owner = app.owner.acquire().await.unwrap();
    assert_eq!(count(&mut owner, "enhancement_history", "true").await, 2);
    // The documented clean-up.
    sqlx::query("DELETE FROM enhancement_history WHERE tenant_id='acme'")
        .execute(&mut *owner)
        .await
        .unwrap();
    assert_eq!(count(&mut owner, "enhancement_history", "true").await, 1);
}
