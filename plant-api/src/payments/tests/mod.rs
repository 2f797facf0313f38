//! Tests of payments on a real database.

mod events;
mod ledger;
mod provider;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::clock::Clock;
use crate::signature::SIGNATURE_HEADER;
use crate::testing::{ADMIN_KEY, TestApp, TestResponse, UNKNOWN_ID};
use crate::token::Role;

const CREATE: &str = "/api/v1/payments/create";
const LIST: &str = "/api/v1/payments";
const WEBHOOK: &str = super::job::WEBHOOK_PATH;

async fn app_with_account(pool: PgPool) -> TestApp {
    TestApp::new(pool).await.with_account_of("lotus", Role::User).await
}

/// Creates a payment of 29.99 EUR and returns its id.
async fn create_payment(app: &TestApp) -> Uuid {
    let new = json!({"plan_id": "pro", "currency": "EUR"});
    app.create(CREATE, new).await.parse().unwrap()
}

/// An event of a payment of 29.99 EUR.
fn event(id: Uuid, kind: &str, payment: Uuid) -> Value {
    json!({
        "id": id, "type": kind, "payment_id": payment, "amount": 29.99, "currency": "EUR",
        "created_at": "2026-01-02T03:04:05Z",
    })
}

fn webhook_request(body: &str, signature: Option<&str>) -> Request<Body> {
    let mut request = Request::post(WEBHOOK).header(header::CONTENT_TYPE, "application/json");
    if let Some(signature) = signature {
        request = request.header(SIGNATURE_HEADER, signature);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// Signs an event and posts it.
async fn post_event(app: &TestApp, event: &Value) -> TestResponse {
    let body = event.to_string();
    let key = &app.state.access_policy.webhook_key;
    let signature = key.sign(body.as_bytes(), app.state.clock.now());
    app.send(webhook_request(&body, Some(&signature))).await
}

async fn status(app: &TestApp, payment: Uuid) -> String {
    let payment = app.get(&format!("{LIST}/{payment}")).await.expect(200);
    payment["status"].as_str().unwrap().to_owned()
}

/// Returns the balance of each account of the ledger that has one, as text: `provider 2999 EUR`.
async fn balances(app: &TestApp) -> Vec<String> {
    sqlx::query_scalar(
        "select account || ' ' || sum(amount) || ' ' || currency
        from ledger_entry
        group by account, currency
        having sum(amount) <> 0
        order by account, currency",
    )
    .fetch_all(&app.owner)
    .await
    .unwrap()
}

/// Returns the log of events, each as text: `succeeded applied`.
async fn event_log(app: &TestApp) -> Vec<String> {
    sqlx::query_scalar("select kind || ' ' || outcome from payment_event order by id")
        .fetch_all(&app.owner)
        .await
        .unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_plan_determines_the_price(pool: PgPool) {
    let app = app_with_account(pool).await;
    for (body, plan, amount, requested) in [
        (json!({"plan_id": "starter", "currency": "USD"}), "starter", 9.99, Value::Null),
        (json!({"plan_code": "pro", "currency": "USD"}), "pro", 29.99, Value::Null),
        (
            json!({"plan_id": "pro", "plan_code": "pro", "currency": "USD"}),
            "pro",
            29.99,
            Value::Null,
        ),
        (
            json!({"plan_id": "enterprise", "amount": 99.99, "currency": "USD"}),
            "enterprise",
            99.99,
            Value::Null,
        ),
        (json!({"plan_id": "pro", "amount": 9.99, "currency": "USD"}), "pro", 29.99, json!(9.99)),
    ] {
        let response = app.post(CREATE, body).await;
        let location = response.header("location").unwrap().to_owned();
        assert!(response.text.contains(&format!("\"amount\":{amount},")), "{}", response.text);
        let payment = response.expect(201);
        assert_eq!(payment["id"], payment["payment_id"]);
        assert_eq!((&payment["plan_id"], &payment["amount"]), (&json!(plan), &json!(amount)));
        assert_eq!(payment["requested_amount"], requested);
        assert_eq!((&payment["currency"], &payment["status"]), (&json!("USD"), &json!("pending")));
        assert_eq!(app.get(&location).await.expect(200), payment);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn invalid_payments_are_refused_with_the_field(pool: PgPool) {
    let app = app_with_account(pool).await;
    for (body, field) in [
        (json!({"plan_id": "gold", "currency": "USD"}), "plan_id"),
        (json!({"plan_id": "pro", "currency": "JPY"}), "currency"),
        (json!({"plan_id": "pro", "currency": "USD", "amount": 9.999}), "amount"),
        (json!({"plan_id": "pro", "currency": "USD", "amount": -1}), "amount"),
        (json!({"plan_id": "pro"}), ""),
        (json!({"currency": "USD"}), "plan_id"),
        (json!({"plan_id": "pro", "plan_code": "starter", "currency": "USD"}), "plan_code"),
    ] {
        assert_eq!(app.post(CREATE, body.clone()).await.invalid_fields(), [field], "{body}");
    }
    assert_eq!(app.get(LIST).await.expect(200), json!([]));
}

#[sqlx::test(migrations = "../migrations")]
async fn payments_of_other_accounts_are_invisible(pool: PgPool) {
    let app = app_with_account(pool).await;
    let other = app.with_account_of("lotus", Role::Admin).await;
    let payment = create_payment(&app).await;
    other.get(&format!("{LIST}/{payment}")).await.expect(404);
    app.get(&format!("{LIST}/{UNKNOWN_ID}")).await.expect(404);
    assert_eq!(other.get(LIST).await.expect(200), json!([]));
    app.with_token(ADMIN_KEY).get(LIST).await.expect(403);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_list_is_newest_first_and_in_pages(pool: PgPool) {
    let app = app_with_account(pool).await;
    let mut created = Vec::new();
    for _ in 0..5 {
        created.insert(0, json!(create_payment(&app).await));
    }
    let ids = |list: Value| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|payment| payment["id"].clone()).collect()
    };
    assert_eq!(ids(app.get(LIST).await.expect(200)), created);
    let page = format!("{LIST}?limit=2&after={}", created[1].as_str().unwrap());
    let page = app.get(&page).await;
    let next = format!("<{LIST}?limit=2&after={}>; rel=\"next\"", created[3].as_str().unwrap());
    assert_eq!(page.header("link"), Some(&*next));
    assert_eq!(ids(page.expect(200)), created[2..4]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_thousand_simultaneous_posts_with_one_key_create_one_payment(pool: PgPool) {
    const POSTS: usize = 1_000;
    let app = app_with_account(pool).await;
    let new = json!({"plan_id": "pro", "amount": 9.99, "currency": "EUR"});
    let posts = (0..POSTS).map(|_| app.post_idempotent("storm", CREATE, &new));
    let responses = futures::future::join_all(posts).await;
    let first = &responses[0];
    assert_eq!(first.status, 201);
    for response in &responses {
        assert_eq!((response.status, &response.text), (first.status, &first.text));
        assert_eq!(response.header("location"), first.header("location"));
    }
    let counts: (i64, i64) =
        sqlx::query_as("select (select count(*) from payment), (select count(*) from job)")
            .fetch_one(&app.owner)
            .await
            .unwrap();
    assert_eq!(counts, (1, 1));
    let other = json!({"plan_id": "starter", "amount": 9.99, "currency": "EUR"});
    let reused = app.post_idempotent("storm", CREATE, &other).await;
    assert_eq!(reused.invalid_fields(), ["Idempotency-Key"]);
    assert_eq!(app.get(LIST).await.expect(200).as_array().unwrap().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_payment_of_a_deleted_account_is_refused(pool: PgPool) {
    let app = TestApp::with_clock(pool, Clock::System).await;
    let account = app.insert_account("lotus", Role::User).await;
    let tokens = &app.state.access_policy.tokens;
    let token = tokens.issue_access_token(&account, app.state.clock.now()).unwrap();
    sqlx::query("delete from account").execute(&app.owner).await.unwrap();
    let new = json!({"plan_id": "pro", "currency": "EUR"});
    app.with_token(&token).post(CREATE, new).await.expect(401);
}
