//! Tests of refresh, logout and expiry of sessions.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{ME, log_in, register_asha};
use crate::auth::session::delete_expired;
use crate::clock::Clock;
use crate::testing::{ADMIN_KEY, TestApp, TestResponse};

const REFRESH: &str = "/api/v1/auth/refresh";
const LOGOUT: &str = "/api/v1/auth/logout";

fn clock() -> Clock {
    Clock::fixed("2026-01-14T12:00:00Z".parse().unwrap())
}

async fn refresh(app: &TestApp, login: &Value) -> TestResponse {
    app.post(REFRESH, json!({"refresh_token": login["refresh_token"]})).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refresh_returns_new_tokens_of_the_same_session(pool: PgPool) {
    let clock = clock();
    let app = TestApp::with_clock(pool, clock.clone()).await;
    let (asha, first) = register_asha(&app).await;
    clock.advance(TimeDelta::minutes(15));
    asha.get(ME).await.expect(401);
    let second = refresh(&app, &first).await.expect(200);
    assert_eq!(second["session_id"], first["session_id"]);
    assert_eq!(second["user"], first["user"]);
    app.with_token(second["access_token"].as_str().unwrap()).get(ME).await.expect(200);
    refresh(&app, &second).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn reuse_of_a_refresh_token_revokes_the_session(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (asha, first) = register_asha(&app).await;
    let other = log_in(&app).await;
    let second = refresh(&app, &first).await.expect(200);
    assert_eq!(refresh(&app, &first).await.expect(401)["code"], "unauthenticated");
    refresh(&app, &second).await.expect(401);
    asha.get(ME).await.expect(401);
    // The other session of the account is not affected.
    refresh(&app, &other).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn of_concurrent_uses_of_a_refresh_token_one_succeeds_and_the_session_ends(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, first) = register_asha(&app).await;
    let responses = futures::future::join_all((0..6).map(|_| refresh(&app, &first))).await;
    let (succeeded, refused): (Vec<_>, Vec<_>) =
        responses.into_iter().partition(|r| r.status == 200);
    assert_eq!((succeeded.len(), refused.len()), (1, 5));
    let second = succeeded.into_iter().next().unwrap().expect(200);
    refresh(&app, &second).await.expect(401);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_invalid_or_expired_refresh_token_is_refused(pool: PgPool) {
    let clock = clock();
    let app = TestApp::with_clock(pool, clock.clone()).await;
    let (_, login) = register_asha(&app).await;
    for token in [&login["access_token"], &json!("x"), &json!("")] {
        app.post(REFRESH, json!({"refresh_token": token})).await.expect(401);
    }
    app.post(REFRESH, json!({})).await.expect(422);
    clock.advance(TimeDelta::days(30));
    refresh(&app, &login).await.expect(401);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_session_that_was_shortened_in_the_database_has_expired(pool: PgPool) {
    let clock = clock();
    let app = TestApp::with_clock(pool, clock.clone()).await;
    let (_, login) = register_asha(&app).await;
    let shorten = sqlx::query("update session set expires_at = $1").bind(clock.now());
    shorten.execute(&app.owner).await.unwrap();
    refresh(&app, &login).await.expect(401);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_logout_ends_the_session(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (asha, login) = register_asha(&app).await;
    let logout = || axum::http::Request::post(LOGOUT).body(axum::body::Body::empty()).unwrap();
    app.send(logout()).await.expect(401);
    app.with_token(ADMIN_KEY).send(logout()).await.expect(403);
    asha.send(logout()).await.expect(204);
    refresh(&app, &login).await.expect(401);
    asha.get(ME).await.expect(401);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_inactive_account_gets_no_new_tokens(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, login) = register_asha(&app).await;
    sqlx::query("update account set is_active = false").execute(&app.owner).await.unwrap();
    refresh(&app, &login).await.expect(403);
    sqlx::query("update account set is_active = true").execute(&app.owner).await.unwrap();
    refresh(&app, &login).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_account_endpoint_requires_an_access_token(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (asha, login) = register_asha(&app).await;
    app.get(ME).await.expect(401);
    app.with_token(ADMIN_KEY).get(ME).await.expect(403);
    app.with_token(login["refresh_token"].as_str().unwrap()).get(ME).await.expect(401);
    let etag = asha.get(ME).await.header("etag").unwrap().to_owned();
    sqlx::query("update account set plan = 'pro'").execute(&app.owner).await.unwrap();
    let me = asha.get(ME).await;
    assert_ne!(me.header("etag"), Some(etag.as_str()));
    assert_eq!(me.expect(200)["plan"], "pro");
}

#[sqlx::test(migrations = "../migrations")]
async fn expired_sessions_and_old_failures_are_deleted(pool: PgPool) {
    let clock = clock();
    let app = TestApp::with_clock(pool, clock.clone()).await;
    register_asha(&app).await;
    clock.advance(TimeDelta::days(15));
    let recent = log_in(&app).await;
    let wrong = json!({"email": "asha@lotus.example", "password": "eleven green pears"});
    app.post(super::LOGIN, wrong).await.expect(401);
    clock.advance(TimeDelta::days(15));
    delete_expired(&app.state.db, &clock).await.unwrap();
    let remaining: Vec<String> =
        sqlx::query_scalar("select id::text from session union select email from login_failure")
            .fetch_all(&app.owner)
            .await
            .unwrap();
    assert_eq!(json!(remaining), json!([recent["session_id"]]));
}
