use axum::http::Method;
use chrono::{TimeDelta, TimeZone, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::delete_expired;
use crate::clock::Clock;
use crate::testing::{TestApp, json_request};

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
