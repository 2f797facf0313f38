//! What becomes of a session.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{ME, asked_by_asha, log_in};
use crate::auth::session::forget_old;
use crate::clock::Clock;
use crate::testing::{Answer, OPERATORS_KEY, TestApp};

const REFRESH: &str = "/api/v1/auth/refresh";
const LOGOUT: &str = "/api/v1/auth/logout";

fn clock() -> Clock {
    Clock::fixed("2026-01-14T12:00:00Z".parse().unwrap())
}

async fn refresh(app: &TestApp, login: &Value) -> Answer {
    app.post(REFRESH, json!({"refresh_token": login["refresh_token"]})).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_session_goes_on_with_the_next_tokens(pool: PgPool) {
    let clock = clock();
    let app = TestApp::at(pool, clock.clone()).await;
    let (asha, first) = asked_by_asha(&app).await;
    clock.advance(TimeDelta::minutes(15));
    asha.get(ME).await.expect(401);
    let second = refresh(&app, &first).await.expect(200);
    assert_eq!(second["session_id"], first["session_id"]);
    assert_eq!(second["user"], first["user"]);
    app.bearing(second["access_token"].as_str().unwrap()).get(ME).await.expect(200);
    refresh(&app, &second).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refresh_token_used_again_ends_the_session(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (asha, first) = asked_by_asha(&app).await;
    let other = log_in(&app).await;
    let second = refresh(&app, &first).await.expect(200);
    assert_eq!(refresh(&app, &first).await.expect(401)["code"], "unauthenticated");
    refresh(&app, &second).await.expect(401);
    asha.get(ME).await.expect(401);
    // Another session of the account is its own.
    refresh(&app, &other).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn of_simultaneous_uses_of_a_refresh_token_one_counts_and_the_session_ends(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, first) = asked_by_asha(&app).await;
    let answers = futures::future::join_all((0..6).map(|_| refresh(&app, &first))).await;
    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(|a| a.status == 200);
    assert_eq!((good.len(), bad.len()), (1, 5));
    let second = good.into_iter().next().unwrap().expect(200);
    refresh(&app, &second).await.expect(401);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_no_refresh_token_of_today_is_refused(pool: PgPool) {
    let clock = clock();
    let app = TestApp::at(pool, clock.clone()).await;
    let (_, login) = asked_by_asha(&app).await;
    for token in [&login["access_token"], &json!("x"), &json!("")] {
        app.post(REFRESH, json!({"refresh_token": token})).await.expect(401);
    }
    app.post(REFRESH, json!({})).await.expect(422);
    clock.advance(TimeDelta::days(30));
    refresh(&app, &login).await.expect(401);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_logout_ends_the_session(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (asha, login) = asked_by_asha(&app).await;
    let logout = || axum::http::Request::post(LOGOUT).body(axum::body::Body::empty()).unwrap();
    app.send(logout()).await.expect(401);
    app.bearing(OPERATORS_KEY).send(logout()).await.expect(403);
    asha.send(logout()).await.expect(204);
    refresh(&app, &login).await.expect(401);
    asha.get(ME).await.expect(401);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_made_inactive_is_refused_the_next_tokens(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, login) = asked_by_asha(&app).await;
    sqlx::query("update account set is_active = false").execute(&app.owner).await.unwrap();
    refresh(&app, &login).await.expect(403);
    sqlx::query("update account set is_active = true").execute(&app.owner).await.unwrap();
    refresh(&app, &login).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn only_an_account_is_somebody(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (asha, login) = asked_by_asha(&app).await;
    app.get(ME).await.expect(401);
    app.bearing(OPERATORS_KEY).get(ME).await.expect(403);
    app.bearing(login["refresh_token"].as_str().unwrap()).get(ME).await.expect(401);
    let tag = asha.get(ME).await.header("etag").unwrap().to_owned();
    sqlx::query("update account set plan = 'pro'").execute(&app.owner).await.unwrap();
    let me = asha.get(ME).await;
    assert_ne!(me.header("etag"), Some(tag.as_str()));
    assert_eq!(me.expect(200)["plan"], "pro");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_no_longer_matters_is_forgotten(pool: PgPool) {
    let clock = clock();
    let app = TestApp::at(pool, clock.clone()).await;
    asked_by_asha(&app).await;
    clock.advance(TimeDelta::days(15));
    let younger = log_in(&app).await;
    let wrong = json!({"email": "asha@lotus.example", "password": "eleven green pears"});
    app.post(super::LOGIN, wrong).await.expect(401);
    clock.advance(TimeDelta::days(15));
    forget_old(&app.state.db, &clock).await.unwrap();
    let left: Vec<String> =
        sqlx::query_scalar("select id::text from session union select email from login_failure")
            .fetch_all(&app.owner)
            .await
            .unwrap();
    assert_eq!(json!(left), json!([younger["session_id"]]));
}
