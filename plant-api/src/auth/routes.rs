//! Routes of `/api/v1/auth`.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::session::{self, RefreshRequest, TokenResponse};
use super::{AccountDetails, AccountView, Credentials, NewAccount, login};
use crate::access::{AuthenticatedAccount, Caller};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Problem, Result};
use crate::etag::Preconditions;
use crate::extract::{Json, NoBody};
use crate::limit::ClientIp;
use crate::state::{AccessPolicy, AppState};
use crate::write::{Rejection, StoredResponse, Write, WriteRequest, WriteTransaction};

/// Returns the routes of accounts and sessions.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(log_in))
        .routes(routes!(refresh))
        .routes(routes!(log_out))
        .routes(routes!(me))
}

/// Response to a registration.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RegistrationResponse {
    /// The new account.
    user: AccountView,
}

#[utoipa::path(
    post,
    path = "/api/v1/auth/register",
    tag = "auth",
    summary = "Register an account",
    description = "Creates an account and its customer.",
    request_body(
        content = Credentials,
        example = json!({"email": "asha@lotus.example", "password": "eleven green apples"})
    ),
    responses(
        (status = 201, description = "Registered; log in to get tokens",
            body = RegistrationResponse),
        (status = 409, description = "An account with this email exists", body = Problem)
    )
)]
async fn register(
    State(state): State<AppState>,
    State(policy): State<AccessPolicy>,
    client: ClientIp,
    request: WriteRequest<Json<Credentials>>,
) -> Result<StoredResponse, Rejection> {
    let WriteRequest { body: Json(credentials), key } = request;
    let mut new = NewAccount::check(credentials)?;
    let password = std::mem::take(&mut new.password);
    let hash = policy.password_hasher.reserve(client.key())?.hash(password).await?;
    let key = key.map(|key| key.map_request_hash(|hash| policy.tokens.hmac(hash)));
    let mut tx = WriteTransaction::begin(&state, Caller::Anonymous.actor(), key).await?;
    let account = super::register(&mut tx, &state.clock, new, &hash).await?;
    let version = account.created_at.timestamp_micros();
    let registered = RegistrationResponse { user: account };
    let location = "/api/v1/auth/me".to_owned();
    Ok(tx.finish(StoredResponse::created(location, version, &registered)?).await?)
}

#[utoipa::path(
    post,
    path = "/api/v1/auth/login",
    tag = "auth",
    summary = "Log in",
    description = "Starts a session and returns an access token and a refresh token.\n\n\
        Five failed logins with an email from a client address within a minute block further ones \
        for the rest of that minute; a successful login before that resets the count. From an \
        address without an earlier login of the account, 50 failed logins with the email or 100 \
        from the address do the same. An IPv6 address is counted as its /64 network.",
    request_body = Credentials,
    responses(
        (status = 200, description = "The session's tokens", body = TokenResponse),
        (status = 401, description = "The email or the password is wrong", body = Problem),
        (status = 403, description = "The account is inactive, or its email is not verified",
            body = Problem),
        (status = 429, description = "Too many logins failed within a minute; see Retry-After",
            body = Problem)
    )
)]
async fn log_in(
    State(state): State<AppState>,
    client: ClientIp,
    Json(credentials): Json<Credentials>,
) -> Result<StoredResponse> {
    login::login(&state, client, credentials).await
}

#[utoipa::path(
    post,
    path = "/api/v1/auth/refresh",
    tag = "auth",
    summary = "Exchange a refresh token for new tokens",
    description = "A refresh token is valid once. Its reuse ends the session. The example is no token: replace it \
        with the `refresh_token` that `POST /api/v1/auth/login` has returned.",
    request_body = RefreshRequest,
    responses(
        (status = 200, description = "The session's new tokens", body = TokenResponse),
        (status = 401, description = "The refresh token is invalid, has expired or was used before",
            body = Problem),
        (status = 403, description = "The account is inactive, or its email is not verified",
            body = Problem)
    )
)]
async fn refresh(
    State(state): State<AppState>,
    Json(request): Json<RefreshRequest>,
) -> Result<StoredResponse> {
    session::refresh(&state, &request).await
}

#[utoipa::path(
    post,
    path = "/api/v1/auth/logout",
    tag = "auth",
    security(("bearer" = [])),
    summary = "Log out",
    description = "Ends the session of the access token.",
    responses(
        (status = 204, description = "The session has ended"),
        (status = 403, description = "The admin key has no session", body = Problem)
    )
)]
async fn log_out(
    State(clock): State<Clock>,
    Write { caller, body: NoBody, mut tx }: Write<NoBody, AuthenticatedAccount>,
) -> Result<StoredResponse> {
    session::logout(&mut tx, &clock, &caller).await?;
    tx.finish(StoredResponse::no_content()).await
}

#[utoipa::path(
    get,
    path = "/api/v1/auth/me",
    tag = "auth",
    security(("bearer" = [])),
    summary = "Get the account of the access token",
    responses(
        (status = 200, description = "The account", body = AccountDetails),
        (status = 403, description = "The admin key has no account", body = Problem)
    )
)]
async fn me(
    State(db): State<Db>,
    account: AuthenticatedAccount,
    conditions: Preconditions,
) -> Result<Response> {
    conditions.respond_with_content_etag(&session::me(&db, &account).await?)
}
