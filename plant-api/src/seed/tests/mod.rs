//! Planting on real databases.

mod data;

use std::collections::BTreeMap;

use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

use super::{Plan, SeedError, clean, plant};
use crate::clock::Clock;
use crate::plant::chain::Verdict;
use crate::plant::entity::{self, Kind};
use crate::plant::genesis::examination::examine;
use crate::testing::TestApp;

const PLAN: Plan = Plan { agents: 60, skills: 50, customers: 3, users: 3, seed: 42 };

const TABLES: [&str; 13] = [
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
];

/// Every row of every table that is planted, the positions of amendments too.
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
async fn planting_twice_changes_nothing(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let planted = plant(&mut db, PLAN, false).await.unwrap();
    assert_eq!((planted.agents, planted.skills, planted.customers), (60, 50, 3));
    let before = dump(&mut db).await;
    assert!(before.values().all(|rows| !rows.is_empty()));

    let again = plant(&mut db, PLAN, false).await.unwrap();
    assert!(again.to_string().starts_with("nothing to plant"), "{again}");
    assert_eq!(dump(&mut db).await, before);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_arguments_plant_the_same_rows_in_any_database(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    plant(&mut db, PLAN, false).await.unwrap();
    let first = dump(&mut db).await;
    // An emptied database is as good as another one.
    plant(&mut db, PLAN, true).await.unwrap();
    assert_eq!(dump(&mut db).await, first);
    plant(&mut db, Plan { seed: 43, ..PLAN }, true).await.unwrap();
    assert_ne!(dump(&mut db).await, first);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_larger_number_adds_what_is_missing(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let more = Plan { agents: 1200, customers: 5, users: 4, ..PLAN };
    plant(&mut db, more, false).await.unwrap();
    let at_once = dump(&mut db).await;

    plant(&mut db, PLAN, true).await.unwrap();
    let grown = plant(&mut db, more, false).await.unwrap();
    assert_eq!((grown.agents, grown.skills, grown.customers), (1140, 0, 2));
    assert_eq!(grown.accounts, 1);
    assert_eq!(dump(&mut db).await, at_once);
    plant(&mut db, PLAN, false).await.unwrap();
    assert_eq!(dump(&mut db).await, at_once);
}

#[sqlx::test(migrations = "../migrations")]
async fn many_agents_are_the_same_rows_and_leave_the_index_as_it_was(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let many = Plan { agents: 2500, ..PLAN };
    plant(&mut db, many, false).await.unwrap();
    let at_once = dump(&mut db).await;
    let index = "select array_to_string(reloptions, ',') || ', pages listed: '
        || gin_clean_pending_list(oid)
        from pg_class where relname = 'agent_search_text_idx'";
    let options: String = sqlx::query_scalar(index).fetch_one(&mut *db).await.unwrap();
    assert_eq!(options, "fastupdate=off, pages listed: 0");
    sqlx::query("set enable_seqscan = off").execute(&mut *db).await.unwrap();
    let found = "select count(*) from agent where search_text like '%content writer%'";
    let by_index: i64 = sqlx::query_scalar(found).fetch_one(&mut *db).await.unwrap();
    let named = at_once["agent"].iter().filter(|row| row.contains("Content Writer")).count();
    assert_eq!(by_index, named as i64);

    // In steps too small to be many.
    plant(&mut db, Plan { agents: 1500, ..PLAN }, true).await.unwrap();
    plant(&mut db, many, false).await.unwrap();
    assert_eq!(dump(&mut db).await, at_once);
}

#[sqlx::test(migrations = "../migrations")]
async fn every_chain_verifies_and_adds_up_to_the_row(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    plant(&mut db, PLAN, false).await.unwrap();
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select id from base_entity").fetch_all(&mut *db).await.unwrap();
    for id in ids {
        let shared = entity::sql::find(&mut *db, id).await.unwrap().unwrap();
        let found = examine(&mut db, &shared).await.unwrap();
        assert_eq!(found.verdict, Verdict::Intact, "{id}: {:?}", found.departure);
        let certified = shared.kind == Kind::Skill;
        assert_eq!(found.end.length, if certified { 2 } else { 1 });
        assert_eq!(shared.certified_at.is_some(), certified);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn skills_are_certified_and_required_by_job_roles(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    plant(&mut db, PLAN, false).await.unwrap();
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
async fn a_name_taken_by_somebody_else_is_told_and_nothing_changes(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let other = json!({"name": "Skill_17", "category": "technical"});
    app.create("/api/v1/skills", other).await;
    let taken = json!({"name": "seo", "category": "technical"});
    app.create("/api/v1/skills", taken).await;
    let customer = json!({"id": "test-customer-002", "name": "Somebody"});
    app.create("/api/v1/customers", customer).await;
    let account = json!({"email": "loadtest_3@test.local", "password": "eleven apples"});
    app.post("/api/v1/auth/register", account).await.expect(201);

    let mut db = pool.acquire().await.unwrap();
    let before = dump(&mut db).await;
    let error = plant(&mut db, PLAN, false).await.unwrap_err();
    let SeedError::Taken(taken) = &error else { panic!("{error}") };
    let names = ["skill `SEO`", "customer `test-customer-002`", "account `loadtest_3@test.local`"];
    assert_eq!(taken[..], names);
    assert!(error.to_string().contains("--reset"));
    assert_eq!(dump(&mut db).await, before);
    plant(&mut db, PLAN, true).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn what_others_made_stays_and_is_in_nobodys_way(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let mut db = pool.acquire().await.unwrap();
    plant(&mut db, PLAN, false).await.unwrap();
    let skill = app.create("/api/v1/skills", json!({"name": "Skill_17", "category": "technical"}));
    let skill = skill.await;
    let agents = app.get("/api/v1/agents?limit=1").await.expect(200);
    let path = format!("/api/v1/agents/{}", agents[0]["id"].as_str().unwrap());
    app.patch(&path, json!({"name": "Renamed"})).await.expect(200);

    plant(&mut db, Plan { agents: 100, ..PLAN }, false).await.unwrap();
    assert_eq!(app.get(&path).await.expect(200)["name"], "Renamed");
    app.get(&format!("/api/v1/skills/{skill}")).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn customers_find_their_hired_agents_at_work(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    plant(&mut db, PLAN, false).await.unwrap();
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
            for of in ["goals", "deliverables"] {
                let rows = app.get(&format!("/api/v1/agents/{id}/{of}")).await.expect(200);
                assert!(rows.as_array().unwrap().len() >= 3, "{of} of {id}");
            }
        }
    }
}

#[sqlx::test]
async fn an_empty_database_is_told_to_migrate(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let error = plant(&mut db, PLAN, false).await.unwrap_err();
    assert!(error.to_string().contains("run `plant-api migrate` first"), "{error}");
}

#[sqlx::test(migrations = "../migrations")]
async fn planted_accounts_log_in_and_find_what_is_theirs(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    plant(&mut db, PLAN, false).await.unwrap();
    drop(db);
    let app = TestApp::required(pool, Clock::System).await;
    let credentials = json!({"email": "loadtest_2@test.local", "password": "load-test-password"});
    let login = app.post("/api/v1/auth/login", credentials).await.expect(200);
    let app = app.bearing(login["access_token"].as_str().unwrap());
    assert_eq!(app.get("/api/v1/auth/me").await.expect(200)["plan"], "pro");
    let own = app.get("/api/v1/customers/test-customer-002/agents").await.expect(200);
    assert_eq!(own.as_array().unwrap().len(), 3);
    app.get("/api/v1/customers/test-customer-001/agents").await.expect(404);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_load_tests_left_is_removed_and_nothing_else(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let mut db = pool.acquire().await.unwrap();
    plant(&mut db, Plan { users: 0, ..PLAN }, false).await.unwrap();
    let asha = json!({"email": "asha@lotus.example", "password": "eleven apples"});
    app.post("/api/v1/auth/register", asha).await.expect(201);
    let before = dump(&mut db).await;

    plant(&mut db, PLAN, false).await.unwrap();
    let registered = json!({"email": "loadtest_x7@test.local", "password": "eleven apples"});
    app.post("/api/v1/auth/register", registered.clone()).await.expect(201);
    app.post("/api/v1/auth/login", registered).await.expect(200);
    let wrong = json!({"email": "loadtest_1@test.local", "password": "wrong"});
    app.post("/api/v1/auth/login", wrong).await.expect(401);

    let removed = clean(&mut db).await.unwrap();
    assert_eq!(removed.to_string(), "removed 4 accounts and 1 customers of load tests");
    assert_eq!(dump(&mut db).await, before);
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from session) + (select count(*) from login_failure)",
    )
    .fetch_one(&mut *db)
    .await
    .unwrap();
    assert_eq!(left, 0);
}
