//! Tests of registration, and helpers of the other account tests.

mod limits;
mod login;
mod session;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use crate::testing::{TestApp, TestResponse};

const REGISTER: &str = "/api/v1/auth/register";
const LOGIN: &str = "/api/v1/auth/login";
const ME: &str = "/api/v1/auth/me";

fn asha() -> Value {
    json!({"email": "asha@lotus.example", "password": "eleven green apples"})
}

fn wrong_password() -> Value {
    json!({"email": "asha@lotus.example", "password": "eleven green pears"})
}

/// Logs in as Asha, who must be registered.
async fn log_in(app: &TestApp) -> Value {
    app.post(LOGIN, asha()).await.expect(200)
}

/// Registers Asha and logs in; returns the service with her token, and the login response.
async fn register_asha(app: &TestApp) -> (TestApp, Value) {
    app.post(REGISTER, asha()).await.expect(201);
    let login = log_in(app).await;
    (app.with_token(login["access_token"].as_str().unwrap()), login)
}

/// Returns a problem without its request id.
fn problem(response: TestResponse, status: u16) -> Value {
    let mut problem = response.expect(status);
    problem.as_object_mut().unwrap().remove("request_id");
    problem
}

#[sqlx::test(migrations = "../migrations")]
async fn a_registered_account_can_log_in_and_has_a_customer(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let user = app.post(REGISTER, asha()).await.expect(201)["user"].take();
    assert_eq!(user["email"], "asha@lotus.example");
    assert_eq!((&user["role"], &user["is_active"]), (&json!("user"), &json!(true)));
    assert_eq!(user["is_verified"], false);

    let login = log_in(&app).await;
    assert_eq!(login["token_type"], "bearer");
    assert_eq!(
        (&login["expires_in"], &login["refresh_expires_in"]),
        (&json!(900), &json!(2_592_000))
    );
    assert_eq!(login["user"], user);

    let asha = app.with_token(login["access_token"].as_str().unwrap());
    let me = asha.get(ME).await.expect(200);
    assert_eq!((&me["id"], &me["plan"]), (&user["id"], &Value::Null));
    let customer = format!("/api/v1/customers/{}", me["customer_id"].as_str().unwrap());
    assert_eq!(asha.get(&customer).await.expect(200)["email"], "asha@lotus.example");
}

#[sqlx::test(migrations = "../migrations")]
async fn emails_are_not_case_sensitive(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let upper_case = json!({"email": "  Asha@LOTUS.example ", "password": "eleven green apples"});
    let user = app.post(REGISTER, upper_case.clone()).await.expect(201)["user"].take();
    assert_eq!(user["email"], "asha@lotus.example");
    assert_eq!(app.post(REGISTER, asha()).await.expect(409)["code"], "duplicate-entity");
    app.post(LOGIN, upper_case).await.expect(200);
    let customers: i64 =
        sqlx::query_scalar("select count(*) from customer").fetch_one(&app.owner).await.unwrap();
    assert_eq!(customers, 1, "a refused registration leaves a customer");
}

#[sqlx::test(migrations = "../migrations")]
async fn of_many_concurrent_registrations_of_one_email_one_succeeds(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let posts = (0..8).map(|_| app.post(REGISTER, asha()));
    let responses = futures::future::join_all(posts).await;
    let mut statuses: Vec<_> = responses.iter().map(|response| response.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[201].as_slice(), &[409; 7]].concat());
}

#[sqlx::test(migrations = "../migrations")]
async fn invalid_credentials_are_reported_by_field(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (email, password) = ("asha@lotus.example", "eleven green apples");
    for (email, password, invalid_field) in [
        ("asha", password, "email"),
        ("@lotus.example", password, "email"),
        ("asha@", password, "email"),
        ("asha@@lotus.example", password, "email"),
        ("a sha@lotus.example", password, "email"),
        (&format!("{}@lotus.example", "a".repeat(200)), password, "email"),
        (email, "seven..", "password"),
        (email, &"x".repeat(129), "password"),
    ] {
        let body = json!({"email": email, "password": password});
        assert_eq!(app.post(REGISTER, body).await.invalid_fields(), [invalid_field], "{email}");
    }
    for body in [json!({"email": email}), json!({"email": 5, "password": password})] {
        app.post(REGISTER, body.clone()).await.expect(422);
        app.post(LOGIN, body).await.expect(422);
    }
    let long = json!({"email": "x".repeat(201), "password": "x".repeat(129)});
    assert_eq!(app.post(LOGIN, long).await.invalid_fields(), ["email", "password"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_password_is_stored_only_as_an_argon2id_hash(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let response = app.post_idempotent("once", REGISTER, &asha()).await;
    assert!(!response.text.contains("apples") && !response.text.contains("argon2"));
    let stored: String = sqlx::query_scalar("select password_hash from account")
        .fetch_one(&app.owner)
        .await
        .unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{stored}");
    // A plain hash of the body would allow millions of password guesses per second.
    let hash: Vec<u8> = sqlx::query_scalar("select request_hash from idempotency_key")
        .fetch_one(&app.owner)
        .await
        .unwrap();
    assert_ne!(hash, Sha256::digest(asha().to_string()).to_vec());
}

#[sqlx::test(migrations = "../migrations")]
async fn registering_again_with_the_same_key_returns_the_first_response(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let first = app.post_idempotent("once", REGISTER, &asha()).await.expect(201);
    assert_eq!(app.post_idempotent("once", REGISTER, &asha()).await.expect(201), first);
    let other = json!({"email": "asha@lotus.example", "password": "twelve green apples"});
    app.post_idempotent("once", REGISTER, &other).await.expect(422);
}
