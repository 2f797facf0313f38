use std::time::Duration;

use axum::http::Method;
use chrono::{TimeDelta, TimeZone, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::delete_expired;
use super::transaction::map_lock_timeout;
use crate::cleanup;
use crate::clock::Clock;
use crate::testing::{TestApp, json_request};
use crate::token::Role;

/// Blocks commits that have inserted an industry until dropped.
struct BlockedCommits(sqlx::Transaction<'static, sqlx::Postgres>);

const LOCK: i64 = 4_711;

impl BlockedCommits {
    async fn start(app: &TestApp) -> Self {
        for sql in [
            "create function wait_for_lock() returns trigger language plpgsql as
            $$ begin perform pg_advisory_xact_lock(4711); return null; end $$",
            "create constraint trigger slow_commit after insert on industry
            deferrable initially deferred for each row execute function wait_for_lock()",
        ] {
            sqlx::query(sql).execute(&app.owner).await.unwrap();
        }
        let mut tx = app.owner.begin().await.unwrap();
        sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await.unwrap();
        Self(tx)
    }

    /// Waits until a commit is blocked.
    async fn wait_for_commit(&mut self) {
        let sql = "select count(*) from pg_locks where locktype = 'advisory' and not granted
            and database = (select oid from pg_database where datname = current_database())";
        let waiting = async {
            while sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *self.0).await.unwrap() == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("no commit is blocked");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_commit_and_its_invalidation_outlive_their_request(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    app.get("/api/v1/industries").await.expect(200);
    let mut blocked = BlockedCommits::start(&app).await;
    let client = app.clone();
    let request = tokio::spawn(async move {
        client.post("/api/v1/industries", json!({"name": "Sales"})).await;
    });
    blocked.wait_for_commit().await;
    // The client disconnects: its request is canceled.
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    assert_eq!(app.get("/api/v1/industries").await.expect(200), json!([]));
    drop(blocked);
    app.state.write_tasks.close();
    app.state.write_tasks.wait().await;
    let listed = app.get("/api/v1/industries").await.expect(200);
    assert_eq!(listed[0]["name"], "Sales");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_replay_invalidates_what_the_first_request_changed(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let body = json!({"name": "Sales"});
    app.post_idempotent("k1", "/api/v1/industries", &body).await.expect(201);
    app.get("/api/v1/industries").await.expect(200);
    // As if the process had been killed before the invalidation: what is cached is out of date.
    sqlx::query("update industry set description = 'new'").execute(&app.owner).await.unwrap();
    assert_eq!(app.get("/api/v1/industries").await.expect(200)[0]["description"], Value::Null);
    app.post_idempotent("k1", "/api/v1/industries", &body).await.expect(201);
    assert_eq!(app.get("/api/v1/industries").await.expect(200)[0]["description"], "new");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_canceled_request_before_its_commit_changes_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut holder = app.owner.begin().await.unwrap();
    sqlx::query("lock table industry").execute(&mut *holder).await.unwrap();
    let body = json!({"name": "Sales"});
    let request = app.post_idempotent("k1", "/api/v1/industries", &body);
    assert!(tokio::time::timeout(Duration::from_millis(1), request).await.is_err());
    drop(holder);
    // The key was not used: another body is accepted.
    let other = json!({"name": "Marketing"});
    app.post_idempotent("k1", "/api/v1/industries", &other).await.expect(201);
    assert_eq!(app.get("/api/v1/industries").await.expect(200).as_array().unwrap().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_review_and_a_certification_are_replayed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let skill = app.create_agent("Asha").await.skill;
    let path = format!("/api/v1/genesis/skills/{skill}/certify");
    let first = app.post_idempotent("k1", &path, &json!({"notes": "good"})).await.expect(200);
    assert_eq!(first["chain_length"], 2);
    assert_eq!(
        app.post_idempotent("k1", &path, &json!({"notes": "good"})).await.expect(200),
        first
    );
    app.post_idempotent("k1", &path, &json!({"notes": "other"})).await.expect(422);
}

/// Returns the path and body of every creating POST that refers to no other row.
fn create_requests() -> [(&'static str, Value); 5] {
    [
        ("/api/v1/industries", json!({"name": "Sales"})),
        ("/api/v1/skills", json!({"name": "Python", "category": "technical"})),
        ("/api/v1/job-roles", json!({"name": "Writer"})),
        ("/api/v1/teams", json!({"name": "Studio"})),
        ("/api/v1/customers", json!({"name": "Lotus"})),
    ]
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_key_and_body_replay_the_response(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (path, body) in create_requests() {
        let first = app.post_idempotent("k1", path, &body).await;
        assert_eq!(first.status, 201, "{path}: {}", first.text);
        let again = app.post_idempotent("k1", path, &body).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{path}");
        for name in ["location", "etag", "content-type"] {
            assert_eq!(again.header(name), first.header(name), "{path}");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn hires_and_goals_are_replayed_too(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hire = app.create_hire("lotus").await;
    let agent = json!({"agent_id": hire.catalogue.agent, "duration": "monthly"});
    let goal = json!({"title": "Write", "schedule": "daily"});
    for (path, body) in [
        ("/api/v1/customers/lotus/agents".to_owned(), agent),
        (format!("/api/v1/agents/{}/goals", hire.id), goal),
    ] {
        let before = app.get(&path).await.expect(200).as_array().unwrap().len();
        let first = app.post_idempotent("k1", &path, &body).await.expect(201);
        assert_eq!(app.post_idempotent("k1", &path, &body).await.expect(201), first);
        assert_eq!(app.get(&path).await.expect(200).as_array().unwrap().len(), before + 1);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_key_with_another_body_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post_idempotent("k1", "/api/v1/teams", &json!({"name": "Studio"})).await.expect(201);
    let other = app.post_idempotent("k1", "/api/v1/teams", &json!({"name": "Another"})).await;
    assert_eq!(other.invalid_fields(), ["Idempotency-Key"]);
    app.post_idempotent("k1", "/api/v1/industries", &json!({"name": "Sales"})).await.expect(201);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_belongs_to_its_caller(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hire = app.create_hire("lotus").await;
    let goals = format!("/api/v1/agents/{}/goals", hire.id);
    let callers = [
        app.clone(),
        app.with_account_of("lotus", Role::Admin).await,
        app.with_account_of("lotus", Role::Admin).await,
    ];
    for (n, caller) in callers.iter().enumerate() {
        let name = format!("Number {n}");
        let goal = json!({"title": name, "schedule": "daily"});
        for (path, body) in [
            (&*goals, goal),
            ("/api/v1/teams", json!({"name": name})),
            ("/api/v1/customers", json!({"name": name})),
        ] {
            caller.post_idempotent("k1", path, &body).await.expect(201);
        }
    }
    // This route has no anonymous callers.
    for (n, caller) in callers[1..].iter().enumerate() {
        let prompt = format!("Number {n}");
        let body = json!({
            "prompt": prompt, "model": "gpt-4", "temperature": 0.7, "max_tokens": 64,
        });
        caller.post_idempotent("k1", "/api/v1/generation/create", &body).await.expect(202);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn many_concurrent_posts_with_one_key_create_one_row(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}/goals", app.create_hire("lotus").await.id);
    let body = json!({"title": "Write", "schedule": "daily"});
    let posts = (0..100).map(|_| app.post_idempotent("k1", &path, &body));
    let responses = futures::future::join_all(posts).await;
    for response in &responses {
        assert_eq!((response.status.as_u16(), &response.text), (201, &responses[0].text));
    }
    assert_eq!(app.get(&path).await.expect(200).as_array().unwrap().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_rejected_request_does_not_use_its_key(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post("/api/v1/teams", json!({"name": "Studio"})).await.expect(201);
    let body = json!({"name": "Studio"});
    app.post_idempotent("k1", "/api/v1/teams", &body).await.expect(409);
    app.post_idempotent("k1", "/api/v1/teams", &json!({"name": " "})).await.expect(422);
    app.post_idempotent("k1", "/api/v1/teams", &json!({"name": "Atelier"})).await.expect(201);
}

#[sqlx::test(migrations = "../migrations")]
async fn many_keys_for_the_same_skill_all_succeed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({"name": "Python", "category": "technical"});
    let keys: Vec<_> = (0..20).map(|n| format!("k{n}")).collect();
    let posts = keys.iter().map(|key| app.post_idempotent(key, "/api/v1/skills", &body));
    let responses = futures::future::join_all(posts).await;
    let created = responses.iter().filter(|response| response.status == 201).count();
    let existing = responses.iter().filter(|response| response.status == 200).count();
    assert_eq!((created, existing), (1, 19));
}

#[sqlx::test(migrations = "../migrations")]
async fn every_spelling_of_an_id_is_the_same_route(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.create_hire("lotus").await.id;
    let goal = json!({"title": "Write", "schedule": "daily"});
    let first = format!("/api/v1/agents/{id}/goals");
    let first = app.post_idempotent("k1", &first, &goal).await.expect(201);
    for spelling in [id.to_uppercase(), id.replace('-', "")] {
        let path = format!("/api/v1/agents/{spelling}/goals");
        assert_eq!(app.post_idempotent("k1", &path, &goal).await.expect(201), first);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_key_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut request = json_request(Method::POST, "/api/v1/teams", &json!({"name": "Studio"}));
    for key in ["k1", "k2"] {
        request.headers_mut().append("idempotency-key", key.parse().unwrap());
    }
    assert_eq!(app.send(request).await.invalid_fields(), ["Idempotency-Key"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_that_stays_locked_is_a_conflict(pool: PgPool) {
    let mut first = pool.begin().await.unwrap();
    let mut second = pool.begin().await.unwrap();
    let lock = "lock table idempotency_key in exclusive mode nowait";
    sqlx::query(lock).execute(&mut *first).await.unwrap();
    let locked = sqlx::query(lock).execute(&mut *second).await.unwrap_err();
    assert_eq!(map_lock_timeout(locked).code(), "conflict");
    let other = sqlx::query("select 1 from nowhere").execute(&pool).await.unwrap_err();
    assert_eq!(map_lock_timeout(other).code(), "internal");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_must_be_1_to_255_visible_characters(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let long = "x".repeat(256);
    for key in ["", "a b", long.as_str()] {
        let mut request = json_request(Method::POST, "/api/v1/teams", &json!({"name": "Studio"}));
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        assert_eq!(app.send(request).await.invalid_fields(), ["Idempotency-Key"]);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_is_deleted_after_a_day(pool: PgPool) {
    let clock = Clock::fixed(Utc.with_ymd_and_hms(2026, 1, 14, 9, 0, 0).unwrap());
    let app = TestApp::with_clock(pool, clock.clone()).await;
    let body = json!({"name": "Studio"});
    app.post_idempotent("k1", "/api/v1/teams", &body).await.expect(201);
    assert_eq!(delete_expired(&app.state.db, &clock).await.unwrap(), 0);
    clock.advance(TimeDelta::hours(24) + TimeDelta::seconds(1));
    assert_eq!(delete_expired(&app.state.db, &clock).await.unwrap(), 1);
    app.post_idempotent("k1", "/api/v1/teams", &body).await.expect(409);
}

#[sqlx::test(migrations = "../migrations")]
async fn expired_keys_are_deleted_in_batches_oldest_first(pool: PgPool) {
    let clock = Clock::fixed(Utc.with_ymd_and_hms(2026, 1, 14, 9, 0, 0).unwrap());
    let app = TestApp::with_clock(pool, clock.clone()).await;
    // One key per minute; the last ten are younger than a day.
    sqlx::query(
        "insert into idempotency_key (scope, key, request_hash, created_at)
        select 'lotus', n::text, '', $1::timestamptz - make_interval(hours => 24, mins => $2 - n)
        from generate_series(1, $2 + 10) n",
    )
    .bind(clock.now())
    .bind(i32::try_from(cleanup::BATCH_SIZE).unwrap() + 5)
    .execute(&app.owner)
    .await
    .unwrap();
    let delete = async || delete_expired(&app.state.db, &clock).await.unwrap();
    assert_eq!(delete().await, u64::from(cleanup::BATCH_SIZE));
    let oldest: i32 = sqlx::query_scalar("select min(key::integer) from idempotency_key")
        .fetch_one(&app.owner)
        .await
        .unwrap();
    assert_eq!(oldest, i32::try_from(cleanup::BATCH_SIZE).unwrap() + 1);
    // The fifth was created exactly 24 hours ago.
    assert_eq!([delete().await, delete().await], [4, 0]);
}
