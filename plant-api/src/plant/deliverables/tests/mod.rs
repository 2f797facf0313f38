mod due_goals;

use serde_json::json;
use sqlx::PgPool;

use crate::testing::{NOBODY, TestApp};

/// A hired agent's deliverables' path, with one deliverable in it.
async fn a_deliverable(app: &TestApp) -> (String, String) {
    let hire = app.a_hire("lotus").await.id;
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
async fn a_deliverable_waits_for_its_review(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (path, id) = a_deliverable(&app).await;
    let list = app.get(&path).await.expect(200);
    assert_eq!(list[0]["id"], id);
    assert_eq!(list[0]["payload"], json!({"words": 800}));
    assert_eq!(list[0]["review_status"], "pending_review");
    assert_eq!(app.get(&format!("{path}?status=pending_review")).await.expect(200), list);
    assert_eq!(app.get(&format!("{path}?status=approved")).await.expect(200), json!([]));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_deliverable_is_reviewed_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (path, id) = a_deliverable(&app).await;
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
async fn of_many_simultaneous_reviews_one_counts(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (path, id) = a_deliverable(&app).await;
    let reviews = (0..10).map(|n| {
        let verb = if n % 2 == 0 { "approve" } else { "reject" };
        let path = format!("{path}/{id}/{verb}");
        let app = &app;
        async move { app.post(&path, json!({})).await.status.as_u16() }
    });
    let mut answers = futures::future::join_all(reviews).await;
    answers.sort_unstable();
    assert_eq!(answers, [[200].as_slice(), &[409; 9]].concat());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_review_needs_no_body_but_a_deliverable(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (path, id) = a_deliverable(&app).await;
    let bare =
        |path: String| axum::http::Request::post(path).body(axum::body::Body::empty()).unwrap();
    let rejected = app.send(bare(format!("{path}/{id}/reject"))).await.expect(200);
    assert_eq!(rejected["review_status"], "rejected");
    app.send(bare(format!("{path}/{NOBODY}/reject"))).await.expect(404);
    app.send(bare(format!("/api/v1/agents/{NOBODY}/deliverables/{id}/reject"))).await.expect(404);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_review_cannot_be_rewritten(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (path, id) = a_deliverable(&app).await;
    app.post(&format!("{path}/{id}/approve"), json!({})).await.expect(200);
    for sql in
        ["update deliverable_review set decision = 'rejected'", "delete from deliverable_review"]
    {
        let refused = sqlx::query(sql).execute(&app.owner).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
}
