use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::{Method, Request};
use futures::TryStreamExt;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::sql;
use crate::page::Page;
use crate::plant::hires::HireId;
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

#[sqlx::test(migrations = "../migrations")]
async fn a_page_of_large_goals_is_limited_in_bytes_and_the_link_continues(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hire = app.create_hire("lotus").await.id;
    // Rows of before the limit on settings.
    sqlx::query(
        "insert into goal (
            id, hired_agent_id, title, description, schedule, enabled, settings, created_at,
            updated_at
        )
        select gen_random_uuid(), $1::uuid, 'Large', '', 'on_demand', true,
            jsonb_build_object('text', repeat('x', 1000000)), now(), now()
        from generate_series(1, 5)",
    )
    .bind(&hire)
    .execute(&app.owner)
    .await
    .unwrap();
    let mut path = format!("/api/v1/agents/{hire}/goals");
    let mut ids = std::collections::HashSet::new();
    for _ in 0..5 {
        let page = app.get(&path).await;
        let link = page.header("link").map(str::to_owned);
        assert!(page.text.len() < 1_100_000, "{}", page.text.len());
        for goal in page.expect(200).as_array().unwrap() {
            ids.insert(goal["id"].to_string());
        }
        let Some(link) = link else { break };
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(ids.len(), 5);
}

#[sqlx::test(migrations = "../migrations")]
async fn settings_are_at_most_64_kib_and_null_is_no_change(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}/goals", app.create_hire("lotus").await.id);
    let settings = json!({"text": "x".repeat(65_536)});
    let large = json!({"title": "Write", "schedule": "daily", "settings": settings});
    assert_eq!(app.post(&path, large).await.invalid_fields(), ["settings"]);
    let goal = app.create(&path, json!({"title": "Write", "schedule": "daily"})).await;
    let path = format!("{path}/{goal}");
    for field in ["title", "description", "schedule", "enabled", "settings"] {
        assert_eq!(app.patch(&path, json!({field: null})).await.invalid_fields(), [field]);
    }
    assert_eq!(
        app.patch(&path, json!({"settings": settings})).await.invalid_fields(),
        ["settings"]
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_goal_is_deleted_only_in_the_version_of_if_match(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}/goals", app.create_hire("lotus").await.id);
    let goal = app.create(&path, json!({"title": "Write", "schedule": "daily"})).await;
    let path = format!("{path}/{goal}");
    let delete = async |tag: &str| {
        let request = Request::delete(&path).header("if-match", tag);
        app.send(request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(delete("\"2\"").await.expect(412)["code"], "precondition-failed");
    assert_eq!(delete("W/\"1\"").await.expect(412)["code"], "precondition-failed");
    app.get(&path).await.expect(200);
    delete("\"1\"").await.expect(204);
    app.get(&path).await.expect(404);
}

#[sqlx::test(migrations = "../migrations")]
async fn lists_of_a_hire_are_not_sent_again_unchanged(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hire = app.create_hire("lotus").await.id;
    let goals = format!("/api/v1/agents/{hire}/goals");
    for path in [
        goals.clone(),
        format!("/api/v1/agents/{hire}/deliverables"),
        "/api/v1/customers/lotus/agents".to_owned(),
    ] {
        let tag = app.get(&path).await.header("etag").unwrap().to_owned();
        let request = Request::get(&path).header("if-none-match", tag);
        let again = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((again.status.as_u16(), &*again.text), (304, ""), "{path}");
    }
    let tag = app.get(&goals).await.header("etag").unwrap().to_owned();
    app.create(&goals, json!({"title": "Write", "schedule": "daily"})).await;
    assert_ne!(app.get(&goals).await.header("etag").unwrap(), tag);
}

#[sqlx::test(migrations = "../migrations")]
async fn large_goals_beyond_a_page_are_not_read_and_skipped_ones_do_not_count(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hire = app.create_hire("lotus").await.id;
    // The newest four are large.
    sqlx::query(
        "insert into goal (
            id, hired_agent_id, title, description, schedule, enabled, settings, created_at,
            updated_at
        )
        select ('00000000-0000-7000-8000-00000000000' || n)::uuid, $1::uuid, 'Goal ' || n, '',
            'on_demand', true,
            jsonb_build_object('text', repeat('x', case when n > 4 then 600000 else 1 end)),
            now(), now()
        from generate_series(1, 8) n",
    )
    .bind(&hire)
    .execute(&app.owner)
    .await
    .unwrap();
    let (mut parts, ()) = Request::get("/").body(()).unwrap().into_parts();
    let page = Page::from_request_parts(&mut parts, &()).await.unwrap();
    let id = HireId(hire.parse().unwrap());
    let read: Vec<_> = sql::list(&app.owner, id, None, &page).try_collect().await.unwrap();
    assert_eq!(read.len(), 3);

    let titles = async |query: &str| {
        let list = app.get(&format!("/api/v1/agents/{hire}/goals?{query}")).await;
        let link = list.header("link").is_some();
        let list = list.expect(200);
        let titles = list.as_array().unwrap().iter().map(|goal| goal["title"].clone());
        (titles.collect::<Vec<_>>(), link)
    };
    assert_eq!(titles("").await, (vec![json!("Goal 8")], true));
    let rest =
        ["Goal 5", "Goal 4", "Goal 3", "Goal 2", "Goal 1"].map(|title| json!(title)).to_vec();
    assert_eq!(titles("offset=3").await, (rest, false));
}
