//! Tests of the login. Those of its limits on failed attempts are in `limits`.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;

use super::{LOGIN, REGISTER, asha, log_in, problem, wrong_password};
use crate::clock::Clock;
use crate::config::AccessMode;
use crate::passwords::{PasswordHasher, argon2id};
use crate::testing::{TestApp, access_policy};

#[sqlx::test(migrations = "../migrations")]
async fn unknown_email_and_wrong_password_get_the_same_response(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post(REGISTER, asha()).await.expect(201);
    let unknown = json!({"email": "nobody@lotus.example", "password": "eleven green apples"});
    let (wrong, unknown) =
        (app.post(LOGIN, wrong_password()).await, app.post(LOGIN, unknown).await);
    let header_names = |response: &crate::testing::TestResponse| {
        response.headers.keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(header_names(&wrong), header_names(&unknown));
    let expected = problem(wrong, 401);
    assert_eq!(expected["code"], "unauthenticated");
    assert_eq!(problem(unknown, 401), expected);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_replaces_a_hash_with_old_parameters(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post(REGISTER, asha()).await.expect(201);
    let old = argon2id::hash_with_old_params("eleven green apples");
    let set = sqlx::query("update account set password_hash = $1").bind(&old);
    set.execute(&app.owner).await.unwrap();
    let stored = || sqlx::query_scalar::<_, String>("select password_hash from account");
    app.post(LOGIN, wrong_password()).await.expect(401);
    assert_eq!(stored().fetch_one(&app.owner).await.unwrap(), old);
    app.post(LOGIN, asha()).await.expect(200);
    let new = stored().fetch_one(&app.owner).await.unwrap();
    assert!(new.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{new}");
    app.post(LOGIN, asha()).await.expect(200);
    assert_eq!(stored().fetch_one(&app.owner).await.unwrap(), new, "replaced once");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_inactive_account_is_reported_only_with_the_right_password(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post(REGISTER, asha()).await.expect(201);
    sqlx::query("update account set is_active = false").execute(&app.owner).await.unwrap();
    app.post(LOGIN, wrong_password()).await.expect(401);
    assert_eq!(app.post(LOGIN, asha()).await.expect(403)["code"], "forbidden");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unverified_account_is_refused_where_verification_is_required(pool: PgPool) {
    let policy = crate::state::AccessPolicy {
        require_verification: true,
        ..access_policy(AccessMode::Open)
    };
    let app = TestApp::with_access_policy(pool, Clock::System, policy).await;
    app.post(REGISTER, asha()).await.expect(201);
    app.post(LOGIN, asha()).await.expect(403);
    sqlx::query("update account set is_verified = true").execute(&app.owner).await.unwrap();
    log_in(&app).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_full_hashing_queue_returns_503_with_retry_after(pool: PgPool) {
    let password_hasher =
        PasswordHasher::start(NonZeroUsize::new(1), Duration::from_millis(1)).unwrap();
    let policy = crate::state::AccessPolicy { password_hasher, ..access_policy(AccessMode::Open) };
    let app = TestApp::with_access_policy(pool, Clock::System, policy).await;
    app.post(REGISTER, asha()).await.expect(201);
    let slot = app
        .state
        .access_policy
        .password_hasher
        .reserve(std::net::Ipv4Addr::LOCALHOST.into())
        .unwrap();
    for path in [LOGIN, REGISTER] {
        let refused = app.post(path, asha()).await;
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(refused.expect(503)["code"], "unavailable");
    }
    drop(slot);
    log_in(&app).await;
}
