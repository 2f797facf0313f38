//! Serves the page and its data, and receives its commands.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next as NextLayer, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use super::{Next, Phase, Shared};
use crate::service::is_loopback_name;

const PAGE: &str = include_str!("page.html");

/// The page and its report have no sources but themselves; other sites cannot frame them.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
    script-src 'unsafe-inline'; img-src data:; connect-src 'self'; frame-ancestors 'none'";

/// Sent by the page with each command: a form of another site cannot set it.
const COMMAND_HEADER: &str = "x-dashboard";

/// A response to a command: what went wrong.
type Refused = (StatusCode, String);

/// Serves until the task ends.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Ends only with the task.
    let _ = axum::serve(listener, router(shared)).await;
}

fn router(shared: Arc<Shared>) -> Router {
    let page = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE);
    Router::new()
        .route("/", get(async move || page))
        .route("/data", get(data))
        .route("/report", get(report))
        .route("/stop", post(stop))
        .route("/users", post(change_users))
        .route("/start", post(start))
        .route("/quit", post(quit))
        .layer(from_fn_with_state(Arc::clone(&shared), authorize))
        .with_state(shared)
}

/// Refuses requests without the token, commands of other sites, and without a token those that were sent
/// to another name than that of this machine (DNS rebinding).
async fn authorize(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: NextLayer,
) -> Response {
    let headers = request.headers();
    let is_allowed = match &shared.token {
        Some(token) => has_token(request.uri().query(), headers, token),
        None => is_local_name(headers),
    };
    let is_command = request.method() == axum::http::Method::POST;
    if !is_allowed || (is_command && !headers.contains_key(COMMAND_HEADER)) {
        let message = "open the URL that `run --ui` has printed, with its token\n";
        return (StatusCode::FORBIDDEN, message).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let policy = header::HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, header::HeaderValue::from_static("no-referrer"));
    response
}

/// Compares hashes, so that the time does not show how much of a wrong token is right.
fn has_token(query: Option<&str>, headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(COMMAND_HEADER).and_then(|value| value.to_str().ok());
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let is_token = |text: &str| Sha256::digest(text) == Sha256::digest(token);
    given.is_some_and(is_token) || pairs.any(|(key, value)| key == "token" && is_token(&value))
}

fn is_local_name(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    is_loopback_name(name)
}

async fn data(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], shared.data())
}

async fn report(State(shared): State<Arc<Shared>>) -> Result<impl IntoResponse, Refused> {
    let path = shared.lock().report.clone();
    let missing = || (StatusCode::NOT_FOUND, "there is no report yet\n".to_owned());
    let text = tokio::fs::read(path.ok_or_else(missing)?).await.map_err(|_| missing())?;
    Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text))
}

/// Ends the load, as Ctrl-C does; the run is judged by the data up to then.
async fn stop(State(shared): State<Arc<Shared>>) -> Result<StatusCode, Refused> {
    let mut state = shared.lock();
    if state.phase != Phase::Running {
        return Err((StatusCode::CONFLICT, "no load is running\n".to_owned()));
    }
    state.stopped = true;
    drop(state);
    goose::trigger_killswitch("stopped in the dashboard");
    Ok(StatusCode::NO_CONTENT)
}

async fn change_users(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<StatusCode, Refused> {
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let users = body.and_then(|body| body["users"].as_u64()).filter(|users| *users > 0);
    let users = users.and_then(|users| u32::try_from(users).ok());
    let invalid = || (StatusCode::BAD_REQUEST, "users must be a number of at least 1\n".to_owned());
    let users = users.ok_or_else(invalid)?;
    let control = shared.lock().users.clone();
    let fixed = || (StatusCode::CONFLICT, "the users of this run cannot be changed\n".to_owned());
    let changed = control.ok_or_else(fixed)?.change(users).await;
    changed.map(|()| StatusCode::NO_CONTENT).map_err(|reason| (StatusCode::CONFLICT, reason + "\n"))
}

async fn start(State(shared): State<Arc<Shared>>) -> Result<StatusCode, Refused> {
    decide(&shared, Next::Start)
}

async fn quit(State(shared): State<Arc<Shared>>) -> Result<StatusCode, Refused> {
    decide(&shared, Next::Quit)
}

fn decide(shared: &Shared, next: Next) -> Result<StatusCode, Refused> {
    match shared.decide(next) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err((StatusCode::CONFLICT, "the run has not ended\n".to_owned())),
    }
}
