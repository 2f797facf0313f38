//! The routes of workflows.

use super::*;
use crate::testing::{ADMIN_KEY, UNKNOWN_ID};
use crate::token::Role;

#[sqlx::test(migrations = "../migrations")]
async fn a_new_workflow_is_pending_with_defaults(pool: PgPool) {
    let app = app(pool).await;
    let created = app.post(LIST, json!({"target": "self"})).await;
    let location = created.header("location").unwrap().to_owned();
    let created = created.expect(201);
    for (field, value) in [
        ("status", json!("pending")),
        ("target", json!("self")),
        ("rules", json!("plant")),
        ("requires_approval", json!(true)),
        ("auto_rollout", json!(true)),
        ("monitoring_duration_seconds", json!(60)),
        ("health_threshold", json!(80.0)),
        ("stage", json!(0)),
        ("created_by", json!("anonymous")),
        ("version", json!(1)),
    ] {
        assert_eq!(created[field], value, "{field}");
    }
    assert_eq!(created["workflow_id"], created["id"]);
    let found = app.get(&location).await;
    assert_eq!(found.header("etag"), Some("\"1\""));
    let found = found.expect(200);
    assert_eq!(found["events"].as_array().unwrap().len(), 1);
    assert_eq!(found["events"][0]["status"], "pending");
    app.get(&format!("{LIST}/{UNKNOWN_ID}")).await.expect(404);
}

#[sqlx::test(migrations = "../migrations")]
async fn invalid_workflows_are_refused(pool: PgPool) {
    let app = app(pool).await;
    for (settings, field) in [
        (json!({"target": "nowhere"}), "target"),
        (
            json!({"target": "self", "monitoring_duration_seconds": 0}),
            "monitoring_duration_seconds",
        ),
        (
            json!({"target": "self", "monitoring_duration_seconds": 3601}),
            "monitoring_duration_seconds",
        ),
        (json!({"target": "self", "health_threshold": -1}), "health_threshold"),
        (json!({"target": "self", "health_threshold": 100.5}), "health_threshold"),
        (json!({"target": "self", "rules": "other"}), "rules"),
    ] {
        assert_eq!(app.post(LIST, settings).await.invalid_fields(), [field]);
    }
    app.post(LIST, json!({"target": "http://127.0.0.1:9/metrics"})).await.expect(403);
    app.post(LIST, json!({})).await.expect(422);
    assert_eq!(app.get(LIST).await.expect(200), json!([]));
}

#[sqlx::test(migrations = "../migrations")]
async fn workflows_are_listed_newest_first_and_by_status(pool: PgPool) {
    let app = app(pool).await;
    let first = create(&app, json!({})).await;
    run(&app).await;
    app.state.clock.advance(chrono::TimeDelta::seconds(1));
    let second = create(&app, json!({})).await;
    let ids = async |query: &str| -> Vec<String> {
        let list = app.get(&format!("{LIST}{query}")).await.expect(200);
        list.as_array().unwrap().iter().map(|w| w["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("").await, [second.clone(), first.clone()]);
    assert_eq!(ids("?limit=1").await, [&*second]);
    assert_eq!(ids(&format!("?after={second}")).await, [&*first]);
    assert_eq!(ids("?status=awaiting_approval").await, [first]);
    assert_eq!(ids("?status=pending").await, [second]);
    assert_eq!(app.get(&format!("{LIST}?status=unknown")).await.invalid_fields(), ["status"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn only_a_workflow_that_awaits_approval_is_decided_about(pool: PgPool) {
    let app = app(pool).await;
    let id = create(&app, json!({})).await;
    let post = async |decision: &str| app.post(&format!("{LIST}/{id}/{decision}"), json!({})).await;
    post("approve").await.expect(409);
    post("reject").await.expect(409);
    run(&app).await;
    assert_eq!(post("approve").await.expect(200)["status"], "approved");
    for decision in ["approve", "reject"] {
        assert_eq!(post(decision).await.expect(409)["code"], "conflict");
        app.post(&format!("{LIST}/{UNKNOWN_ID}/{decision}"), json!({})).await.expect(404);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_rejected_workflow_has_ended(pool: PgPool) {
    let app = app(pool).await;
    let id = create(&app, json!({})).await;
    run(&app).await;
    let rejected = decide(&app, &id, "reject").await;
    assert_eq!((&rejected["status"], &rejected["stage"]), (&json!("rejected"), &json!(0)));
    assert!(rejected["ended_at"].is_string());
    assert_eq!(rejected["reason"], "rejected by an operator");
    assert_eq!(run(&app).await, 0);
    let events = find(&app, &id).await["events"].take();
    let last = events.as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["status"], &last["actor"]), (&json!("rejected"), &json!("anonymous")));
}

#[sqlx::test(migrations = "../migrations")]
async fn workflows_are_for_administrators(pool: PgPool) {
    let app =
        TestApp::with_required_access(pool, Clock::System).await.with_agent(settings(&[PAGE_SIZE]));
    let user = app.with_account_of("lotus", Role::User).await;
    let admin = app.with_token(ADMIN_KEY);
    let id = admin.create(LIST, json!({"target": "self"})).await;
    for (client, read, create, decide) in
        [(&app, 401, 401, 401), (&user, 403, 403, 403), (&admin, 200, 201, 409)]
    {
        client.get(LIST).await.expect(read);
        client.get(&format!("{LIST}/{id}")).await.expect(read);
        client.post(LIST, json!({"target": "self"})).await.expect(create);
        client.post(&format!("{LIST}/{id}/approve"), json!({})).await.expect(decide);
        client.post(&format!("{LIST}/{id}/reject"), json!({})).await.expect(decide);
    }
    for (client, cancel) in [(&app, 401), (&user, 403), (&admin, 200)] {
        client.post(&format!("{LIST}/{id}/cancel"), json!({})).await.expect(cancel);
    }
}
