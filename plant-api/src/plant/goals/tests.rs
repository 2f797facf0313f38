use axum::http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::testing::{TestApp, UNKNOWN_ID, json_request};

fn article() -> Value {
    json!({
        "title": "Publish an article", "description": "Of the season",
        "schedule": "weekly", "enabled": true,
    })
}

#[sqlx::test(migrations = "../migrations")]
async fn a_goal_can_be_read_and_is_listed_newest_first(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}/goals", app.create_hire("lotus").await.id);
    assert_eq!(app.get(&path).await.expect(200), json!([]));
    let created = app.post(&path, article()).await;
    let location = created.header("location").unwrap().to_owned();
    let first = created.expect(201);
    assert_eq!(first["schedule"], "weekly");
    assert_eq!(app.get(&location).await.expect(200), first);
    let second = app.post(&path, article()).await.expect(201);
    assert_eq!(app.get(&path).await.expect(200), json!([second, first]));
    assert_eq!(app.state.metrics.goals_created.get(), 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_goal_from_a_template_needs_no_title(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}/goals", app.create_hire("lotus").await.id);
    let body =
        json!({"goal_template_id": "seo-audit", "frequency": "monthly", "settings": {"n": 1}});
    let goal = app.post(&path, body).await.expect(201);
    assert_eq!((&goal["title"], &goal["schedule"]), (&json!("seo-audit"), &json!("monthly")));
    assert_eq!((&goal["enabled"], &goal["settings"]), (&json!(true), &json!({"n": 1})));
    let untitled = app.post(&path, json!({"schedule": "daily"})).await.expect(201);
    assert_eq!(untitled["title"], "Untitled goal");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_patch_changes_only_the_fields_sent(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}/goals", app.create_hire("lotus").await.id);
    let goal = format!("{path}/{}", app.create(&path, article()).await);
    let changed =
        app.patch(&goal, json!({"enabled": false, "schedule": "daily"})).await.expect(200);
    assert_eq!((&changed["enabled"], &changed["schedule"]), (&json!(false), &json!("daily")));
    assert_eq!(changed["title"], "Publish an article");
    assert_eq!(app.get(&goal).await.expect(200), changed);
    for invalid in
        [json!({"schedule": "hourly"}), json!({"settings": {"password": "x"}}), json!({"x": 1})]
    {
        app.patch(&goal, invalid).await.expect(422);
    }
    assert_eq!(app.get(&goal).await.expect(200), changed);
    let mut outdated = json_request(Method::PATCH, &goal, &json!({"title": "Another"}));
    outdated.headers_mut().insert("if-match", "\"1\"".parse().unwrap());
    app.send(outdated).await.expect(412);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_deleted_goal_is_not_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}/goals", app.create_hire("lotus").await.id);
    let goal = format!("{path}/{}", app.create(&path, article()).await);
    app.delete(&goal).await.expect(204);
    for response in [
        app.get(&goal).await,
        app.delete(&goal).await,
        app.patch(&goal, json!({"enabled": false})).await,
    ] {
        assert_eq!(response.expect(404)["detail"], "there is no such goal of this hired agent");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_goal_belongs_to_one_hired_agent(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (one, other) = (app.create_hire("lotus").await.id, app.create_hire("tulip").await.id);
    let path = format!("/api/v1/agents/{one}/goals");
    let goal = app.create(&path, article()).await;
    app.get(&format!("/api/v1/agents/{other}/goals/{goal}")).await.expect(404);
    app.delete(&format!("/api/v1/agents/{other}/goals/{goal}")).await.expect(404);
    app.get(&format!("{path}/{goal}")).await.expect(200);
    app.post(&format!("/api/v1/agents/{UNKNOWN_ID}/goals"), article()).await.expect(404);
}
