mod due_goals;

use axum::extract::FromRequestParts;
use axum::http::Request;
use futures::TryStreamExt;
use serde_json::json;
use sqlx::PgPool;

use super::sql;
use crate::page::Page;
use crate::plant::hires::HireId;
use crate::testing::{TestApp, UNKNOWN_ID};

/// Creates a deliverable; returns the path of the hired agent's deliverables and the id.
async fn create_deliverable(app: &TestApp) -> (String, String) {
    let hire = app.create_hire("lotus").await.id;
    let id: uuid::Uuid = sqlx::query_scalar(
        "insert into deliverable (id, hired_agent_id, title, payload, execution_status, created_at)
        values (gen_random_uuid(), $1::uuid, 'Article', '{\"words\": 800}', 'not_executed', now())
        returning id",
    )
    .bind(&hire)
    .fetch_one(&app.owner)
    .await
    .unwrap();
    (format!("/api/v1/agents/{hire}/deliverables"), id.to_string())
}

#[sqlx::test(migrations = "../migrations")]
async fn a_new_deliverable_is_pending_review(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (path, id) = create_deliverable(&app).await;
    let list = app.get(&path).await.expect(200);
    assert_eq!(list[0]["id"], id);
    assert_eq!(list[0]["payload"], json!({"words": 800}));
    assert_eq!(list[0]["review_status"], "pending_review");
    assert_eq!(app.get(&format!("{path}?status=pending_review")).await.expect(200), list);
    assert_eq!(app.get(&format!("{path}?status=approved")).await.expect(200), json!([]));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_deliverable_can_be_reviewed_only_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (path, id) = create_deliverable(&app).await;
    let approved = app.post(&format!("{path}/{id}/approve"), json!({"notes": "Good"})).await;
    assert_eq!(approved.expect(200)["review_status"], "approved");
    for verb in ["approve", "reject"] {
        assert_eq!(
            app.post(&format!("{path}/{id}/{verb}"), json!({})).await.expect(409)["code"],
            "conflict"
        );
    }
    let list = app.get(&format!("{path}?status=approved")).await.expect(200);
    assert_eq!(list[0]["review_status"], "approved");
}

#[sqlx::test(migrations = "../migrations")]
async fn only_one_of_concurrent_reviews_succeeds(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (path, id) = create_deliverable(&app).await;
    let reviews = (0..10).map(|n| {
        let verb = if n % 2 == 0 { "approve" } else { "reject" };
        let path = format!("{path}/{id}/{verb}");
        let app = &app;
        async move { app.post(&path, json!({})).await.status.as_u16() }
    });
    let mut responses = futures::future::join_all(reviews).await;
    responses.sort_unstable();
    assert_eq!(responses, [[200].as_slice(), &[409; 9]].concat());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_review_needs_no_body_but_an_existing_deliverable(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (path, id) = create_deliverable(&app).await;
    let without_body = |path: String| Request::post(path).body(axum::body::Body::empty()).unwrap();
    let rejected = app.send(without_body(format!("{path}/{id}/reject"))).await.expect(200);
    assert_eq!(rejected["review_status"], "rejected");
    app.send(without_body(format!("{path}/{UNKNOWN_ID}/reject"))).await.expect(404);
    app.send(without_body(format!("/api/v1/agents/{UNKNOWN_ID}/deliverables/{id}/reject")))
        .await
        .expect(404);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_review_cannot_be_changed_or_deleted(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (path, id) = create_deliverable(&app).await;
    app.post(&format!("{path}/{id}/approve"), json!({})).await.expect(200);
    for sql in
        ["update deliverable_review set decision = 'rejected'", "delete from deliverable_review"]
    {
        let error = sqlx::query(sql).execute(&app.owner).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_page_of_large_deliverables_is_limited_in_bytes_and_the_link_continues(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hire = app.create_hire("lotus").await.id;
    sqlx::query(
        "insert into deliverable (id, hired_agent_id, title, payload, execution_status, created_at)
        select ('00000000-0000-7000-8000-00000000000' || n)::uuid, $1::uuid, 'Article',
            jsonb_build_object('text', repeat('x', 400000)), 'not_executed', now()
        from generate_series(1, 5) n",
    )
    .bind(&hire)
    .execute(&app.owner)
    .await
    .unwrap();
    let (mut parts, ()) = Request::get("/").body(()).unwrap().into_parts();
    let page = Page::from_request_parts(&mut parts, &()).await.unwrap();
    let id = HireId(hire.parse().unwrap());
    let read: Vec<_> = sql::list(&app.owner, id, None, None, &page).try_collect().await.unwrap();
    assert_eq!(read.len(), 4);

    let mut path = format!("/api/v1/agents/{hire}/deliverables?status=pending_review");
    let mut lengths = Vec::new();
    loop {
        let page = app.get(&path).await;
        let link = page.header("link").map(str::to_owned);
        lengths.push(page.expect(200).as_array().unwrap().len());
        let Some(link) = link else { break };
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(lengths, [2, 2, 1]);
}
