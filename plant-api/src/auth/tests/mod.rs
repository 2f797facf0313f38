//! Registering, and what the other tests of accounts share.

mod login;
mod session;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use crate::testing::{Answer, TestApp};

const REGISTER: &str = "/api/v1/auth/register";
const LOGIN: &str = "/api/v1/auth/login";
const ME: &str = "/api/v1/auth/me";

fn asha() -> Value {
    json!({"email": "asha@lotus.example", "password": "eleven green apples"})
}

/// Asha's login, once she has registered.
async fn log_in(app: &TestApp) -> Value {
    app.post(LOGIN, asha()).await.expect(200)
}

/// The service as Asha asks it, her session begun.
async fn asked_by_asha(app: &TestApp) -> (TestApp, Value) {
    app.post(REGISTER, asha()).await.expect(201);
    let login = log_in(app).await;
    (app.bearing(login["access_token"].as_str().unwrap()), login)
}

/// A problem without what differs from request to request.
fn told(answer: Answer, status: u16) -> Value {
    let mut problem = answer.expect(status);
    problem.as_object_mut().unwrap().remove("request_id");
    problem
}

#[sqlx::test(migrations = "../migrations")]
async fn who_registers_logs_in_and_has_a_customer(pool: PgPool) {
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

    let asha = app.bearing(login["access_token"].as_str().unwrap());
    let me = asha.get(ME).await.expect(200);
    assert_eq!((&me["id"], &me["plan"]), (&user["id"], &Value::Null));
    let customer = format!("/api/v1/customers/{}", me["customer_id"].as_str().unwrap());
    assert_eq!(asha.get(&customer).await.expect(200)["email"], "asha@lotus.example");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_address_is_one_in_upper_and_lower_case(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let shouting = json!({"email": "  Asha@LOTUS.example ", "password": "eleven green apples"});
    let user = app.post(REGISTER, shouting.clone()).await.expect(201)["user"].take();
    assert_eq!(user["email"], "asha@lotus.example");
    assert_eq!(app.post(REGISTER, asha()).await.expect(409)["code"], "duplicate-entity");
    app.post(LOGIN, shouting).await.expect(200);
    let customers: i64 =
        sqlx::query_scalar("select count(*) from customer").fetch_one(&app.owner).await.unwrap();
    assert_eq!(customers, 1, "a refused registration leaves a customer");
}

#[sqlx::test(migrations = "../migrations")]
async fn of_many_who_register_one_address_one_does(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let posts = (0..8).map(|_| app.post(REGISTER, asha()));
    let answers = futures::future::join_all(posts).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[201].as_slice(), &[409; 7]].concat());
}

#[sqlx::test(migrations = "../migrations")]
async fn bad_credentials_name_their_field(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (email, password) = ("asha@lotus.example", "eleven green apples");
    for (email, password, at_fault) in [
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
        assert_eq!(app.post(REGISTER, body).await.fields_at_fault(), [at_fault], "{email}");
    }
    for body in [json!({"email": email}), json!({"email": 5, "password": password})] {
        app.post(REGISTER, body.clone()).await.expect(422);
        app.post(LOGIN, body).await.expect(422);
    }
    let long = json!({"email": "x".repeat(201), "password": "x".repeat(129)});
    assert_eq!(app.post(LOGIN, long).await.fields_at_fault(), ["email", "password"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_password_is_kept_as_argon2id_and_nowhere_else(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let answer = app.post_once("once", REGISTER, &asha()).await;
    assert!(!answer.text.contains("apples") && !answer.text.contains("argon2"));
    let kept: String = sqlx::query_scalar("select password_hash from account")
        .fetch_one(&app.owner)
        .await
        .unwrap();
    assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
    // A plain hash of the body would let the password be guessed, millions of times a second.
    let hash: Vec<u8> = sqlx::query_scalar("select request_hash from idempotency_key")
        .fetch_one(&app.owner)
        .await
        .unwrap();
    assert_ne!(hash, Sha256::digest(asha().to_string()).to_vec());
}

#[sqlx::test(migrations = "../migrations")]
async fn registering_again_with_the_same_key_answers_the_first(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let first = app.post_once("once", REGISTER, &asha()).await.expect(201);
    assert_eq!(app.post_once("once", REGISTER, &asha()).await.expect(201), first);
    let other = json!({"email": "asha@lotus.example", "password": "twelve green apples"});
    app.post_once("once", REGISTER, &other).await.expect(422);
}
