use axum::http::Method;
use chrono::{TimeDelta, TimeZone, Utc};
use serde_json::json;
use sqlx::PgPool;

use crate::clock::Clock;
use crate::config::AccessMode;
use crate::testing::{TestApp, UNKNOWN_ID, json_request};
use crate::token::Role;

#[sqlx::test(migrations = "../migrations")]
async fn a_hired_agent_is_listed_for_its_customer(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hire = app.create_hire("lotus").await;
    let list = app.get("/api/v1/customers/lotus/agents").await.expect(200);
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["id"], hire.id);
    assert_eq!(list[0]["agent_id"], hire.catalogue.agent);
    assert_eq!(list[0]["agent_name"], "lotus");
    assert_eq!(list[0]["industry"], "lotus's industry");
    assert_eq!(list[0]["configured"], false);
    assert_eq!(
        (&list[0]["status"], &list[0]["trial_status"]),
        (&json!("active"), &json!("active"))
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_trial_lasts_seven_days(pool: PgPool) {
    let clock = Clock::fixed(Utc.with_ymd_and_hms(2026, 1, 14, 9, 0, 0).unwrap());
    let app = TestApp::with_clock(pool, clock.clone()).await;
    app.create_hire("lotus").await;
    let trial = async || {
        let list = app.get("/api/v1/customers/lotus/agents").await.expect(200);
        (list[0]["trial_status"].clone(), list[0]["trial_end_at"].clone())
    };
    assert_eq!(trial().await, (json!("active"), json!("2026-01-21T09:00:00Z")));
    clock.advance(TimeDelta::days(7));
    assert_eq!(trial().await.0, json!("expired"));
}

#[sqlx::test(migrations = "../migrations")]
async fn hiring_requires_a_customer_and_an_active_agent(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hire = app.create_hire("lotus").await;
    let body = json!({"agent_id": hire.catalogue.agent, "duration": "quarterly"});
    app.post("/api/v1/customers/unknown/agents", body.clone()).await.expect(404);
    app.get("/api/v1/customers/unknown/agents").await.expect(404);
    let path = "/api/v1/customers/lotus/agents";
    let unknown = json!({"agent_id": UNKNOWN_ID, "duration": "monthly"});
    assert_eq!(app.post(path, unknown).await.invalid_fields(), ["agent_id"]);
    let invalid_duration = json!({"agent_id": hire.catalogue.agent, "duration": "forever"});
    assert_eq!(app.post(path, invalid_duration).await.invalid_fields(), ["duration"]);
    let sql =
        "alter table base_entity disable trigger user; update base_entity set status = 'inactive'";
    sqlx::raw_sql(sql).execute(&app.owner).await.unwrap();
    assert_eq!(app.post(path, body).await.expect(409)["code"], "conflict");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_configuration_reads_back_as_written(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}/configuration", app.create_hire("lotus").await.id);
    let initial = app.get(&path).await.expect(200);
    assert_eq!((&initial["theme"], &initial["configured"]), (&json!("default"), &json!(false)));
    let put = json!({
        "nickname": "Inky", "theme": "dark",
        "settings": {"tone": "warm", "api_key_ref": "vault:inky", "nested": [{"token_id": 1}]},
    });
    let response = app.put(&path, put.clone()).await.expect(200);
    assert_eq!(response["settings"], put["settings"]);
    assert_eq!(response["configured"], true);
    assert_eq!(app.get(&path).await.expect(200), response);
    let list = app.get("/api/v1/customers/lotus/agents").await.expect(200);
    assert_eq!((&list[0]["nickname"], &list[0]["theme"]), (&json!("Inky"), &json!("dark")));
}

#[sqlx::test(migrations = "../migrations")]
async fn raw_secrets_are_rejected_at_any_depth(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}/configuration", app.create_hire("lotus").await.id);
    let settings = json!({"password": "x", "deep": [{"api_key": "x", "client_secret": "x"}]});
    let fields = app.put(&path, json!({"settings": settings})).await.invalid_fields();
    assert_eq!(
        fields,
        ["settings.deep[0].api_key", "settings.deep[0].client_secret", "settings.password"]
    );
    assert_eq!(app.get(&path).await.expect(200)["settings"], json!({}));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_outdated_if_match_does_not_replace_a_configuration(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}/configuration", app.create_hire("lotus").await.id);
    let tag = app.get(&path).await.header("etag").unwrap().to_owned();
    let put = |nickname: &str| {
        let mut request = json_request(Method::PUT, &path, &json!({"nickname": nickname}));
        request.headers_mut().insert("if-match", tag.parse().unwrap());
        request
    };
    app.send(put("First")).await.expect(200);
    app.send(put("Second")).await.expect(412);
    assert_eq!(app.get(&path).await.expect(200)["nickname"], "First");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_catalogue_agents_id_is_reported_as_such(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let agent = app.create_agent("Asha").await.agent;
    for path in ["configuration", "goals", "deliverables"] {
        let mistaken = app.get(&format!("/api/v1/agents/{agent}/{path}")).await.expect(404);
        assert!(mistaken["detail"].as_str().unwrap().contains("catalogue agent's id"), "{path}");
        let unknown = app.get(&format!("/api/v1/agents/{UNKNOWN_ID}/{path}")).await.expect(404);
        assert_eq!(unknown["detail"], "there is no such hired agent");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_customer_id_is_a_unique_slug(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let named = app.post("/api/v1/customers", json!({"id": "a-1", "name": "A"})).await.expect(201);
    assert_eq!(app.get("/api/v1/customers/a-1").await.expect(200), named);
    app.post("/api/v1/customers", json!({"id": "a-1", "name": "B"})).await.expect(409);
    let generated = app.post("/api/v1/customers", json!({"name": "C"})).await.expect(201);
    let path = format!("/api/v1/customers/{}", generated["id"].as_str().unwrap());
    assert_eq!(app.get(&path).await.expect(200), generated);
    for id in ["", "A", "a--b", "-a", "a b", "ä"] {
        let response = app.post("/api/v1/customers", json!({"id": id, "name": "A"})).await;
        assert_eq!(response.invalid_fields(), ["id"], "{id}");
    }
    app.get("/api/v1/customers/unknown").await.expect(404);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_cached_for_one_customer_is_not_served_to_another(pool: PgPool) {
    let app = TestApp::with_redis_and_access(pool, AccessMode::Required).await;
    let editor = app.with_account_of("staff", Role::Admin).await;
    let hire = editor.create_hire("lotus").await;
    let owner = app.with_account_of("lotus", Role::User).await;
    let other = app.with_account_of("jasmine", Role::User).await;
    let configuration = format!("/api/v1/agents/{}/configuration", hire.id);
    for path in ["/api/v1/customers/lotus/agents", &configuration] {
        for _ in 0..2 {
            owner.get(path).await.expect(200);
            editor.get(path).await.expect(200);
            other.get(path).await.expect(404);
            app.get(path).await.expect(401);
        }
    }
    let hits = app.state.metrics.cache_requests.with_label_values(&["hires", "hit"]);
    assert_eq!(hits.get(), 4);
}
