//! The admin routes of tenants.

use super::*;
use crate::db::{TenantId, TenantScope};
use crate::enhancement::{job, sql, tenants};
use crate::jobs::{LEASE_DURATION, sql as jobs_sql};
use crate::token::Role;

const TENANTS: &str = "/admin/tenants";
const ACME: &str = "/admin/tenants/acme";

#[sqlx::test(migrations = "../migrations")]
async fn secrets_are_written_and_never_returned(pool: PgPool) {
    let app = TestApp::with_required_access(pool, Clock::System).await;
    let admin = app.with_token(ADMIN_KEY);
    let created = admin.post_idempotent("key", TENANTS, &new_tenant("acme")).await;
    assert_eq!(created.header("location"), Some(ACME));
    let replayed = admin.post_idempotent("key", TENANTS, &new_tenant("acme")).await;
    assert_eq!(replayed.text, created.text);
    let changes = json!({
        "webhook_signing_secret": "second-secret-of-acme", "servicedesk_api_key": "second-key",
    });
    let texts = [
        created.text,
        admin.get(ACME).await.text,
        admin.get(TENANTS).await.text,
        admin.patch(ACME, changes).await.text,
    ];
    for text in texts {
        assert!(text.contains(r#""webhook_signing_secret":"***""#), "{text}");
        assert!(text.contains(r#""servicedesk_api_key":"***""#), "{text}");
        for secret in [SECRET, API_KEY, "second-", "sealed:"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    let stored: Vec<String> = sqlx::query_scalar(
        "select to_jsonb(row)::text from tenant_configs row
        union all
        select to_jsonb(row)::text from idempotency_key row",
    )
    .fetch_all(&app.owner)
    .await
    .unwrap();
    assert!(!format!("{stored:?}").contains("of-acme"), "{stored:?}");
    use sha2::Digest;
    let plain_hash = hex::encode(Sha256::digest(new_tenant("acme").to_string()));
    assert!(!format!("{stored:?}").contains(&plain_hash), "{stored:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_key_for_the_desk_is_opened_for_the_job(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let id = accept(&app, &ticket("TKT-1")).await;
    let acme = TenantId::parse("acme").unwrap();
    let policy = &app.state.access_policy;
    let mut tx = app.state.db.begin_in(TenantScope::One(&acme)).await.unwrap();
    let (_, desk) = sql::find_for_job(&mut *tx, id).await.unwrap().unwrap();
    let desk = tenants::open_desk(desk, &policy.sealer, policy.access_mode, &acme).unwrap();
    assert_eq!((&*desk.url, &*desk.api_key.0), ("https://acme.servicedesk.local", API_KEY));
}

#[sqlx::test(migrations = "../migrations")]
async fn tenants_are_for_administrators(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let user = app.with_account_of("lotus", Role::User).await;
    let editor = app.with_account_of("lotus", Role::Editor).await;
    let admin = app.with_account_of("lotus", Role::Admin).await;
    for (client, status) in [(&app, 401), (&user, 403), (&editor, 403), (&admin, 200)] {
        client.get(TENANTS).await.expect(status);
        client.get(ACME).await.expect(status);
        client.patch(ACME, json!({"name": "Acme Ltd"})).await.expect(status);
        client.post(&format!("{ACME}/reset"), json!({})).await.expect(status);
    }
    for client in [&user, &editor] {
        client.post(TENANTS, new_tenant("rose")).await.expect(403);
        client.delete(ACME).await.expect(403);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_admin_key_may_be_sent_in_its_own_header(pool: PgPool) {
    let app = app_with_tenant(pool.clone()).await;
    let get = |key: &'static str| {
        Request::get(TENANTS).header("x-admin-key", key).body(Body::empty()).unwrap()
    };
    app.send(get(ADMIN_KEY)).await.expect(200);
    let open = TestApp::new(pool).await;
    for app in [&app, &open] {
        for wrong in ["", "x", "Bearer admin key of the tests"] {
            app.send(get(wrong)).await.expect(401);
        }
    }
    // The header decides, whatever token is sent with it.
    app.with_token(ADMIN_KEY).send(get("x")).await.expect(401);
    open.get(TENANTS).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn invalid_tenants_are_422_with_the_fields(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_tenant(&app, "acme").await;
    for (field, value) in [
        ("name", json!(" ")),
        ("servicedesk_url", json!("ftp://acme.example")),
        ("servicedesk_url", json!("https://user:pw@acme.example")),
        ("servicedesk_url", json!("https://acme.example/path")),
        ("servicedesk_url", json!("https://acme.example?x=1")),
        ("servicedesk_url", json!("acme.example")),
        ("servicedesk_url", json!("https://acme.example:")),
        ("servicedesk_url", json!("https://acme.example:0")),
        ("servicedesk_url", json!("https://acme.example:65536")),
        ("servicedesk_api_key", json!("")),
        ("servicedesk_api_key", json!("a b")),
        ("servicedesk_api_key", json!("x".repeat(501))),
        ("webhook_signing_secret", json!("")),
        ("webhook_signing_secret", json!("fifteen-bytes-x")),
        ("webhook_signing_secret", json!("whsec_not base64 at all")),
        ("webhook_signing_secret", json!("whsec_c2hvcnQ=")),
        ("webhook_signing_secret", json!(format!("whsec_{}", BASE64.encode([0; 24])))),
        ("webhook_signing_secret", json!("sealed:0123456789abcdef")),
        ("tool_type", json!("")),
        ("tool_type", json!("x".repeat(101))),
        ("customer_id", json!("nobody")),
    ] {
        let mut tenant = new_tenant("rose");
        tenant[field] = value.clone();
        let fields = app.post(TENANTS, tenant).await.invalid_fields();
        assert!(!fields.is_empty() && fields.iter().all(|f| f == field), "{value}: {fields:?}");
        let fields = app.patch(ACME, json!({field: value})).await.invalid_fields();
        assert!(!fields.is_empty() && fields.iter().all(|f| f == field), "{value}: {fields:?}");
    }
    for id in ["", "*", "Acme", "a'b", "-a"] {
        assert_eq!(app.post(TENANTS, new_tenant(id)).await.invalid_fields(), ["tenant_id"], "{id}");
    }
    for changes in [
        json!({"grace_seconds": 60}),
        json!({"grace_seconds": -1, "webhook_signing_secret": SECRET}),
        json!({"grace_seconds": 2_592_001, "webhook_signing_secret": SECRET}),
        json!({"tenant_id": "rose"}),
        json!({"name": null}),
    ] {
        app.patch(ACME, changes).await.expect(422);
    }
    let duplicate = app.post(TENANTS, new_tenant("acme")).await.expect(409);
    assert_eq!(duplicate["code"], "duplicate-entity");
    app.get("/admin/tenants/rose").await.expect(404);
    app.patch("/admin/tenants/rose", json!({})).await.expect(404);
    app.delete("/admin/tenants/rose").await.expect(404);
    app.post("/admin/tenants/rose/reset", json!({})).await.expect(404);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_of_an_old_version_is_412(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_tenant(&app, "acme").await;
    let etag = app.get(ACME).await.header("etag").unwrap().to_owned();
    let change = |etag: &str| {
        let mut request = crate::testing::json_request(
            axum::http::Method::PATCH,
            ACME,
            &json!({"name": "Acme Ltd"}),
        );
        request.headers_mut().insert("if-match", etag.parse().unwrap());
        request
    };
    app.send(change(&etag)).await.expect(200);
    app.send(change(&etag)).await.expect(412);
    let tenant = app.get(ACME).await.expect(200);
    assert_eq!((&tenant["name"], &tenant["is_active"]), (&json!("Acme Ltd"), &json!(true)));
}

#[sqlx::test(migrations = "../migrations")]
async fn tenants_are_listed_by_id_in_pages(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for id in ["c", "a", "b"] {
        create_tenant(&app, id).await;
    }
    let page = app.get("/admin/tenants?limit=2").await;
    let link = page.header("link").unwrap().to_owned();
    assert_eq!(link, "</admin/tenants?limit=2&after=b>; rel=\"next\"");
    let ids = |list: Value| -> Vec<String> {
        let ids = list.as_array().unwrap().clone().into_iter();
        ids.map(|tenant| tenant["tenant_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(page.expect(200)), ["a", "b"]);
    assert_eq!(ids(app.get("/admin/tenants?limit=2&after=b").await.expect(200)), ["c"]);
    assert_eq!(ids(app.get(TENANTS).await.expect(200)), ["a", "b", "c"]);
    assert_eq!(app.get("/admin/tenants?limit=0").await.invalid_fields(), ["limit"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_reset_deletes_the_history_and_the_queued_jobs_of_one_tenant(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for tenant in ["acme", "rose"] {
        create_tenant(&app, tenant).await;
    }
    for number in 1..=4 {
        accept(&app, &ticket(&format!("TKT-{number}"))).await;
    }
    post_signed(&app, "rose", &ticket("TKT-1"), SECRET).await.expect(202);
    let mut db = app.state.db.acquire().await.unwrap();
    let claimed = jobs_sql::claim(&mut *db, &[(job::KIND.name, 2)], "worker", LEASE_DURATION);
    let claimed = claimed.await.unwrap();
    let running = claimed.iter().filter(|job| job.owner == "acme").count() as u64;
    let reset = app.post(&format!("{ACME}/reset"), json!({})).await.expect(200);
    assert_eq!(
        reset,
        json!({"tenant_id": "acme", "history_deleted": 4, "jobs_deleted": 4 - running})
    );
    assert!(running > 0, "{claimed:?}");
    assert_eq!(counts(&app).await, (1, i64::try_from(running).unwrap() + 1));
    // A running job finds nothing, and can write nothing.
    let job = claimed.iter().find(|job| job.owner == "acme").unwrap();
    let acme = TenantId::parse("acme").unwrap();
    let mut tx = app.state.db.begin_in(TenantScope::One(&acme)).await.unwrap();
    assert!(sql::find_for_job(&mut *tx, job.id).await.unwrap().is_none());
    assert!(!sql::store_draft(&mut *tx, job.id, &json!({}), "note").await.unwrap());
    let (time, now) = (std::time::Duration::ZERO, app.state.clock.now());
    assert!(!sql::complete(&mut *tx, job, time, now).await.unwrap());
    assert!(!sql::fail(&mut *tx, job, "reason", now).await.unwrap());
    // The same ticket is a new one now.
    let again = post_signed(&app, "acme", &ticket("TKT-1"), SECRET).await.expect(202);
    assert_eq!(again["message"], "the ticket was accepted");
    let empty = app.post("/admin/tenants/rose/reset", json!({})).await.expect(200);
    assert_eq!(empty["history_deleted"], 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_deleted_tenant_takes_its_history_and_its_jobs_with_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_tenant(&app, "acme").await;
    accept(&app, &ticket("TKT-1")).await;
    app.delete(ACME).await.expect(204);
    app.get(ACME).await.expect(404);
    assert_eq!(counts(&app).await, (0, 0));
    create_tenant(&app, "acme").await;
    let history = app.get("/enhancements/history?tenant_id=acme").await.expect(200);
    assert_eq!(history, json!([]));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_completed_ticket_does_not_fail_later(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_tenant(&app, "acme").await;
    let id = accept(&app, &ticket("TKT-1")).await;
    let acme = TenantId::parse("acme").unwrap();
    let mut tx = app.state.db.begin_in(TenantScope::One(&acme)).await.unwrap();
    let claimed = jobs_sql::claim(&mut *tx, &[(job::KIND.name, 1)], "worker", LEASE_DURATION);
    let job = claimed.await.unwrap().remove(0);
    assert_eq!(job.id, id);
    let (time, now) = (std::time::Duration::from_millis(120), app.state.clock.now());
    assert!(sql::store_draft(&mut *tx, id, &json!({"similar": []}), "note").await.unwrap());
    assert!(sql::complete(&mut *tx, &job, time, now).await.unwrap());
    assert!(!sql::complete(&mut *tx, &job, time, now).await.unwrap());
    assert!(!sql::fail(&mut *tx, &job, "late", now).await.unwrap());
    tx.commit().await.unwrap();
    let ticket = app.get("/enhancements/TKT-1?tenant_id=acme").await.expect(200);
    assert_eq!(
        (&ticket["status"], &ticket["enhancement"], &ticket["processing_time_ms"]),
        (&json!("completed"), &json!("note"), &json!(120))
    );
    assert!(ticket["completed_at"].is_string() && ticket["error"].is_null());
}
