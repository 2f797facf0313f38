//! `/api/v1/auth`.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::session::{self, Login, Refresh};
use super::{Credentials, Me, NewAccount, User, login};
use crate::access::{Account, Caller};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Problem, Result};
use crate::etag::Conditions;
use crate::extract::Json;
use crate::idempotency::{self, Answer, Begun, Posted};
use crate::state::{Gate, State};

/// The accounts' routes.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(log_in))
        .routes(routes!(refresh))
        .routes(routes!(log_out))
        .routes(routes!(me))
}

/// A new account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Registered {
    /// The account.
    user: User,
}

#[utoipa::path(
    post,
    path = "/api/v1/auth/register",
    tag = "auth",
    summary = "Make an account, and the customer that it belongs to",
    request_body = Credentials,
    responses(
        (status = 201, description = "Registered; log in next", body = Registered),
        (status = 409, description = "The address has an account", body = Problem)
    )
)]
async fn register(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    Extract(gate): Extract<Gate>,
    posted: Posted<Credentials>,
) -> Result<Answer> {
    let mut new = NewAccount::check(posted.body)?;
    let password = std::mem::take(&mut new.password);
    let hash = gate.passwords.place()?.hash(password).await?;
    let key = posted.key.map(|key| key.sealed(|hash| gate.tokens.fingerprint(hash)));
    let mut work = match idempotency::begin(&db, &clock, &Caller::Anybody, key).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(work) => work,
    };
    let user = super::register(work.connection(), &clock, new, &hash).await?;
    let version = user.created_at.timestamp_micros();
    let answer = Answer::created("/api/v1/auth/me".into(), version, &Registered { user })?;
    work.commit(answer).await
}

#[utoipa::path(
    post,
    path = "/api/v1/auth/login",
    tag = "auth",
    summary = "Begin a session",
    request_body = Credentials,
    responses(
        (status = 200, description = "The session and its tokens", body = Login),
        (status = 401, description = "The address or the password is wrong", body = Problem),
        (status = 403, description = "The account may not log in", body = Problem),
        (status = 429, description = "Five logins with this address failed within a minute; see \
            Retry-After", body = Problem)
    )
)]
async fn log_in(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    Extract(gate): Extract<Gate>,
    Json(sent): Json<Credentials>,
) -> Result<Json<Login>> {
    login::login(&db, &clock, &gate, sent).await.map(Json)
}

#[utoipa::path(
    post,
    path = "/api/v1/auth/refresh",
    tag = "auth",
    summary = "Exchange a refresh token for the session's next two tokens",
    description = "A refresh token is good once. When it comes again the session ends.",
    request_body = Refresh,
    responses(
        (status = 200, description = "The session and its new tokens", body = Login),
        (status = 401, description = "The token is none, has expired or was used before",
            body = Problem),
        (status = 403, description = "The account may no longer log in", body = Problem)
    )
)]
async fn refresh(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    Extract(gate): Extract<Gate>,
    Json(sent): Json<Refresh>,
) -> Result<Json<Login>> {
    session::refresh(&db, &clock, &gate, &sent).await.map(Json)
}

#[utoipa::path(
    post,
    path = "/api/v1/auth/logout",
    tag = "auth",
    security(("bearer" = [])),
    summary = "End the session",
    responses(
        (status = 204, description = "It has ended"),
        (status = 403, description = "The operator's key has no session", body = Problem)
    )
)]
async fn log_out(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    account: Account,
) -> Result<StatusCode> {
    session::logout(&db, &clock, &account).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    get,
    path = "/api/v1/auth/me",
    tag = "auth",
    security(("bearer" = [])),
    summary = "The account that asks",
    responses(
        (status = 200, description = "The account", body = Me),
        (status = 403, description = "The operator's key is no account", body = Problem)
    )
)]
async fn me(
    Extract(db): Extract<Db>,
    account: Account,
    conditions: Conditions,
) -> Result<Response> {
    conditions.answer_by_content(&session::me(&db, &account).await?)
}
