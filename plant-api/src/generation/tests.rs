use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::config::ModelConfig;
use crate::testing::{ADMIN_KEY, INSTANT_MODEL, TestApp, UNKNOWN_ID, simulations, wait_until};
use crate::token::Role;

const CREATE: &str = "/api/v1/generation/create";
const LIST: &str = "/api/v1/generation/list";

fn haiku(n: usize) -> Value {
    json!({
        "prompt": format!("Haiku {n}"), "model": "gpt-4", "temperature": 0.7, "max_tokens": 64,
    })
}

fn path(task: &Value) -> String {
    format!("/api/v1/generation/{}", task["id"].as_str().unwrap())
}

async fn app_with_account(pool: PgPool) -> TestApp {
    TestApp::new(pool).await.with_account_of("lotus", Role::User).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_task_is_accepted_and_completed(pool: PgPool) {
    let app = app_with_account(pool).await;
    let accepted = app.post(CREATE, haiku(1)).await;
    let location = accepted.header("location").unwrap().to_owned();
    let accepted = accepted.expect(202);
    assert_eq!((&accepted["id"], &accepted["status"]), (&accepted["task_id"], &json!("queued")));
    assert_eq!(location, path(&accepted));
    let queued = app.get(&location).await;
    let etag = queued.header("etag").unwrap().to_owned();
    let queued = queued.expect(200);
    assert_eq!(queued["created_at"], accepted["created_at"]);
    assert_eq!(
        (&queued["status"], &queued["attempts"], &queued["result"]),
        (&json!("queued"), &json!(0), &Value::Null)
    );
    app.drain_jobs().await;
    let done = app.get(&location).await;
    assert_ne!(done.header("etag").unwrap(), etag);
    let done = done.expect(200);
    assert_eq!((&done["status"], &done["attempts"]), (&json!("completed"), &json!(1)));
    assert!(done["result"].as_str().unwrap().split(' ').count() <= 64);
    assert!(done["completed_at"].is_string() && done["started_at"].is_string());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_task_is_processing_while_the_model_runs(pool: PgPool) {
    let app = app_with_account(pool).await;
    let task = path(&app.post(CREATE, haiku(1)).await.expect(202));
    let shutdown = CancellationToken::new();
    let slow = ModelConfig { median: Duration::from_secs(30), ..INSTANT_MODEL };
    let worker = crate::app::worker(&app.state, &simulations(slow));
    let worker_task = tokio::spawn(worker.run(shutdown.clone(), Duration::ZERO));
    wait_until(async || app.get(&task).await.expect(200)["status"] == "processing").await;
    let processing = app.get(&format!("{LIST}?status=processing")).await.expect(200);
    assert_eq!(processing["items"].as_array().unwrap().len(), 1);
    shutdown.cancel();
    worker_task.await.unwrap();
    assert_eq!(app.get(&task).await.expect(200)["status"], "queued");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_task_that_always_fails_is_dead_lettered_and_can_be_requeued(pool: PgPool) {
    let app = app_with_account(pool).await;
    let task = path(&app.post(CREATE, haiku(1)).await.expect(202));
    app.drain_jobs_with(ModelConfig { failure_rate: 1.0, ..INSTANT_MODEL }).await;
    let failed = app.get(&task).await.expect(200);
    assert_eq!(
        (&failed["status"], &failed["attempts"], &failed["error"]),
        (&json!("failed"), &json!(5), &json!("the model is overloaded"))
    );
    assert!(failed["completed_at"].is_string() && failed["result"].is_null());
    let list = app.get(&format!("{LIST}?status=failed")).await.expect(200);
    assert_eq!(list["items"][0]["error"], "the model is overloaded");
    let requeued =
        crate::jobs::command::requeue(&app.owner, None, Some("generation")).await.unwrap();
    assert_eq!(requeued, 1);
    let queued = app.get(&task).await.expect(200);
    assert_eq!(
        (&queued["status"], &queued["error"], &queued["completed_at"]),
        (&json!("queued"), &Value::Null, &Value::Null)
    );
    app.drain_jobs().await;
    let done = app.get(&task).await.expect(200);
    assert_eq!((&done["status"], &done["error"]), (&json!("completed"), &Value::Null));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_task_stays_the_same_after_its_job_is_deleted(pool: PgPool) {
    let app = app_with_account(pool).await;
    let good = path(&app.post(CREATE, haiku(1)).await.expect(202));
    app.drain_jobs().await;
    let bad = path(&app.post(CREATE, haiku(2)).await.expect(202));
    app.drain_jobs_with(ModelConfig { failure_rate: 1.0, ..INSTANT_MODEL }).await;
    let before = [app.get(&good).await.expect(200), app.get(&bad).await.expect(200)];
    sqlx::query("delete from job").execute(&app.owner).await.unwrap();
    let after = [app.get(&good).await.expect(200), app.get(&bad).await.expect(200)];
    assert_eq!(before, after);
}

#[sqlx::test(migrations = "../migrations")]
async fn tasks_are_listed_newest_first_page_by_page(pool: PgPool) {
    let app = app_with_account(pool).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.insert(0, app.post(CREATE, haiku(n)).await.expect(202)["id"].clone());
    }
    let first = app.get(&format!("{LIST}?limit=2")).await;
    assert!(first.header("link").unwrap().contains("rel=\"next\""));
    let first = first.expect(200);
    let next = first["next"].as_str().unwrap();
    assert_eq!([&first["items"][0]["id"], &first["items"][1]["id"]], [&ids[0], &ids[1]]);
    let rest = app.get(&format!("{LIST}?limit=3&after={next}")).await.expect(200);
    assert_eq!(rest["next"], Value::Null);
    let rest: Vec<_> =
        rest["items"].as_array().unwrap().iter().map(|task| task["id"].clone()).collect();
    assert_eq!(rest, ids[2..]);
    assert!(first["items"][0].get("prompt").is_none());
    let none = app.get(&format!("{LIST}?status=completed")).await.expect(200);
    assert_eq!(none, json!({"items": [], "next": null}));
    app.drain_jobs().await;
    let all = app.get(&format!("{LIST}?status=completed")).await.expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 5);
}

#[sqlx::test(migrations = "../migrations")]
async fn repeated_requests_with_one_idempotency_key_create_one_task(pool: PgPool) {
    let app = app_with_account(pool).await;
    let posts = (0..20).map(|_| {
        let app = &app;
        async move { app.post_idempotent("once", CREATE, &haiku(1)).await }
    });
    let responses = futures::future::join_all(posts).await;
    for response in &responses {
        assert_eq!((response.status.as_u16(), &response.text), (202, &responses[0].text));
    }
    let other = app.post_idempotent("once", CREATE, &haiku(2)).await;
    assert_eq!(other.invalid_fields(), ["Idempotency-Key"]);
    app.drain_jobs().await;
    let list = app.get(LIST).await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn invalid_requests_name_the_field_and_create_no_job(pool: PgPool) {
    let app = app_with_account(pool).await;
    for (field, value) in [
        ("prompt", json!("")),
        ("prompt", json!("x".repeat(8001))),
        ("model", json!("gpt-9")),
        ("temperature", json!(2.1)),
        ("temperature", json!(-0.1)),
        ("max_tokens", json!(0)),
        ("max_tokens", json!(4097)),
    ] {
        let mut body = haiku(1);
        body[field] = value;
        assert_eq!(app.post(CREATE, body).await.invalid_fields(), [field]);
    }
    for query in ["limit=0", "limit=501", "status=done", "after=x"] {
        app.get(&format!("{LIST}?{query}")).await.expect(422);
    }
    app.get("/api/v1/generation/x").await.expect(422);
    let limits = json!({"prompt": "é".repeat(8000), "model": "claude-3", "temperature": 2});
    app.post(CREATE, limits).await.expect(202);
    let jobs: i64 =
        sqlx::query_scalar("select count(*) from job").fetch_one(&app.owner).await.unwrap();
    assert_eq!(jobs, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_token_is_required_even_with_open_access(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let task = format!("/api/v1/generation/{UNKNOWN_ID}");
    for app in [app.clone(), app.with_token("made.up.token")] {
        assert_eq!(app.post(CREATE, haiku(1)).await.expect(401)["code"], "unauthenticated");
        app.get(LIST).await.expect(401);
        app.get(&task).await.expect(401);
    }
    // The admin key has no account.
    let admin = app.with_token(ADMIN_KEY);
    admin.post(CREATE, haiku(1)).await.expect(403);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_task_of_another_account_is_not_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.with_account_of("lotus", Role::User).await;
    let task = path(&owner.post(CREATE, haiku(1)).await.expect(202));
    owner.get(&task).await.expect(200);
    for other in [("tulip", Role::User), ("lotus", Role::User), ("rose", Role::Admin)] {
        let other = app.with_account_of(other.0, other.1).await;
        other.get(&task).await.expect(404);
        assert_eq!(other.get(LIST).await.expect(200)["items"], json!([]));
    }
    owner.get(&format!("/api/v1/generation/{UNKNOWN_ID}")).await.expect(404);
}

#[sqlx::test(migrations = "../migrations")]
async fn jobs_of_a_deleted_account_finish_without_effect(pool: PgPool) {
    let app = app_with_account(pool).await;
    app.post(CREATE, haiku(1)).await.expect(202);
    sqlx::query("delete from session").execute(&app.owner).await.unwrap();
    sqlx::query("delete from account").execute(&app.owner).await.unwrap();
    app.drain_jobs().await;
    let states: Vec<String> =
        sqlx::query_scalar("select state from job").fetch_all(&app.owner).await.unwrap();
    assert_eq!(states, ["done"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_token_of_a_deleted_account_is_refused(pool: PgPool) {
    let app = app_with_account(pool).await;
    for sql in ["delete from session", "delete from account"] {
        sqlx::query(sql).execute(&app.owner).await.unwrap();
    }
    let refused = app.post(CREATE, haiku(1)).await;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert_eq!(refused.expect(401)["code"], "unauthenticated");
    app.post_idempotent("once", CREATE, &haiku(1)).await.expect(401);
    let jobs: i64 =
        sqlx::query_scalar("select count(*) from job").fetch_one(&app.owner).await.unwrap();
    assert_eq!(jobs, 0);
}
