//! The routes of tunables.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::clock::Clock;
use crate::testing::{ADMIN_KEY, TestApp, json_request};
use crate::token::Role;
use crate::tunables::{Change, Rollout, Share};

const LIST: &str = "/api/v1/admin/tunables";
const TTL: &str = "/api/v1/admin/tunables/cache_ttl_seconds";

#[sqlx::test(migrations = "../migrations")]
async fn all_tunables_are_listed_with_their_bounds(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let list = app.get(LIST).await.expect(200);
    let names: Vec<_> =
        list.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    for name in [
        "cache_ttl_seconds",
        "page_size_cap",
        "admission_limit",
        "statement_timeout_ms",
        "cache_agents",
        "cache_industries",
        "cache_job_roles",
        "cache_skills",
        "cache_teams",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert_eq!(app.get(TTL).await.expect(200), list[0]);
    for (field, value) in [
        ("name", json!("cache_ttl_seconds")),
        ("kind", json!("per_request")),
        ("unit", json!("seconds")),
        ("min", json!(1)),
        ("max", json!(3600)),
        ("default", json!(60)),
        ("value", json!(60)),
        ("is_set", json!(false)),
        ("rollout", json!(null)),
        ("version", json!(0)),
        ("updated_by", json!(null)),
    ] {
        assert_eq!(list[0][field], value, "{field}");
    }
    app.get("/api/v1/admin/tunables/nothing").await.expect(404);
}

/// Each kind of job has a tunable, whose configured value is that of its handler.
#[sqlx::test(migrations = "../migrations")]
async fn every_kind_of_job_has_a_tunable(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let simulations = crate::testing::simulations(crate::testing::INSTANT_MODEL);
    let handlers = crate::app::handlers(&app.state, &simulations);
    for kind in handlers.iter().map(crate::worker::AnyJobHandler::kind) {
        let tunable = app.state.tunables.get(&format!("workers_{}", kind.name)).unwrap();
        assert_eq!(tunable.default, kind.max_concurrency as i64, "{}", kind.name);
    }
    let workers = app.state.tunables.catalogue().iter();
    assert_eq!(workers.filter(|t| t.name.starts_with("workers_")).count(), handlers.len());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_set_value_is_in_force_at_once(pool: PgPool) {
    let app = TestApp::new(pool).await.with_token(ADMIN_KEY);
    let changed = app.put(TTL, json!({"value": 30})).await;
    assert_eq!(changed.header("etag"), Some("\"1\""));
    let changed = changed.expect(200);
    for (field, value) in [
        ("value", json!(30)),
        ("default", json!(60)),
        ("is_set", json!(true)),
        ("rollout", json!(null)),
        ("version", json!(1)),
        ("updated_by", json!("operator")),
    ] {
        assert_eq!(changed[field], value, "{field}");
    }
    assert_eq!(app.get(TTL).await.expect(200), changed);
    assert_eq!(app.put(TTL, json!({"value": 30})).await.expect(200), changed);
    let reset = app.put(TTL, json!({"value": null})).await.expect(200);
    assert_eq!((&reset["value"], &reset["is_set"]), (&json!(60), &json!(false)));
}

#[sqlx::test(migrations = "../migrations")]
async fn invalid_values_are_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for value in [0, 3601, -5] {
        let problem = app.put(TTL, json!({"value": value})).await.expect(422);
        assert_eq!(problem["violations"][0]["field"], "value");
        assert_eq!(problem["violations"][0]["message"], "must be 1 to 3600");
    }
    for body in [json!({}), json!({"value": "30"}), json!({"value": 1.5})] {
        app.put(TTL, body).await.expect(422);
    }
    app.put(TTL, json!({"value": 30, "other": 1})).await.expect(422);
    app.put("/api/v1/admin/tunables/nothing", json!({"value": 1})).await.expect(404);
    assert_eq!(app.get(TTL).await.expect(200)["version"], 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_value_in_a_rollout_cannot_be_set(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut tx = app.state.db.begin().await.unwrap();
    let change = Change { name: "cache_ttl_seconds", actor: "workflow", at: app.state.clock.now() };
    let rollout = Rollout { id: Uuid::nil(), value: 5, share: Share::Tenth };
    app.state.tunables.begin_rollout(&mut tx, change, rollout).await.unwrap();
    tx.commit().await.unwrap();
    let problem = app.put(TTL, json!({"value": 30})).await.expect(409);
    assert_eq!(problem["code"], "conflict");
    let state = app.get(TTL).await.expect(200);
    let expected = json!({"id": Uuid::nil(), "value": 5, "share_percent": 10});
    assert_eq!((&state["rollout"], &state["value"]), (&expected, &json!(60)));
}

#[sqlx::test(migrations = "../migrations")]
async fn another_version_than_the_expected_one_is_not_changed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let put = async |tag: &str, value: i64| {
        let mut request = json_request(axum::http::Method::PUT, TTL, &json!({"value": value}));
        request.headers_mut().insert("if-match", tag.parse().unwrap());
        app.send(request).await
    };
    put("\"0\"", 30).await.expect(200);
    put("\"0\"", 31).await.expect(412);
    put("\"1\"", 32).await.expect(200);
    let unchanged = Request::get(TTL).header("if-none-match", "\"2\"").body(Body::empty()).unwrap();
    assert_eq!(app.send(unchanged).await.status, 304);
}

#[sqlx::test(migrations = "../migrations")]
async fn tunables_are_for_administrators(pool: PgPool) {
    let app = TestApp::with_required_access(pool, Clock::System).await;
    let user = app.with_account_of("lotus", Role::User).await;
    for (client, status) in [(&app, 401), (&user, 403), (&app.with_token(ADMIN_KEY), 200)] {
        client.get(LIST).await.expect(status);
        client.get(TTL).await.expect(status);
        client.put(TTL, json!({"value": 30})).await.expect(status);
    }
}
