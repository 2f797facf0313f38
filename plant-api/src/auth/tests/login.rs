//! Logging in, and being kept from guessing.

use std::num::NonZeroUsize;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::json;
use sqlx::PgPool;

use super::{LOGIN, REGISTER, asha, log_in, told};
use crate::clock::Clock;
use crate::config::Access;
use crate::passwords::Passwords;
use crate::testing::{TestApp, gate};

fn wrong() -> serde_json::Value {
    json!({"email": "asha@lotus.example", "password": "eleven green pears"})
}

fn noon() -> chrono::DateTime<Utc> {
    "2026-01-14T12:00:00Z".parse().unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_address_is_told_the_same_as_a_wrong_password(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post(REGISTER, asha()).await.expect(201);
    let unknown = json!({"email": "nobody@lotus.example", "password": "eleven green apples"});
    let (wrong, unknown) = (app.post(LOGIN, wrong()).await, app.post(LOGIN, unknown).await);
    let names = |answer: &crate::testing::Answer| {
        answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names(&wrong), names(&unknown));
    let problem = told(wrong, 401);
    assert_eq!(problem["code"], "unauthenticated");
    assert_eq!(told(unknown, 401), problem);
}

#[sqlx::test(migrations = "../migrations")]
async fn five_failures_close_an_address_for_the_rest_of_the_minute(pool: PgPool) {
    let clock = Clock::fixed(noon());
    let app = TestApp::at(pool, clock.clone()).await;
    app.post(REGISTER, asha()).await.expect(201);
    let bela = json!({"email": "bela@lotus.example", "password": "eleven green apples"});
    app.post(REGISTER, bela.clone()).await.expect(201);
    for _ in 0..5 {
        app.post(LOGIN, wrong()).await.expect(401);
        clock.advance(TimeDelta::seconds(1));
    }
    for body in [wrong(), asha()] {
        let closed = app.post(LOGIN, body).await;
        assert_eq!(closed.header("retry-after"), Some("55"));
        assert_eq!(closed.expect(429)["code"], "rate-limited");
    }
    app.post(LOGIN, bela).await.expect(200);
    clock.advance(TimeDelta::seconds(55));
    log_in(&app).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_address_is_closed_alike(pool: PgPool) {
    let app = TestApp::at(pool, Clock::fixed(noon())).await;
    for status in [401, 401, 401, 401, 401, 429] {
        app.post(LOGIN, wrong()).await.expect(status);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_success_forgets_the_failures_before_it(pool: PgPool) {
    let app = TestApp::at(pool, Clock::fixed(noon())).await;
    app.post(REGISTER, asha()).await.expect(201);
    for _ in 0..2 {
        for _ in 0..4 {
            app.post(LOGIN, wrong()).await.expect(401);
        }
        log_in(&app).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn guesses_at_once_are_told_no_more_than_guesses_in_turn(pool: PgPool) {
    let app = TestApp::at(pool, Clock::fixed(noon())).await;
    app.post(REGISTER, asha()).await.expect(201);
    let guesses = (0..12).map(|_| app.post(LOGIN, wrong()));
    let answers = futures::future::join_all(guesses).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[401; 5].as_slice(), &[429; 7]].concat());
}

#[sqlx::test(migrations = "../migrations")]
async fn an_inactive_account_learns_so_only_with_its_password(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post(REGISTER, asha()).await.expect(201);
    sqlx::query("update account set is_active = false").execute(&app.owner).await.unwrap();
    app.post(LOGIN, wrong()).await.expect(401);
    assert_eq!(app.post(LOGIN, asha()).await.expect(403)["code"], "forbidden");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unverified_account_waits_where_verification_is_required(pool: PgPool) {
    let strict = crate::state::Gate { verification: true, ..gate(Access::Open) };
    let app = TestApp::gated(pool, Clock::System, strict).await;
    app.post(REGISTER, asha()).await.expect(201);
    app.post(LOGIN, asha()).await.expect(403);
    sqlx::query("update account set is_verified = true").execute(&app.owner).await.unwrap();
    log_in(&app).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn who_would_wait_too_long_is_told_when_to_come_back(pool: PgPool) {
    let passwords = Passwords::start(NonZeroUsize::new(1), Duration::from_millis(1)).unwrap();
    let busy = crate::state::Gate { passwords, ..gate(Access::Open) };
    let app = TestApp::gated(pool, Clock::System, busy).await;
    app.post(REGISTER, asha()).await.expect(201);
    let place = app.state.gate.passwords.place().unwrap();
    for path in [LOGIN, REGISTER] {
        let told = app.post(path, asha()).await;
        assert_eq!(told.header("retry-after"), Some("1"));
        assert_eq!(told.expect(503)["code"], "unavailable");
    }
    drop(place);
    log_in(&app).await;
}
