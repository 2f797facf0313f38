//! The sources of context.

use serde_json::json;
use sqlx::PgPool;

use super::*;
use crate::db::TenantScope;
use crate::enhancement::context;

async fn insert_knowledge(app: &TestApp, tenant: &str) {
    for sql in [
        "insert into tenant_configs (
            tenant_id, name, servicedesk_url, servicedesk_api_key_encrypted,
            webhook_signing_secret_encrypted, tool_type
        )
        values ($1, $1, 'https://x', 'k', 's', 'servicedesk_plus') on conflict do nothing",
        "insert into resolved_ticket (tenant_id, ticket_id, description, resolution, resolved_at)
        select $1, upper($1) || '-' || n, text, 'Resolution ' || n, now()
        from (values
            (1, 'The mail server is slow since the update'),
            (2, 'The printer on the second floor jams'),
            (3, 'Mail cannot be sent, the server answers slowly'),
            (4, 'A user cannot log in to the database')
        ) t (n, text)",
        "insert into knowledge_article (tenant_id, slug, title, body)
        select $1, 'article-' || n, title, body
        from (values
            (1, 'Mail', 'How to restart the mail server'),
            (2, 'Printers', 'How to clear a paper jam'),
            (3, 'Servers', 'Mail: what the mail server logs'),
            (4, 'Slow mail', 'The mail server and its queue'),
            (5, 'Mail quota', 'The mail server and its quota')
        ) t (n, title, body)",
        "insert into inventory_system (tenant_id, address, hostname, role)
        values ($1, '10.0.0.12', $1 || '-mail', 'mail server'), ($1, '2001:db8::1', $1 || '-db', 'database')",
    ] {
        sqlx::query(sql).bind(tenant).execute(&app.owner).await.unwrap();
    }
}

async fn gather(app: &TestApp, tenant: &str, text: &str) -> context::Context {
    context::gather(&app.state.db, &TenantId::parse(tenant).unwrap(), text).await
}

#[sqlx::test(migrations = "../migrations")]
async fn similar_tickets_articles_and_systems_are_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    insert_knowledge(&app, TENANT).await;
    let text =
        "Our mail server 10.0.0.12 is slow, [2001:db8::1]:5432 too. It's \\ 'quoted' & (odd) | !";
    let found = gather(&app, TENANT, text).await;
    let record = found.record();
    assert_eq!(record["systems"], json!(["10.0.0.12", "2001:db8::1"]));
    assert_eq!(record["failed_sources"], json!([]));
    let mut similar: Vec<_> = found.similar_tickets.iter().map(|t| &*t.ticket_id).collect();
    similar.sort_unstable();
    assert_eq!(similar, ["LOTUS-1", "LOTUS-3"]);
    assert_eq!(found.similar_tickets[0].resolution, "Resolution 1");
    assert_eq!(found.articles.len(), 3);
    assert_eq!(found.systems[0].hostname, "lotus-mail");
}

#[sqlx::test(migrations = "../migrations")]
async fn misspelt_words_are_found_by_their_trigrams(pool: PgPool) {
    let app = TestApp::new(pool).await;
    insert_knowledge(&app, TENANT).await;
    let found = gather(&app, TENANT, "teh pritner on teh secnd flor jamms").await;
    let similar: Vec<_> = found.similar_tickets.iter().map(|t| &*t.ticket_id).collect();
    assert_eq!(similar, ["LOTUS-2"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_of_another_tenant_is_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    insert_knowledge(&app, "other").await;
    insert_knowledge(&app, TENANT).await;
    let text = "The mail server 10.0.0.12 is slow, the printer jams";
    let found = gather(&app, TENANT, text).await;
    assert!(found.similar_tickets.iter().all(|t| t.ticket_id.starts_with("LOTUS")), "{found:?}");
    assert_eq!(found.systems.len(), 1);
    assert!(gather(&app, "nobody", text).await.is_empty());
    // The functions return nothing to a transaction that has entered all tenants, or none.
    for tenant in ["*", ""] {
        let mut tx = app.state.db.begin().await.unwrap();
        let enter = "select set_config('plant.tenant_id', $1, true)";
        sqlx::query(enter).bind(tenant).execute(&mut *tx).await.unwrap();
        let found: i64 = sqlx::query_scalar(
            "select (select count(*) from similar_tickets($1, 5))
                + (select count(*) from relevant_articles($1, 5))",
        )
        .bind(text)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        assert_eq!(found, 0);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_source_that_fails_does_not_fail_the_others(pool: PgPool) {
    let app = TestApp::new(pool).await;
    insert_knowledge(&app, TENANT).await;
    let text = "The mail server 10.0.0.12 is slow";
    sqlx::query("drop function relevant_articles").execute(&app.owner).await.unwrap();
    let found = gather(&app, TENANT, text).await;
    assert_eq!(found.record()["failed_sources"], json!(["articles"]));
    assert_eq!((found.similar_tickets.len(), found.systems.len()), (2, 1));
    sqlx::query("drop table inventory_system, resolved_ticket").execute(&app.owner).await.unwrap();
    let failed = gather(&app, TENANT, text).await.record()["failed_sources"].clone();
    assert_eq!(failed, json!(["similar_tickets", "articles", "systems"]));
}

/// Reads that the search needs must not grow with the rows of other tenants, nor with the tenant's
/// rows that have a common word.
#[sqlx::test(migrations = "../migrations")]
async fn the_cost_of_a_search_does_not_depend_on_other_tenants(pool: PgPool) {
    let app = TestApp::new(pool).await;
    insert_knowledge(&app, TENANT).await;
    insert_knowledge(&app, "other").await;
    let before = [pages_read(&app, SPELT).await, pages_read(&app, MISSPELT).await];
    sqlx::query(
        "insert into resolved_ticket (tenant_id, ticket_id, description, resolution, resolved_at)
        select 'other', 'MANY-' || n, 'The mail server number ' || n || ' is slow', 'Restarted', now()
        from generate_series(1, 10000) n",
    )
    .execute(&app.owner)
    .await
    .unwrap();
    sqlx::query("analyze resolved_ticket").execute(&app.owner).await.unwrap();
    let after = [pages_read(&app, SPELT).await, pages_read(&app, MISSPELT).await];
    // The table has some 300 pages.
    for (before, after) in before.into_iter().zip(after) {
        assert!(after <= before + 30, "{before} pages before, {after} after");
    }
}

const SPELT: &str = "The mail server is slow";
const MISSPELT: &str = "teh mial srver si slwo";

/// Returns how many pages a search for similar tickets reads, after one that fills the caches.
async fn pages_read(app: &TestApp, text: &str) -> i64 {
    let tenant = TenantId::parse(TENANT).unwrap();
    let mut tx = app.state.db.begin_in(TenantScope::One(&tenant)).await.unwrap();
    let mut pages = 0;
    for _ in 0..2 {
        let plan: serde_json::Value = sqlx::query_scalar(
            "explain (analyze, buffers, format json)
            select * from similar_tickets($1, 5)",
        )
        .bind(text)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        let plan = &plan[0]["Plan"];
        let read = |name: &str| plan[name].as_i64().unwrap();
        pages = read("Shared Hit Blocks") + read("Shared Read Blocks");
    }
    pages
}
