use axum::http::Method;
use chrono::{TimeDelta, TimeZone, Utc};
use serde_json::json;
use sqlx::PgPool;

use crate::clock::Clock;
use crate::testing::{NOBODY, TestApp, with_json};

#[sqlx::test(migrations = "../migrations")]
async fn a_hired_agent_is_on_its_customers_list(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hire = app.a_hire("lotus").await;
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
    let app = TestApp::at(pool, clock.clone()).await;
    app.a_hire("lotus").await;
    let trial = async || {
        let list = app.get("/api/v1/customers/lotus/agents").await.expect(200);
        (list[0]["trial_status"].clone(), list[0]["trial_end_at"].clone())
    };
    assert_eq!(trial().await, (json!("active"), json!("2026-01-21T09:00:00Z")));
    clock.advance(TimeDelta::days(7));
    assert_eq!(trial().await.0, json!("expired"));
}

#[sqlx::test(migrations = "../migrations")]
async fn hiring_needs_a_customer_and_an_active_agent(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hire = app.a_hire("lotus").await;
    let body = json!({"agent_id": hire.catalogue.agent, "duration": "quarterly"});
    app.post("/api/v1/customers/unheard-of/agents", body.clone()).await.expect(404);
    app.get("/api/v1/customers/unheard-of/agents").await.expect(404);
    let path = "/api/v1/customers/lotus/agents";
    let unknown = json!({"agent_id": NOBODY, "duration": "monthly"});
    assert_eq!(app.post(path, unknown).await.fields_at_fault(), ["agent_id"]);
    let forever = json!({"agent_id": hire.catalogue.agent, "duration": "forever"});
    assert_eq!(app.post(path, forever).await.fields_at_fault(), ["duration"]);
    let sql =
        "alter table base_entity disable trigger user; update base_entity set status = 'inactive'";
    sqlx::raw_sql(sql).execute(&app.owner).await.unwrap();
    assert_eq!(app.post(path, body).await.expect(409)["code"], "conflict");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_configuration_is_read_as_it_was_put(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}/configuration", app.a_hire("lotus").await.id);
    let fresh = app.get(&path).await.expect(200);
    assert_eq!((&fresh["theme"], &fresh["configured"]), (&json!("default"), &json!(false)));
    let put = json!({
        "nickname": "Inky", "theme": "dark",
        "settings": {"tone": "warm", "api_key_ref": "vault:inky", "nested": [{"token_id": 1}]},
    });
    let answer = app.put(&path, put.clone()).await.expect(200);
    assert_eq!(answer["settings"], put["settings"]);
    assert_eq!(answer["configured"], true);
    assert_eq!(app.get(&path).await.expect(200), answer);
    let list = app.get("/api/v1/customers/lotus/agents").await.expect(200);
    assert_eq!((&list[0]["nickname"], &list[0]["theme"]), (&json!("Inky"), &json!("dark")));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_raw_secret_is_refused_wherever_it_stands(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}/configuration", app.a_hire("lotus").await.id);
    let settings = json!({"password": "x", "deep": [{"api_key": "x", "client_secret": "x"}]});
    let fields = app.put(&path, json!({"settings": settings})).await.fields_at_fault();
    assert_eq!(
        fields,
        ["settings.deep[0].api_key", "settings.deep[0].client_secret", "settings.password"]
    );
    assert_eq!(app.get(&path).await.expect(200)["settings"], json!({}));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_configuration_of_another_version_is_not_replaced(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}/configuration", app.a_hire("lotus").await.id);
    let tag = app.get(&path).await.header("etag").unwrap().to_owned();
    let put = |nickname: &str| {
        let mut request = with_json(Method::PUT, &path, &json!({"nickname": nickname}));
        request.headers_mut().insert("if-match", tag.parse().unwrap());
        request
    };
    app.send(put("First")).await.expect(200);
    app.send(put("Second")).await.expect(412);
    assert_eq!(app.get(&path).await.expect(200)["nickname"], "First");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_catalogue_agents_id_is_told_apart(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let agent = app.an_agent("Asha").await.agent;
    for path in ["configuration", "goals", "deliverables"] {
        let mistaken = app.get(&format!("/api/v1/agents/{agent}/{path}")).await.expect(404);
        assert!(mistaken["detail"].as_str().unwrap().contains("catalogue agent's id"), "{path}");
        let unknown = app.get(&format!("/api/v1/agents/{NOBODY}/{path}")).await.expect(404);
        assert_eq!(unknown["detail"], "there is no such hired agent");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_customers_id_is_a_slug_that_nobody_else_has(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let named = app.post("/api/v1/customers", json!({"id": "a-1", "name": "A"})).await.expect(201);
    assert_eq!(app.get("/api/v1/customers/a-1").await.expect(200), named);
    app.post("/api/v1/customers", json!({"id": "a-1", "name": "B"})).await.expect(409);
    let made_up = app.post("/api/v1/customers", json!({"name": "C"})).await.expect(201);
    let path = format!("/api/v1/customers/{}", made_up["id"].as_str().unwrap());
    assert_eq!(app.get(&path).await.expect(200), made_up);
    for id in ["", "A", "a--b", "-a", "a b", "ä"] {
        let answer = app.post("/api/v1/customers", json!({"id": id, "name": "A"})).await;
        assert_eq!(answer.fields_at_fault(), ["id"], "{id}");
    }
    app.get("/api/v1/customers/unheard-of").await.expect(404);
}
