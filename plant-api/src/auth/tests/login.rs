//! Tests of the login and of its limit on failed attempts.

use std::num::NonZeroUsize;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::json;
use sqlx::PgPool;

use super::{LOGIN, REGISTER, asha, log_in, problem};
use crate::clock::Clock;
use crate::config::AccessMode;
use crate::passwords::PasswordHasher;
use crate::testing::{TestApp, access_policy};

fn wrong_password() -> serde_json::Value {
    json!({"email": "asha@lotus.example", "password": "eleven green pears"})
}

fn noon() -> chrono::DateTime<Utc> {
    "2026-01-14T12:00:00Z".parse().unwrap()
}

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
async fn after_five_failures_an_email_is_refused_for_the_rest_of_the_minute(pool: PgPool) {
    let clock = Clock::fixed(noon());
    let app = TestApp::with_clock(pool, clock.clone()).await;
    app.post(REGISTER, asha()).await.expect(201);
    let bela = json!({"email": "bela@lotus.example", "password": "eleven green apples"});
    app.post(REGISTER, bela.clone()).await.expect(201);
    for _ in 0..5 {
        app.post(LOGIN, wrong_password()).await.expect(401);
        clock.advance(TimeDelta::seconds(1));
    }
    for body in [wrong_password(), asha()] {
        let refused = app.post(LOGIN, body).await;
        assert_eq!(refused.header("retry-after"), Some("55"));
        assert_eq!(refused.expect(429)["code"], "rate-limited");
    }
    app.post(LOGIN, bela).await.expect(200);
    clock.advance(TimeDelta::seconds(55));
    log_in(&app).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn failures_with_an_unknown_email_are_limited_too(pool: PgPool) {
    let app = TestApp::with_clock(pool, Clock::fixed(noon())).await;
    for status in [401, 401, 401, 401, 401, 429] {
        app.post(LOGIN, wrong_password()).await.expect(status);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_successful_login_resets_the_failures(pool: PgPool) {
    let app = TestApp::with_clock(pool, Clock::fixed(noon())).await;
    app.post(REGISTER, asha()).await.expect(201);
    for _ in 0..2 {
        for _ in 0..4 {
            app.post(LOGIN, wrong_password()).await.expect(401);
        }
        log_in(&app).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn concurrent_guesses_are_limited_like_consecutive_ones(pool: PgPool) {
    let app = TestApp::with_clock(pool, Clock::fixed(noon())).await;
    app.post(REGISTER, asha()).await.expect(201);
    let guesses = (0..12).map(|_| app.post(LOGIN, wrong_password()));
    let responses = futures::future::join_all(guesses).await;
    let mut statuses: Vec<_> = responses.iter().map(|response| response.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[401; 5].as_slice(), &[429; 7]].concat());
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
    let slot = app.state.access_policy.password_hasher.reserve().unwrap();
    for path in [LOGIN, REGISTER] {
        let refused = app.post(path, asha()).await;
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(refused.expect(503)["code"], "unavailable");
    }
    drop(slot);
    log_in(&app).await;
}
