//! HTTP client of the virtual users: sends a request, reads the whole response, validates it and
//! records its times.
//!
//! All requests of scenarios go through this module. A response is a success only if it has an
//! expected status and a body of the expected shape.

mod request_log;
mod shape;
mod validated_bodies;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method, StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use serde_json::Value;

pub use request_log::{RequestLog, RequestLogEntry};
pub use shape::Shape;
use validated_bodies::ValidatedBodies;

use crate::{
    access::Account,
    failure::FailureKind,
    login::Login,
    recorder::{Recorder, RequestSample, Shard},
    work::WorkKind,
};

/// `User-Agent` of requests that are not part of the load.
pub const CHECKS_USER_AGENT: &str =
    concat!("plant-loadtest/", env!("CARGO_PKG_VERSION"), " (checks)");

/// Longest code or detail of a problem document in the message of a failure, in characters.
const MAX_PROBLEM_CHARS: usize = 80;

/// Largest body that is read, in bytes.
const MAX_BODY_BYTES: u64 = 64 << 20;

/// A route that scenarios request, with its expected response.
#[derive(Debug)]
pub struct Endpoint {
    /// Method and route template. SLA files and reports use this name.
    pub name: &'static str,
    /// Expected status codes.
    pub expected_statuses: &'static [u16],
    /// Expected shape of the body.
    pub shape: Shape,
    /// Tags by which thresholds can name it together with others, such as `read`.
    pub tags: &'static [&'static str],
}

/// A request to send.
#[derive(Debug)]
pub struct Request {
    endpoint: &'static Endpoint,
    method: Method,
    path: String,
    headers: HeaderMap,
    bearer: Option<Arc<str>>,
    body: Option<Bytes>,
}

impl Request {
    /// Returns a `GET` request for `path`, which may include a query.
    pub fn get(endpoint: &'static Endpoint, path: impl Into<String>) -> Self {
        Self {
            endpoint,
            method: Method::GET,
            path: path.into(),
            headers: HeaderMap::new(),
            bearer: None,
            body: None,
        }
    }

    /// Returns a `POST` request of `body` to `path`.
    pub fn post(endpoint: &'static Endpoint, path: impl Into<String>, body: &Value) -> Self {
        Self::post_text(endpoint, path, body.to_string())
    }

    /// Returns a `POST` request of the JSON text `body` to `path`.
    pub fn post_text(endpoint: &'static Endpoint, path: impl Into<String>, body: String) -> Self {
        Self { method: Method::POST, body: Some(body.into()), ..Self::get(endpoint, path) }
    }

    /// Sets the header `name`.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the access token (`Authorization: Bearer`).
    #[must_use]
    pub fn bearer(mut self, token: &Arc<str>) -> Self {
        self.bearer = Some(Arc::clone(token));
        self
    }
}

/// Settings shared by the clients of all virtual users.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Base URL of the service: `http://host:port`.
    pub host: String,
    /// Timeout for one request.
    pub timeout: Duration,
    /// Recorder of all requests.
    pub recorder: Arc<Recorder>,
    /// Whether clients keep a request log for Goose's dashboard.
    pub log_requests: bool,
    /// Accounts that virtual users share; empty if the service requires no authentication.
    pub accounts: Arc<[Arc<Account>]>,
    validated: Arc<ValidatedBodies>,
}

impl ClientConfig {
    /// Returns the settings for the service with the base URL `host`, without request log and
    /// accounts.
    #[must_use]
    pub fn new(host: &str, timeout: Duration, recorder: Arc<Recorder>) -> Self {
        let host = host.trim_end_matches('/').to_owned();
        let validated = Arc::default();
        Self { host, timeout, recorder, log_requests: false, accounts: Arc::new([]), validated }
    }
}

/// HTTP client of one virtual user.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base_url: Arc<str>,
    recorder: Arc<Recorder>,
    validated: Arc<ValidatedBodies>,
    shard: Shard,
    /// Intended start of the next request; `None` if it is the time of sending.
    intended_start: Arc<Mutex<Option<Instant>>>,
    request_log: Option<RequestLog>,
    /// Whether requests are recorded, which the clones of a client share.
    recording: Arc<AtomicBool>,
    /// Account whose token is sent with requests that set none.
    account: Option<Arc<Account>>,
    /// Whether the last response rejected the token that was sent.
    token_rejected: Arc<AtomicBool>,
}

/// Result of sending one request.
struct Exchange {
    first_byte: Option<Instant>,
    last_byte: Instant,
    status: Option<StatusCode>,
    body: Result<Bytes, (FailureKind, String)>,
}

impl Client {
    /// Returns a client with its own connections, as a user's browser has.
    ///
    /// # Errors
    /// When the HTTP client cannot be initialized.
    pub fn new(config: &ClientConfig) -> reqwest::Result<Self> {
        let ClientConfig { host, timeout, recorder, log_requests, validated, .. } = config;
        Ok(Self {
            http: http_client(host, *timeout)?,
            base_url: host.as_str().into(),
            shard: recorder.assign_shard(),
            recorder: Arc::clone(recorder),
            validated: Arc::clone(validated),
            intended_start: Arc::default(),
            request_log: log_requests.then(RequestLog::default),
            recording: Arc::new(AtomicBool::new(true)),
            account: None,
            token_rejected: Arc::default(),
        })
    }

    /// Starts or stops to record the requests of this client and its clones.
    pub fn set_recording(&self, recording: bool) {
        self.recording.store(recording, Relaxed);
    }

    /// Returns the same client that sends the token of `account` with requests that set none.
    #[must_use]
    pub fn with_account(self, account: Option<Arc<Account>>) -> Self {
        Self { account, ..self }
    }

    /// Returns the underlying HTTP client.
    #[must_use]
    pub fn http_client(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// Returns the request log for Goose's dashboard; `None` if there is no dashboard.
    #[must_use]
    pub fn request_log(&self) -> Option<RequestLog> {
        self.request_log.clone()
    }

    /// Sets the intended start of the next request. Its latency counts from there; the latency of
    /// later requests counts from the time of sending.
    pub fn set_intended_start(&self, intended_start: Instant) {
        *self.intended_start.lock().unwrap_or_else(PoisonError::into_inner) = Some(intended_start);
    }

    /// Returns whether the last response rejected the token that was sent.
    #[must_use]
    pub fn token_was_rejected(&self) -> bool {
        self.token_rejected.load(Relaxed)
    }

    fn take_intended_start(&self) -> Option<Instant> {
        self.intended_start.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Adds `count` to the custom counter `name`, one that the user class lists in its `counters`.
    pub fn count(&self, name: &'static str, count: u64) {
        self.recorder.count(self.shard, name, count);
    }

    /// Records that the service has accepted work of this `kind` with this `id`; `token` gives
    /// access to it, and `login` a new token.
    pub fn record_accepted(
        &self,
        kind: &'static WorkKind,
        id: String,
        token: &Arc<str>,
        login: Option<Arc<Login>>,
    ) {
        self.recorder.record_accepted(kind, id, Arc::clone(token), login);
    }

    /// Sends `request` and records it. Returns the body of a successful response; `None` after a
    /// failure.
    ///
    /// If the service rejects the account's token, the request is sent again with a new one. Both
    /// attempts are recorded as one request whose latency includes the login.
    pub async fn send(&self, mut request: Request) -> Option<Bytes> {
        let endpoint = request.endpoint;
        let account = self.account.as_ref().filter(|_| request.bearer.is_none());
        let token = account.map(Account::token);
        request.bearer = request.bearer.or_else(|| token.clone());
        let prepared = self.prepare(&request);
        let sent_at = Instant::now();
        let intended_start = self.take_intended_start().unwrap_or(sent_at);
        let recording = self.recording.load(Relaxed);
        if recording {
            self.recorder.record_sent(self.shard, endpoint.name, intended_start);
        }
        let mut exchange = execute(prepared).await;
        if exchange.status == Some(StatusCode::UNAUTHORIZED)
            && let (Some(account), Some(rejected)) = (account, token)
            && let Some(token) = account.replace_token(&rejected).await
        {
            request.bearer = Some(token);
            exchange = execute(self.prepare(&request)).await;
        }
        let rejected =
            exchange.status == Some(StatusCode::UNAUTHORIZED) && request.bearer.is_some();
        self.token_rejected.store(rejected, Relaxed);
        let size = exchange.body.as_ref().map_or(0, Bytes::len);
        let result = exchange
            .body
            .and_then(|body| validate(endpoint, exchange.status, body, &self.validated));
        if !recording {
            return result.ok();
        }
        if let Some(log) = &self.request_log {
            log.lock().unwrap_or_else(PoisonError::into_inner).push(RequestLogEntry {
                endpoint: endpoint.name,
                latency: exchange.last_byte.saturating_duration_since(intended_start),
                status: exchange.status.map(|status| status.as_u16()),
                error: result.as_ref().err().map(|(_, message)| message.clone()),
            });
        }
        self.recorder.record_finished(
            self.shard,
            RequestSample {
                endpoint: endpoint.name,
                intended_start,
                sent_at,
                first_byte: exchange.first_byte,
                last_byte: exchange.last_byte,
                status: exchange.status.map(|status| status.as_u16()),
                bytes: size as u64,
                failure: result.as_ref().err().cloned(),
            },
        );
        result.ok()
    }

    fn prepare(&self, request: &Request) -> reqwest::RequestBuilder {
        let url = format!("{}{}", self.base_url, request.path);
        let mut builder = self.http.request(request.method.clone(), url);
        if !request.headers.is_empty() {
            builder = builder.headers(request.headers.clone());
        }
        if let Some(token) = &request.bearer {
            builder = builder.bearer_auth(token);
        }
        if let Some(body) = &request.body {
            builder = builder.header(header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        builder
    }
}

/// Returns an HTTP client for the base URL `host` that ignores proxies and does not follow redirects,
/// so that all requests reach the service under test.
///
/// # Errors
/// When the HTTP client cannot be initialized.
pub fn http_client(host: &str, timeout: Duration) -> reqwest::Result<reqwest::Client> {
    with_user_agent(concat!("plant-loadtest/", env!("CARGO_PKG_VERSION")), host, timeout)
}

/// Returns an HTTP client like [`http_client`] for everything that is not part of the load: checks
/// before and after it, `/metrics`, the state of accepted work. The service can tell its requests
/// from those of the load by their `User-Agent`, [`CHECKS_USER_AGENT`].
///
/// # Errors
/// When the HTTP client cannot be initialized.
pub fn checks_client(host: &str, timeout: Duration) -> reqwest::Result<reqwest::Client> {
    with_user_agent(CHECKS_USER_AGENT, host, timeout)
}

fn with_user_agent(
    user_agent: &str,
    host: &str,
    timeout: Duration,
) -> reqwest::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .user_agent(user_agent)
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .gzip(false);
    if !host.starts_with("https://") {
        // Loading the system's certificates takes milliseconds. For 200 users started within a few
        // seconds this would delay requests and inflate the measured latency.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

async fn execute(request: reqwest::RequestBuilder) -> Exchange {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => {
            let last_byte = Instant::now();
            let body = Err(transport_failure(&error));
            return Exchange { first_byte: None, last_byte, status: None, body };
        }
    };
    let first_byte = Some(Instant::now());
    let status = Some(response.status());
    // The response ends with its body, and the connection is reused only once that is read.
    let body = read_body(response).await;
    Exchange { first_byte, last_byte: Instant::now(), status, body }
}

/// Reads the body of a response; one that is too large is not read to its end.
async fn read_body(mut response: reqwest::Response) -> Result<Bytes, (FailureKind, String)> {
    if response.content_length().is_some_and(|length| length <= MAX_BODY_BYTES) {
        return response.bytes().await.map_err(|error| transport_failure(&error));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport_failure(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() as u64 > MAX_BODY_BYTES {
            return Err((FailureKind::WrongShape, "body is larger than 64 MiB".into()));
        }
    }
    Ok(body.freeze())
}

/// Returns the kind of a failed exchange and its innermost cause.
fn transport_failure(error: &reqwest::Error) -> (FailureKind, String) {
    if error.is_timeout() {
        return (FailureKind::TimedOut, "request timed out".into());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    (FailureKind::Connection, cause.to_string())
}

/// Checks status and body of a response. Returns the body, or the kind of failure and a message.
fn validate(
    endpoint: &'static Endpoint,
    status: Option<StatusCode>,
    body: Bytes,
    validated: &ValidatedBodies,
) -> Result<Bytes, (FailureKind, String)> {
    let status = status.unwrap_or_default();
    if endpoint.expected_statuses.contains(&status.as_u16()) {
        return match validated.validate(endpoint, &body) {
            Ok(()) => Ok(body),
            Err(reason) => Err((FailureKind::WrongShape, reason)),
        };
    }
    let kind = if status.is_client_error() {
        FailureKind::ClientError
    } else if status.is_server_error() {
        FailureKind::ServerError
    } else {
        FailureKind::UnexpectedStatus
    };
    let problem = describe_problem(&body, status.is_server_error());
    Err((kind, format!("{}{problem}", status.as_u16())))
}

/// Returns ` code` of a problem document, and for a server error `: detail`; the details of client errors
/// differ from request to request. Empty for other bodies.
fn describe_problem(body: &[u8], with_detail: bool) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let printable = |member: &str| -> Option<String> {
        let text = problem[member].as_str()?;
        Some(text.chars().filter(|c| !c.is_control()).take(MAX_PROBLEM_CHARS).collect())
    };
    let Some(code) = printable("code") else { return String::new() };
    match printable("detail").filter(|_| with_detail) {
        Some(detail) => format!(" {code}: {detail}"),
        None => format!(" {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static ENDPOINT: Endpoint = Endpoint {
        name: "GET /x",
        expected_statuses: &[200],
        shape: Shape::Object(&["id"]),
        tags: &[],
    };

    fn failure(status: u16, body: &'static str) -> (FailureKind, String) {
        let status = StatusCode::from_u16(status).ok();
        let body = Bytes::from_static(body.as_bytes());
        validate(&ENDPOINT, status, body, &ValidatedBodies::default()).unwrap_err()
    }

    #[test]
    fn a_404_is_a_failure_whose_message_contains_the_problem_code() {
        let failure = failure(404, r#"{"code":"not-found","id":1}"#);
        assert_eq!(failure, (FailureKind::ClientError, "404 not-found".into()));
    }

    #[test]
    fn the_code_of_a_problem_is_shortened_and_printable() {
        let code = format!("{{\"code\":\"\\u001b[2J{}\"}}", "x".repeat(500));
        let message = describe_problem(code.as_bytes(), false);
        assert_eq!(message.chars().count(), 1 + MAX_PROBLEM_CHARS);
        assert!(message.starts_with(" [2Jxxx"), "{message:?}");
    }

    #[test]
    fn the_message_of_a_server_error_contains_the_detail_of_its_problem() {
        let problem = br#"{"code":"unavailable","detail":"password hashing is unavailable"}"#;
        let with_detail = " unavailable: password hashing is unavailable";
        assert_eq!(describe_problem(problem, true), with_detail);
        assert_eq!(describe_problem(problem, false), " unavailable");
    }

    #[test]
    fn kinds_of_failure_are_distinguished() {
        assert_eq!(failure(503, "").0, FailureKind::ServerError);
        assert_eq!(failure(204, "").0, FailureKind::UnexpectedStatus);
        assert_eq!(failure(200, "[]").0, FailureKind::WrongShape);
    }
}
