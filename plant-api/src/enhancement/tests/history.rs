//! The history and single tickets, and who may read them.

use super::*;
use crate::token::Role;

const HISTORY: &str = "/enhancements/history?tenant_id=acme";

#[sqlx::test(migrations = "../migrations")]
async fn the_history_is_newest_first_and_in_pages(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_tenant(&app, "acme").await;
    let mut ids = Vec::new();
    for number in 1..=5 {
        ids.push(accept(&app, &ticket(&format!("TKT-{number}"))).await.to_string());
    }
    ids.reverse();
    let list = app.get(HISTORY).await.expect(200);
    let listed: Vec<_> = list.as_array().unwrap().iter().map(|t| t["job_id"].clone()).collect();
    assert_eq!(listed, ids);
    let first = &list[0];
    assert_eq!((&first["ticket_id"], &first["status"]), (&json!("TKT-5"), &json!("pending")));
    assert!(first["accepted_at"].is_string() && first["completed_at"].is_null());
    let (mut path, mut pages) = (format!("{HISTORY}&limit=2"), Vec::new());
    loop {
        let page = app.get(&path).await;
        let link = page.header("link").map(str::to_owned);
        pages.extend(page.expect(200).as_array().unwrap().iter().map(|t| t["job_id"].clone()));
        let Some(link) = link else { break };
        path = link.strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
    }
    assert_eq!(pages, ids);
    let skipped = app.get(&format!("{HISTORY}&offset=4")).await.expect(200);
    assert_eq!((skipped.as_array().unwrap().len(), &skipped[0]["job_id"]), (1, &json!(ids[4])));
    for wrong in ["limit=0", "limit=501", "offset=-1", "after=x"] {
        app.get(&format!("{HISTORY}&{wrong}")).await.expect(422);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_ticket_is_its_newest_entry(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_tenant(&app, "acme").await;
    accept(&app, &ticket("TKT-1")).await;
    let mut updated = ticket("TKT-1");
    updated["event"] = json!("ticket_updated");
    let newest = accept(&app, &updated).await;
    accept(&app, &ticket("TKT-2")).await;
    let found = app.get("/enhancements/TKT-1?tenant_id=acme").await;
    let etag = found.header("etag").unwrap().to_owned();
    let found = found.expect(200);
    assert_eq!(found["job_id"], newest.to_string());
    assert_eq!(found["event"], "ticket_updated");
    assert_eq!(found["created_at"], "2026-01-02T01:04:05Z");
    let request = Request::get("/enhancements/TKT-1?tenant_id=acme")
        .header("if-none-match", etag)
        .body(Body::empty())
        .unwrap();
    app.send(request).await.expect(304);
    for unknown in ["TKT-9", "tkt-1", "%27"] {
        app.get(&format!("/enhancements/{unknown}?tenant_id=acme")).await.expect(404);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_tenant_of_the_history_must_be_named(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_tenant(&app, "acme").await;
    for path in ["/enhancements/history", "/enhancements/TKT-1"] {
        assert_eq!(app.get(path).await.invalid_fields(), ["tenant_id"], "{path}");
        for unknown in ["rose", "", "*", "%27", "ACME"] {
            app.get(&format!("{path}?tenant_id={unknown}")).await.expect(404);
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_history_of_another_customers_tenant_is_not_found(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    accept(&app, &ticket("TKT-1")).await;
    let owner = app.with_account_of("lotus", Role::User).await;
    let other = app.with_account_of("orchid", Role::User).await;
    let admin = app.with_account_of("orchid", Role::Admin).await;
    let paths = [HISTORY, "/enhancements/TKT-1?tenant_id=acme"];
    for path in paths {
        owner.get(path).await.expect(404);
    }
    change_tenant(&app, "acme", json!({"customer_id": "lotus"})).await;
    for path in paths {
        app.get(path).await.expect(401);
        for reader in [&owner, &admin, &app.with_token(ADMIN_KEY)] {
            assert!(reader.get(path).await.expect(200).to_string().contains("TKT-1"));
        }
        other.get(path).await.expect(404);
    }
}
