//! Tests of seeding on a real database.

mod data;
mod examples;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tokio::time::timeout;
use uuid::Uuid;

use super::{SeedError, SeedSpec, clean, seed_database};
use crate::clock::Clock;
use crate::db::CACHE_CHANNEL;
use crate::payments::job::WEBHOOK_PATH;
use crate::plant::chain::Verdict;
use crate::plant::entity::{self, Kind};
use crate::plant::genesis::examination::examine;
use crate::signature::SIGNATURE_HEADER;
use crate::testing::{TestApp, json_request};

const SPEC: SeedSpec = SeedSpec { agents: 60, skills: 50, customers: 3, users: 3, seed: 42 };

const TABLES: [&str; 21] = [
    "base_entity",
    "amendment",
    "industry",
    "skill",
    "job_role",
    "job_role_skill",
    "team",
    "agent",
    "customer",
    "account",
    "hired_agent",
    "goal",
    "deliverable natural left join deliverable_review",
    "payment",
    "payment_event",
    "ledger_transaction",
    "ledger_entry",
    "tenant_configs",
    "resolved_ticket",
    "knowledge_article",
    "inventory_system",
];

/// Returns every row of every seeded table, including the positions of amendments.
async fn dump(db: &mut PgConnection) -> BTreeMap<&'static str, Vec<String>> {
    let mut tables = BTreeMap::new();
    for table in TABLES {
        let statement = format!("select t::text from (select * from {table}) t order by 1");
        let rows = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_all(&mut *db).await.unwrap();
        tables.insert(table, rows);
    }
    tables
}

#[sqlx::test(migrations = "../migrations")]
async fn running_services_are_notified_of_what_was_seeded_or_cleaned(pool: PgPool) {
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen(CACHE_CHANNEL).await.unwrap();
    let mut db = pool.acquire().await.unwrap();
    for reset in [Some(false), Some(true), None] {
        match reset {
            Some(reset) => drop(seed_database(&mut db, SPEC, reset).await.unwrap()),
            None => drop(clean(&mut db).await.unwrap()),
        }
        let notified = timeout(Duration::from_secs(30), listener.recv()).await;
        assert_eq!(notified.expect("a notification").unwrap().channel(), CACHE_CHANNEL);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn seeding_twice_changes_nothing(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let seeded = seed_database(&mut db, SPEC, false).await.unwrap();
    assert_eq!((seeded.agents, seeded.skills, seeded.customers), (60, 50, 3));
    let before = dump(&mut db).await;
    let unseeded = |table: &str| table.starts_with("payment") || table.starts_with("ledger");
    assert!(before.iter().all(|(table, rows)| rows.is_empty() == unseeded(table)));

    let again = seed_database(&mut db, SPEC, false).await.unwrap();
    assert!(again.to_string().starts_with("nothing to seed"), "{again}");
    assert_eq!(dump(&mut db).await, before);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_documented_insert_of_the_tenant_equals_the_seeded_row(pool: PgPool) {
    const INSERT: &str = "INSERT INTO tenant_configs (
            tenant_id, name, servicedesk_url,
            servicedesk_api_key_encrypted,
            webhook_signing_secret_encrypted,
            tool_type
        ) VALUES (
            'load-test-tenant',
            'Load Test Tenant',
            'https://loadtest.servicedesk.local',
            'encrypted_test_key',
            'encrypted_test_secret',
            'servicedesk_plus'
        )";
    const ROW: &str =
        "select (to_jsonb(t) - 'created_at' - 'updated_at')::text from tenant_configs t";
    let mut db = pool.acquire().await.unwrap();
    sqlx::query(INSERT).execute(&mut *db).await.unwrap();
    let inserted: String = sqlx::query_scalar(ROW).fetch_one(&mut *db).await.unwrap();
    // On top of it the seeder adds the rest; the insert on top of the seeder does nothing.
    let seeded = seed_database(&mut db, SPEC, false).await.unwrap();
    assert_eq!((seeded.tenants, seeded.resolved_tickets), (0, 200));
    assert_eq!((seeded.articles, seeded.systems), (40, 60));
    let seeded = seed_database(&mut db, SPEC, true).await.unwrap();
    assert_eq!((seeded.tenants, seeded.resolved_tickets), (1, 200));
    assert_eq!(sqlx::query_scalar::<_, String>(ROW).fetch_one(&mut *db).await.unwrap(), inserted);
    let again = sqlx::query(INSERT).execute(&mut *db).await.unwrap();
    assert_eq!(again.rows_affected(), 0);
    // Another tenant of this id is a conflict.
    let other = INSERT.replace("Load Test Tenant", "Another");
    let error = sqlx::query(AssertSqlSafe(other)).execute(&mut *db).await.unwrap_err();
    assert!(error.to_string().contains("tenant_configs_pkey"), "{error}");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_arguments_seed_the_same_rows_in_any_database(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    seed_database(&mut db, SPEC, false).await.unwrap();
    let first = dump(&mut db).await;
    // Truncated tables stand in for another database.
    seed_database(&mut db, SPEC, true).await.unwrap();
    assert_eq!(dump(&mut db).await, first);
    seed_database(&mut db, SeedSpec { seed: 43, ..SPEC }, true).await.unwrap();
    assert_ne!(dump(&mut db).await, first);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_larger_count_adds_only_the_missing_rows(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let larger = SeedSpec { agents: 1200, customers: 5, users: 4, ..SPEC };
    seed_database(&mut db, larger, false).await.unwrap();
    let at_once = dump(&mut db).await;

    seed_database(&mut db, SPEC, true).await.unwrap();
    let added = seed_database(&mut db, larger, false).await.unwrap();
    assert_eq!((added.agents, added.skills, added.customers), (1140, 0, 2));
    assert_eq!(added.accounts, 1);
    assert_eq!(dump(&mut db).await, at_once);
    seed_database(&mut db, SPEC, false).await.unwrap();
    assert_eq!(dump(&mut db).await, at_once);
}

#[sqlx::test(migrations = "../migrations")]
async fn bulk_seeding_inserts_the_same_rows_and_restores_the_index_settings(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let bulk = SeedSpec { agents: 2500, ..SPEC };
    seed_database(&mut db, bulk, false).await.unwrap();
    let at_once = dump(&mut db).await;
    let index = "select array_to_string(reloptions, ',') || ', pending pages: '
        || gin_clean_pending_list(oid)
        from pg_class where relname = 'agent_search_text_idx'";
    let options: String = sqlx::query_scalar(index).fetch_one(&mut *db).await.unwrap();
    assert_eq!(options, "fastupdate=off, pending pages: 0");
    sqlx::query("set enable_seqscan = off").execute(&mut *db).await.unwrap();
    let search = "select count(*) from agent where search_text like '%content writer%'";
    let by_index: i64 = sqlx::query_scalar(search).fetch_one(&mut *db).await.unwrap();
    let expected = at_once["agent"].iter().filter(|row| row.contains("Content Writer")).count();
    assert_eq!(by_index, expected as i64);

    // Two steps below the bulk threshold.
    seed_database(&mut db, SeedSpec { agents: 1500, ..SPEC }, true).await.unwrap();
    seed_database(&mut db, bulk, false).await.unwrap();
    assert_eq!(dump(&mut db).await, at_once);
}

#[sqlx::test(migrations = "../migrations")]
async fn every_chain_verifies_and_matches_its_row(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    seed_database(&mut db, SPEC, false).await.unwrap();
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select id from base_entity").fetch_all(&mut *db).await.unwrap();
    for id in ids {
        let base = entity::sql::find(&mut *db, id).await.unwrap().unwrap();
        let examination = examine(&mut db, &base).await.unwrap();
        assert_eq!(examination.verdict, Verdict::Intact, "{id}: {:?}", examination.mismatch);
        let certified = base.kind == Kind::Skill;
        assert_eq!(examination.computed_head.length, if certified { 2 } else { 1 });
        assert_eq!(base.certified_at.is_some(), certified);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn skills_are_certified_and_every_job_role_requires_one(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    seed_database(&mut db, SPEC, false).await.unwrap();
    let uncertified: Vec<Uuid> = sqlx::query_scalar(
        "select e.id from base_entity e
        where e.entity_type = 'skill' and (e.status <> 'certified' or e.certified_at is null)",
    )
    .fetch_all(&mut *db)
    .await
    .unwrap();
    assert!(uncertified.is_empty());
    let without: Vec<String> = sqlx::query_scalar(
        "select name from job_role j
        where not exists (select from job_role_skill r where r.job_role_id = j.id)",
    )
    .fetch_all(&mut *db)
    .await
    .unwrap();
    assert!(without.is_empty(), "{without:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn names_used_by_other_rows_are_listed_and_nothing_changes(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let other = json!({"name": "Skill_17", "category": "technical"});
    app.create("/api/v1/skills", other).await;
    let taken = json!({"name": "seo", "category": "technical"});
    app.create("/api/v1/skills", taken).await;
    let customer = json!({"id": "test-customer-002", "name": "Other Customer"});
    app.create("/api/v1/customers", customer).await;
    let account = json!({"email": "loadtest_3@test.local", "password": "eleven apples"});
    app.post("/api/v1/auth/register", account).await.expect(201);

    let mut db = pool.acquire().await.unwrap();
    let before = dump(&mut db).await;
    let error = seed_database(&mut db, SPEC, false).await.unwrap_err();
    let SeedError::NamesTaken(taken) = &error else { panic!("{error}") };
    let names = ["skill `SEO`", "customer `test-customer-002`", "account `loadtest_3@test.local`"];
    assert_eq!(taken[..], names);
    assert!(error.to_string().contains("--reset"));
    assert_eq!(dump(&mut db).await, before);
    seed_database(&mut db, SPEC, true).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn seeding_again_keeps_rows_created_or_changed_through_the_api(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let mut db = pool.acquire().await.unwrap();
    seed_database(&mut db, SPEC, false).await.unwrap();
    let skill = app.create("/api/v1/skills", json!({"name": "Skill_17", "category": "technical"}));
    let skill = skill.await;
    let agents = app.get("/api/v1/agents?limit=1").await.expect(200);
    let path = format!("/api/v1/agents/{}", agents[0]["id"].as_str().unwrap());
    app.patch(&path, json!({"name": "Renamed"})).await.expect(200);

    seed_database(&mut db, SeedSpec { agents: 100, ..SPEC }, false).await.unwrap();
    assert_eq!(app.get(&path).await.expect(200)["name"], "Renamed");
    app.get(&format!("/api/v1/skills/{skill}")).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn every_customer_has_hired_agents_with_goals_and_deliverables(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    seed_database(&mut db, SPEC, false).await.unwrap();
    drop(db);
    let app = TestApp::new(pool).await;
    for customer in ["test-customer-001", "test-customer-002", "test-customer-003"] {
        let path = format!("/api/v1/customers/{customer}/agents");
        let hires = app.get(&path).await.expect(200);
        let hires = hires.as_array().unwrap();
        assert_eq!(hires.len(), 3);
        assert!(hires.iter().any(|hire| hire["configured"] == true));
        assert!(hires.iter().any(|hire| hire["configured"] == false));
        for hire in hires {
            assert_eq!(hire["trial_status"], "active");
            let id = hire["id"].as_str().unwrap();
            for kind in ["goals", "deliverables"] {
                let rows = app.get(&format!("/api/v1/agents/{id}/{kind}")).await.expect(200);
                assert!(rows.as_array().unwrap().len() >= 3, "{kind} of {id}");
            }
        }
    }
}

#[sqlx::test]
async fn an_unmigrated_database_is_an_error_that_names_the_migrate_command(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let error = seed_database(&mut db, SPEC, false).await.unwrap_err();
    assert!(error.to_string().contains("run `plant-api migrate` first"), "{error}");
}

#[sqlx::test(migrations = "../migrations")]
async fn seeded_accounts_log_in_and_see_only_their_own_rows(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    seed_database(&mut db, SPEC, false).await.unwrap();
    drop(db);
    let app = TestApp::with_required_access(pool, Clock::System).await;
    let credentials = json!({"email": "loadtest_2@test.local", "password": "load-test-password"});
    let login = app.post("/api/v1/auth/login", credentials).await.expect(200);
    let app = app.with_token(login["access_token"].as_str().unwrap());
    assert_eq!(app.get("/api/v1/auth/me").await.expect(200)["plan"], "pro");
    let own = app.get("/api/v1/customers/test-customer-002/agents").await.expect(200);
    assert_eq!(own.as_array().unwrap().len(), 3);
    app.get("/api/v1/customers/test-customer-001/agents").await.expect(404);
}

#[sqlx::test(migrations = "../migrations")]
async fn clean_deletes_load_test_rows_and_nothing_else(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let mut db = pool.acquire().await.unwrap();
    seed_database(&mut db, SeedSpec { users: 0, ..SPEC }, false).await.unwrap();
    let asha = json!({"email": "asha@lotus.example", "password": "eleven apples"});
    app.post("/api/v1/auth/register", asha).await.expect(201);
    let login = json!({"email": "asha@lotus.example", "password": "eleven apples"});
    let login = app.post("/api/v1/auth/login", login).await.expect(200);
    pay(&app.with_token(login["access_token"].as_str().unwrap())).await;
    let before = dump(&mut db).await;
    assert_eq!(before["ledger_entry"].len(), 2);
    let sessions: i64 =
        sqlx::query_scalar("select count(*) from session").fetch_one(&mut *db).await.unwrap();

    seed_database(&mut db, SPEC, false).await.unwrap();
    let registered = json!({"email": "loadtest_x7@test.local", "password": "eleven apples"});
    app.post("/api/v1/auth/register", registered.clone()).await.expect(201);
    let login = app.post("/api/v1/auth/login", registered).await.expect(200);
    pay(&app.with_token(login["access_token"].as_str().unwrap())).await;
    let wrong = json!({"email": "loadtest_1@test.local", "password": "wrong"});
    app.post("/api/v1/auth/login", wrong).await.expect(401);

    let removed = clean(&mut db).await.unwrap();
    assert_eq!(removed.to_string(), "deleted 4 load-test accounts and 1 load-test customers");
    assert_eq!(dump(&mut db).await, before);
    let remaining: i64 = sqlx::query_scalar(
        "select (select count(*) from session)
            + (select count(*) from login_failure where email <> '')",
    )
    .fetch_one(&mut *db)
    .await
    .unwrap();
    assert_eq!(remaining, sessions);
}

/// Creates a payment and posts the events of its success.
async fn pay(app: &TestApp) {
    let payment = json!({"plan_id": "pro", "currency": "EUR"});
    let payment = app.create("/api/v1/payments/create", payment).await;
    for kind in ["waiting_for_capture", "succeeded"] {
        let event = json!({
            "id": app.state.clock.new_id(), "type": kind, "payment_id": payment, "amount": 29.99,
            "currency": "EUR", "created_at": app.state.clock.now(),
        });
        let key = &app.state.access_policy.webhook_key;
        let signature = key.sign(event.to_string().as_bytes(), app.state.clock.now());
        let mut request = json_request(Method::POST, WEBHOOK_PATH, &event);
        request.headers_mut().insert(SIGNATURE_HEADER, signature.parse().unwrap());
        app.send(request).await.expect(200);
    }
}
