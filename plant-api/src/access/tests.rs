use axum::http::Request;
use serde_json::json;
use sqlx::PgPool;

use super::{Account, Caller};
use crate::clock::Clock;
use crate::error::Error;
use crate::testing::{OPERATORS_KEY, TestApp};
use crate::token::Role;
use axum::extract::FromRequestParts;

/// Who asks, as a handler of `app` is told.
async fn who<T: FromRequestParts<crate::state::State, Rejection = Error>>(
    app: &TestApp,
    authorization: Option<&str>,
) -> Result<T, Error> {
    let mut request = Request::get("/");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    T::from_request_parts(&mut parts, &app.state).await
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_token_it_is_anybody_or_nobody(pool: PgPool) {
    let open = TestApp::new(pool.clone()).await;
    assert_eq!(who::<Caller>(&open, None).await.unwrap(), Caller::Anybody);
    let closed = TestApp::required(pool, Clock::System).await;
    for app in [open, closed.clone()] {
        let refused = who::<Account>(&app, None).await.unwrap_err();
        assert_eq!(refused.code(), "unauthenticated");
    }
    assert_eq!(who::<Caller>(&closed, None).await.unwrap_err().code(), "unauthenticated");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_bad_token_is_nobodys_even_where_access_is_open(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for value in ["Bearer x", "Bearer ", "Bearer", "Basic bG90dXM6eA==", ""] {
        let refused = who::<Caller>(&app, Some(value)).await.unwrap_err();
        assert_eq!(refused.code(), "unauthenticated", "{value}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_is_known_by_its_token(pool: PgPool) {
    let app = TestApp::required(pool, Clock::System).await;
    for (role, owner) in [(Role::User, Some("lotus")), (Role::Admin, None)] {
        let holder = app.an_account("lotus", role).await;
        let now = app.state.clock.now();
        let token = app.state.gate.tokens.issue_access(&holder, now).unwrap();
        let account = Account::from(holder);
        let value = format!("bearer {token}");
        assert_eq!(who::<Account>(&app, Some(&value)).await.unwrap(), account);
        let caller: Caller = who(&app, Some(&value)).await.unwrap();
        assert_eq!(caller.customer(), owner);
        assert_eq!(caller.actor(), account.id.to_string());
        assert_eq!(caller.must_administer().is_ok(), owner.is_none());
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_operators_key_opens_everything_but_is_no_account(pool: PgPool) {
    let app = TestApp::required(pool, Clock::System).await;
    let value = format!("Bearer {OPERATORS_KEY}");
    let caller: Caller = who(&app, Some(&value)).await.unwrap();
    assert_eq!((caller.customer(), caller.actor()), (None, "operator"));
    assert_eq!(who::<Account>(&app, Some(&value)).await.unwrap_err().code(), "forbidden");
    let almost = format!("Bearer {OPERATORS_KEY}.");
    assert_eq!(who::<Caller>(&app, Some(&almost)).await.unwrap_err().code(), "unauthenticated");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_amendment_names_the_account(pool: PgPool) {
    let app = TestApp::required(pool, Clock::System).await;
    let mine = app.asked_by("lotus", Role::User).await;
    let id = mine.create("/api/v1/industries", json!({"name": "Marketing"})).await;
    let actor: String = sqlx::query_scalar(
        "select convert_from(content, 'utf8')::json ->> 'actor' from amendment
        where entity_id = $1::uuid",
    )
    .bind(&id)
    .fetch_one(&app.owner)
    .await
    .unwrap();
    let account: String =
        sqlx::query_scalar("select id::text from account").fetch_one(&app.owner).await.unwrap();
    assert_eq!(actor, account);
    let refused = app.post("/api/v1/industries", json!({"name": "Sales"})).await;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert_eq!(refused.expect(401)["code"], "unauthenticated");
}
