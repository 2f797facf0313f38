//! Tests of the limits on failed logins.

use std::time::Duration;

use axum::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{LOGIN, REGISTER, asha, log_in, problem, wrong_password};
use crate::clock::Clock;
use crate::limit::ClientIp;
use crate::testing::{TestApp, TestResponse, json_request};

/// Client addresses.
const HOME: &str = "192.0.2.1";
const OFFICE: &str = "198.51.100.7";
const ATTACKER: &str = "203.0.113.99";

fn noon() -> DateTime<Utc> {
    "2026-01-14T12:00:00Z".parse().unwrap()
}

/// Returns the service at noon, with accounts of Asha and Bela.
async fn app_at_noon(pool: PgPool) -> (TestApp, Clock) {
    let clock = Clock::fixed(noon());
    let app = TestApp::with_clock(pool, clock.clone()).await;
    app.post(REGISTER, asha()).await.expect(201);
    app.post(REGISTER, bela()).await.expect(201);
    (app, clock)
}

fn bela() -> Value {
    json!({"email": "bela@lotus.example", "password": "eleven green apples"})
}

/// Sends a login from this client address.
async fn log_in_from(app: &TestApp, client: &str, body: Value) -> TestResponse {
    let mut request = json_request(Method::POST, LOGIN, &body);
    request.extensions_mut().insert(ClientIp(client.parse().unwrap()));
    app.send(request).await
}

/// Sets the number of failed logins since `since`; empty for all emails or all clients.
async fn set_failures(
    app: &TestApp,
    email: &str,
    client: &str,
    failures: i32,
    since: DateTime<Utc>,
) {
    sqlx::query(
        "insert into login_failure (email, client, failures, since) values ($1, $2, $3, $4)
        on conflict (email, client) do update set failures = $3, since = $4",
    )
    .bind(email)
    .bind(client)
    .bind(failures)
    .bind(since)
    .execute(&app.owner)
    .await
    .unwrap();
}

async fn delete_failures(app: &TestApp) {
    sqlx::query("delete from login_failure").execute(&app.owner).await.unwrap();
}

/// Sends a login. `meanwhile` runs after its first check of the limits and before its second.
async fn log_in_with(
    app: &TestApp,
    body: Value,
    meanwhile: impl Future<Output = ()>,
) -> TestResponse {
    let db = &app.state.db;
    let mut connections = Vec::new();
    for _ in 0..5 {
        connections.push(db.acquire().await.unwrap());
    }
    // The pool is fair: the login gets the first free connection, and the test gets it after the
    // login has made its first check, so the login has none for its second.
    let mut login = Box::pin(app.post(LOGIN, body));
    assert!(futures::poll!(&mut login).is_pending());
    let mut connection = Box::pin(db.acquire());
    assert!(futures::poll!(&mut connection).is_pending());
    connections.pop();
    tokio::select! {
        biased;
        _ = &mut login => panic!("the login has not waited for a connection"),
        connection = connection => connections.push(connection.unwrap()),
    }
    meanwhile.await;
    drop(connections);
    login.await
}

#[sqlx::test(migrations = "../migrations")]
async fn after_five_failures_an_email_is_refused_for_the_rest_of_the_minute(pool: PgPool) {
    let (app, clock) = app_at_noon(pool).await;
    for _ in 0..5 {
        app.post(LOGIN, wrong_password()).await.expect(401);
        clock.advance(TimeDelta::seconds(1));
    }
    for body in [wrong_password(), asha()] {
        let refused = app.post(LOGIN, body).await;
        assert_eq!(refused.header("retry-after"), Some("55"));
        assert_eq!(refused.expect(429)["code"], "rate-limited");
    }
    app.post(LOGIN, bela()).await.expect(200);
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
    let (app, _) = app_at_noon(pool).await;
    for _ in 0..2 {
        for _ in 0..4 {
            app.post(LOGIN, wrong_password()).await.expect(401);
        }
        log_in(&app).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn concurrent_guesses_are_limited_like_consecutive_ones(pool: PgPool) {
    let (app, _) = app_at_noon(pool).await;
    let guesses = (0..12).map(|_| app.post(LOGIN, wrong_password()));
    let responses = futures::future::join_all(guesses).await;
    let mut statuses: Vec<_> = responses.iter().map(|response| response.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[401; 5].as_slice(), &[429; 7]].concat());
}

#[sqlx::test(migrations = "../migrations")]
async fn each_minute_allows_five_failures(pool: PgPool) {
    let (app, clock) = app_at_noon(pool).await;
    for _ in 0..2 {
        for status in [401, 401, 401, 401, 401, 429] {
            log_in_from(&app, HOME, wrong_password()).await.expect(status);
        }
        clock.advance(TimeDelta::minutes(1));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn failures_at_one_address_do_not_lock_the_owner_out_at_another(pool: PgPool) {
    let (app, _) = app_at_noon(pool).await;
    log_in_from(&app, HOME, asha()).await.expect(200);
    for status in [401, 401, 401, 401, 401, 429] {
        log_in_from(&app, ATTACKER, wrong_password()).await.expect(status);
    }
    log_in_from(&app, HOME, wrong_password()).await.expect(401);
    log_in_from(&app, HOME, asha()).await.expect(200);
    log_in_from(&app, OFFICE, asha()).await.expect(200);
    // A success elsewhere does not give the attacker more attempts.
    log_in_from(&app, ATTACKER, asha()).await.expect(429);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_ipv6_network_is_one_client(pool: PgPool) {
    let (app, _) = app_at_noon(pool).await;
    for host in 1..=5 {
        log_in_from(&app, &format!("2001:db8::{host}"), wrong_password()).await.expect(401);
    }
    log_in_from(&app, "2001:db8::6", asha()).await.expect(429);
    log_in_from(&app, "2001:db8:0:1::6", asha()).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn fifty_failures_with_an_email_block_only_clients_that_it_never_logged_in_from(
    pool: PgPool,
) {
    let (app, clock) = app_at_noon(pool).await;
    log_in_from(&app, HOME, asha()).await.expect(200);
    log_in_from(&app, OFFICE, bela()).await.expect(200);
    set_failures(&app, "asha@lotus.example", "", 49, noon()).await;
    clock.advance(TimeDelta::seconds(10));
    log_in_from(&app, ATTACKER, wrong_password()).await.expect(401);
    for body in [wrong_password(), asha()] {
        let refused = log_in_from(&app, OFFICE, body).await;
        assert_eq!(refused.header("retry-after"), Some("50"));
        assert_eq!(refused.expect(429)["code"], "rate-limited");
    }
    log_in_from(&app, HOME, asha()).await.expect(200);
    log_in_from(&app, ATTACKER, bela()).await.expect(200);
    clock.advance(TimeDelta::seconds(50));
    log_in_from(&app, OFFICE, asha()).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn fifty_failures_with_an_unknown_email_block_it_too(pool: PgPool) {
    let app = TestApp::with_clock(pool, Clock::fixed(noon())).await;
    set_failures(&app, "asha@lotus.example", "", 49, noon()).await;
    log_in_from(&app, ATTACKER, wrong_password()).await.expect(401);
    log_in_from(&app, OFFICE, wrong_password()).await.expect(429);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_hundred_failures_of_a_client_block_accounts_that_never_logged_in_from_it(pool: PgPool) {
    let (app, _) = app_at_noon(pool).await;
    log_in_from(&app, OFFICE, asha()).await.expect(200);
    set_failures(&app, "", OFFICE, 99, noon()).await;
    let nobody = json!({"email": "nobody@lotus.example", "password": "eleven green apples"});
    log_in_from(&app, OFFICE, nobody).await.expect(401);
    log_in_from(&app, OFFICE, bela()).await.expect(429);
    log_in_from(&app, OFFICE, asha()).await.expect(200);
    log_in_from(&app, HOME, bela()).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_limit_reached_during_the_hashing_refuses_right_and_wrong_passwords_alike(pool: PgPool) {
    let (app, _) = app_at_noon(pool).await;
    let since = noon() - TimeDelta::seconds(30);
    let email = "asha@lotus.example";
    let client = "0.0.0.0";
    for (email, client, limit) in [(email, client, 5), (email, "", 50), ("", client, 100)] {
        let mut refusals = Vec::new();
        for body in [asha(), wrong_password()] {
            let reached = set_failures(&app, email, client, limit, since);
            let refused = log_in_with(&app, body, reached).await;
            assert_eq!(refused.header("retry-after"), Some("30"));
            refusals.push(problem(refused, 429));
            delete_failures(&app).await;
        }
        assert_eq!(refusals[0], refusals[1]);
        let below = set_failures(&app, email, client, limit - 1, since);
        log_in_with(&app, asha(), below).await.expect(200);
        delete_failures(&app).await;
        // Each client is unknown again.
        let deleted = sqlx::query("delete from session").execute(&app.owner).await.unwrap();
        assert_eq!(deleted.rows_affected(), 1);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_over_the_limit_is_refused_before_the_hashing(pool: PgPool) {
    let (app, _) = app_at_noon(pool).await;
    set_failures(&app, "asha@lotus.example", "0.0.0.0", 5, noon()).await;
    let mut connections = Vec::new();
    for _ in 0..5 {
        connections.push(app.state.db.acquire().await.unwrap());
    }
    // The login gets a connection for its first check and none for a second one.
    let mut login = Box::pin(app.post(LOGIN, asha()));
    assert!(futures::poll!(&mut login).is_pending());
    let mut connection = Box::pin(app.state.db.acquire());
    assert!(futures::poll!(&mut connection).is_pending());
    connections.pop();
    let login = tokio::time::timeout(Duration::from_secs(30), login);
    let (refused, _connection) = tokio::join!(login, connection);
    refused.expect("the login waits for a second connection").expect(429);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_limit_reached_during_the_hashing_hides_that_an_account_is_inactive(pool: PgPool) {
    let (app, _) = app_at_noon(pool).await;
    sqlx::query("update account set is_active = false").execute(&app.owner).await.unwrap();
    let reached = set_failures(&app, "asha@lotus.example", "0.0.0.0", 5, noon());
    log_in_with(&app, asha(), reached).await.expect(429);
    delete_failures(&app).await;
    log_in_with(&app, asha(), async {}).await.expect(403);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_without_an_email_is_invalid(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({"email": " ", "password": "eleven green apples"});
    assert_eq!(app.post(LOGIN, body).await.invalid_fields(), ["email"]);
}
