//! HTTP client of the virtual users: sends a request, reads the whole response, validates it and
//! records its times.
//!
//! All requests of scenarios go through this module. A response is a success only if it has an
//! expected status and a body of the expected shape.

mod cookies;
mod in_flight;
mod options;
mod request;
#[cfg(test)]
mod retries;
mod shape;
mod validated_bodies;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{
    StatusCode,
    header::{COOKIE, DATE, HeaderMap},
    redirect,
};
use serde_json::Value;

use cookies::Cookies;
pub use in_flight::InFlight;
pub use options::HttpOptions;
pub use request::{Request, Response};
pub use shape::{ExpectedValue, Shape};
use validated_bodies::ValidatedBodies;

use crate::{
    access::Account,
    class_options::ClassOptions,
    failure::FailureKind,
    recorder::{Recorder, RequestSample, Shard},
    trace::{REQUEST_ID, TraceHeader},
    work::{AcceptedWork, ExchangeTimes},
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

impl Endpoint {
    /// Returns an endpoint without tags, whose successful responses have one of these statuses and this
    /// shape.
    #[must_use]
    pub const fn new(name: &'static str, expected_statuses: &'static [u16], shape: Shape) -> Self {
        Self { name, expected_statuses, shape, tags: &[] }
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
    /// Accounts that virtual users share; empty if the service requires no authentication.
    pub accounts: Arc<[Arc<Account>]>,
    /// How requests are sent.
    pub http: HttpOptions,
    /// Values of the program's options, for the user classes.
    pub options: ClassOptions,
    validated: Arc<ValidatedBodies>,
}

impl ClientConfig {
    /// Returns the settings for the service with the base URL `host`, without request log and
    /// accounts.
    #[must_use]
    pub fn new(host: &str, timeout: Duration, recorder: Arc<Recorder>) -> Self {
        let host = host.trim_end_matches('/').to_owned();
        Self {
            host,
            timeout,
            recorder,
            accounts: Arc::new([]),
            http: HttpOptions::default(),
            options: ClassOptions::default(),
            validated: Arc::default(),
        }
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
    /// Whether requests are recorded, which the clones of a client share.
    recording: Arc<AtomicBool>,
    /// Account whose token is sent with requests that set none.
    account: Option<Arc<Account>>,
    /// Whether the last response rejected the token that was sent.
    token_rejected: Arc<AtomicBool>,
    /// Cookies of the user; `None` if none are kept.
    cookies: Option<Cookies>,
    /// Which requests have a `traceparent`.
    traces: TraceHeader,
    in_flight: InFlight,
}

/// Result of sending one request.
struct Exchange {
    first_byte: Option<Instant>,
    last_byte: Instant,
    status: Option<StatusCode>,
    headers: HeaderMap,
    body: Result<Bytes, (FailureKind, String)>,
}

/// A request that was recorded as sent. It is recorded as lost if it is dropped before it has a result.
struct SentRequest<'c> {
    client: &'c Client,
    endpoint: &'static str,
    intended_start: Instant,
    has_result: bool,
}

impl<'c> SentRequest<'c> {
    fn record(client: &'c Client, endpoint: &'static str, intended_start: Instant) -> Self {
        client.recorder.record_sent(client.shard, endpoint, intended_start);
        Self { client, endpoint, intended_start, has_result: false }
    }

    fn finish(mut self) {
        self.has_result = true;
    }
}

impl Drop for SentRequest<'_> {
    fn drop(&mut self) {
        if !self.has_result {
            let Client { recorder, shard, .. } = self.client;
            recorder.record_lost(*shard, self.endpoint, self.intended_start);
        }
    }
}

impl Client {
    /// Returns a client with its own connections, as a user's browser has.
    ///
    /// # Errors
    /// When the HTTP client cannot be initialized.
    pub fn new(config: &ClientConfig) -> reqwest::Result<Self> {
        let ClientConfig { host, timeout, recorder, http, validated, .. } = config;
        Ok(Self {
            http: load_client(host, *timeout, http)?,
            base_url: host.as_str().into(),
            shard: recorder.assign_shard(),
            recorder: Arc::clone(recorder),
            validated: Arc::clone(validated),
            intended_start: Arc::default(),
            recording: Arc::new(AtomicBool::new(true)),
            account: None,
            token_rejected: Arc::default(),
            cookies: http.cookies.then(Cookies::default),
            traces: http.trace_header(),
            in_flight: InFlight::default(),
        })
    }

    /// Starts or stops to record the requests of this client and its clones as part of the load.
    pub fn set_recording(&self, recording: bool) {
        self.recording.store(recording, Relaxed);
    }

    /// Returns the same client that sends the token of `account` with requests that set none.
    #[must_use]
    pub fn with_account(self, account: Option<Arc<Account>>) -> Self {
        Self { account, ..self }
    }

    /// Returns the same client without the cookies received so far.
    #[must_use]
    pub fn without_cookies(self) -> Self {
        let cookies = self.cookies.as_ref().map(|_| Cookies::default());
        Self { cookies, ..self }
    }

    /// Returns the number of requests in flight.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.clone()
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

    /// Counts that a request to `endpoint` was left out because the responses did not contain a value
    /// that it needs.
    pub fn count_skipped(&self, endpoint: &Endpoint) {
        self.recorder.count_skipped(self.shard, endpoint.name);
    }

    /// Records that the service has accepted `work`, which is followed until it has ended.
    pub fn record_accepted(&self, work: AcceptedWork) {
        self.recorder.record_accepted(work);
    }

    /// Sends `request` and records it. Returns the body of a successful response; `None` after a
    /// failure. See [`Self::send_and_read`].
    pub async fn send(&self, request: Request) -> Option<Bytes> {
        self.send_and_read(request, |response| Ok(response.body.clone())).await.ok()
    }

    /// Sends `request`, checks the response, and reads it with `read`, whose error is the message of a
    /// failure of the kind wrong shape. Records the request with the result.
    ///
    /// If the service rejects the account's token, the request is sent again with a new one. Both
    /// attempts are recorded as one request whose latency includes the login.
    ///
    /// # Errors
    /// Returns the status code of a response that was not the expected one; `None` if there was no
    /// response.
    pub async fn send_and_read<T>(
        &self,
        mut request: Request,
        read: impl FnOnce(&Response) -> Result<T, String>,
    ) -> Result<T, Option<u16>> {
        let _in_flight = self.in_flight.start();
        let endpoint = request.endpoint;
        let account = self.account.as_ref().filter(|_| request.bearer.is_none());
        let token = account.map(Account::token);
        request.bearer = request.bearer.or_else(|| token.clone());
        request.start_trace(self.traces);
        let prepared = request.prepare(&self.http, &self.base_url);
        let (sent_at, sent_at_time) = (Instant::now(), DateTime::<Utc>::from(SystemTime::now()));
        let intended_start = self.take_intended_start().unwrap_or(sent_at);
        let recording = self.recording.load(Relaxed);
        let sent = recording.then(|| SentRequest::record(self, endpoint.name, intended_start));
        let mut exchange = self.execute(prepared).await;
        if exchange.status == Some(StatusCode::UNAUTHORIZED)
            && let (Some(account), Some(rejected)) = (account, token)
            && let Some(token) = account.replace_token(&rejected).await
        {
            request.bearer = Some(token);
            exchange = self.execute(request.prepare(&self.http, &self.base_url)).await;
        }
        if let Some(sent) = sent {
            sent.finish();
        }
        let Exchange { first_byte, last_byte, status, headers, body } = exchange;
        let rejected = status == Some(StatusCode::UNAUTHORIZED) && request.bearer.is_some();
        self.token_rejected.store(rejected, Relaxed);
        let size = body.as_ref().map_or(0, Bytes::len);
        let request_id = headers.get(&REQUEST_ID).cloned();
        let status = status.map(|status| status.as_u16());
        let result = body.and_then(|body| {
            let times = ExchangeTimes {
                sent_at: sent_at_time,
                answered_at: later(sent_at_time, last_byte.saturating_duration_since(sent_at)),
                date: date(&headers),
            };
            let response = Response { status: status.unwrap_or_default(), headers, body, times };
            validate(endpoint, &response, &self.validated)?;
            read(&response).map_err(|reason| (FailureKind::WrongShape, reason))
        });
        if !recording {
            let failure = result.as_ref().err().cloned();
            self.recorder.record_outside_load(self.shard, endpoint.name, failure);
            return result.map_err(|_| status);
        }
        self.record(RequestSample {
            endpoint: endpoint.name,
            intended_start,
            sent_at,
            first_byte,
            last_byte,
            status,
            bytes: size as u64,
            failure: result.as_ref().err().cloned(),
            trace: request.trace,
            request_id,
        });
        result.map_err(|_| status)
    }

    /// Records a request to `endpoint` that could not be sent, as a failure of the kind wrong shape: a
    /// value from an earlier response cannot be part of a request.
    pub fn record_unsent(&self, endpoint: &'static Endpoint, reason: String) {
        let now = Instant::now();
        let intended_start = self.take_intended_start().unwrap_or(now);
        if !self.recording.load(Relaxed) {
            let failure = Some((FailureKind::WrongShape, reason));
            self.recorder.record_outside_load(self.shard, endpoint.name, failure);
            return;
        }
        self.recorder.record_sent(self.shard, endpoint.name, intended_start);
        self.record(RequestSample {
            endpoint: endpoint.name,
            intended_start,
            sent_at: now,
            first_byte: None,
            last_byte: now,
            status: None,
            bytes: 0,
            failure: Some((FailureKind::WrongShape, reason)),
            trace: None,
            request_id: None,
        });
    }

    fn record(&self, sample: RequestSample) {
        self.recorder.record_finished(self.shard, sample);
    }

    /// Sends a request and reads the whole response.
    async fn execute(&self, request: reqwest::Result<reqwest::Request>) -> Exchange {
        let mut request = match request {
            Ok(request) => request,
            Err(error) => return Exchange::failed(&error),
        };
        let cookies = self.cookies.as_ref();
        if let Some(header) = cookies.and_then(|cookies| cookies.header(request.url())) {
            request.headers_mut().entry(COOKIE).or_insert(header);
        }
        execute(&self.http, request, cookies).await
    }
}

impl Exchange {
    fn failed(error: &reqwest::Error) -> Self {
        Self {
            first_byte: None,
            last_byte: Instant::now(),
            status: None,
            headers: HeaderMap::new(),
            body: Err(transport_failure(error)),
        }
    }
}

/// Returns an HTTP client for the load on the base URL `host`. It ignores proxies and does not follow
/// redirects, so that all requests reach the service under test.
fn load_client(
    host: &str,
    timeout: Duration,
    options: &HttpOptions,
) -> reqwest::Result<reqwest::Client> {
    let user_agent = concat!("plant-loadtest/", env!("CARGO_PKG_VERSION"));
    client(user_agent, host, timeout, options)
}

/// Returns an HTTP client like that of the load for everything that is not part of it: checks
/// before and after it, `/metrics`, the state of accepted work. The service can tell its requests
/// from those of the load by their `User-Agent`, [`CHECKS_USER_AGENT`].
///
/// # Errors
/// When the HTTP client cannot be initialized.
pub fn checks_client(
    host: &str,
    timeout: Duration,
    options: &HttpOptions,
) -> reqwest::Result<reqwest::Client> {
    client(CHECKS_USER_AGENT, host, timeout, options)
}

fn client(
    user_agent: &str,
    host: &str,
    timeout: Duration,
    options: &HttpOptions,
) -> reqwest::Result<reqwest::Client> {
    let builder = with_user_agent(user_agent, host, timeout);
    let builder = match (options.http2, host.starts_with("https://")) {
        // The TLS handshake negotiates the version.
        (true, true) => builder,
        (true, false) => builder.http2_prior_knowledge(),
        (false, _) => builder.http1_only(),
    };
    builder.default_headers(options.headers.clone()).build()
}

fn with_user_agent(user_agent: &str, host: &str, timeout: Duration) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(user_agent)
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .gzip(false);
    if host.starts_with("https://") {
        return builder;
    }
    // Loading the system's certificates takes milliseconds. For 200 users started within a few
    // seconds this would delay requests and inflate the measured latency.
    builder.tls_certs_only([])
}

async fn execute(
    http: &reqwest::Client,
    request: reqwest::Request,
    cookies: Option<&Cookies>,
) -> Exchange {
    let mut response = match http.execute(request).await {
        Ok(response) => response,
        Err(error) => return Exchange::failed(&error),
    };
    let first_byte = Some(Instant::now());
    let status = Some(response.status());
    if let Some(cookies) = cookies {
        cookies.keep(response.headers(), response.url());
    }
    let headers = std::mem::take(response.headers_mut());
    // The response ends with its body, and the connection is reused only once that is read.
    let body = read_body(response).await;
    Exchange { first_byte, last_byte: Instant::now(), status, headers, body }
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

/// Returns the header `Date`, the clock of the service in whole seconds; `None` if there is none.
#[must_use]
pub fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(date.to_utc())
}

fn later(time: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
    time.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Returns the kind of a failed exchange and its cause.
fn transport_failure(error: &reqwest::Error) -> (FailureKind, String) {
    let kind = if error.is_timeout() { FailureKind::TimedOut } else { FailureKind::Connection };
    (kind, root_cause(error))
}

/// Returns the innermost cause of a failed exchange.
#[must_use]
pub fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "request timed out".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Checks status and body of a response. Returns the kind of a failure and a message.
fn validate(
    endpoint: &'static Endpoint,
    response: &Response,
    validated: &ValidatedBodies,
) -> Result<(), (FailureKind, String)> {
    let Response { status, body, .. } = response;
    if endpoint.expected_statuses.contains(status) {
        if response.has_no_body() {
            return Ok(());
        }
        let checked = validated.validate(endpoint, body);
        return checked.map_err(|reason| (FailureKind::WrongShape, reason));
    }
    let status = StatusCode::from_u16(*status).unwrap_or_default();
    let kind = if status.is_client_error() {
        FailureKind::ClientError
    } else if status.is_server_error() {
        FailureKind::ServerError
    } else {
        FailureKind::UnexpectedStatus
    };
    let problem = describe_problem(body, status.is_server_error());
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
        let body = Bytes::from_static(body.as_bytes());
        let response = Response { status, ..Response::of_body(body) };
        validate(&ENDPOINT, &response, &ValidatedBodies::default()).unwrap_err()
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
    fn nothing_is_expected_of_the_body_of_a_304() {
        static CACHED: Endpoint = Endpoint {
            name: "GET /x",
            expected_statuses: &[200, 204, 304],
            shape: Shape::Object(&["id"]),
            tags: &[],
        };
        let result = |status| {
            let response = Response { status, ..Response::of_body(Bytes::new()) };
            validate(&CACHED, &response, &ValidatedBodies::default())
        };
        assert_eq!(result(304), Ok(()));
        assert!(result(200).is_err() && result(204).is_err());
        assert_eq!(failure(304, "").0, FailureKind::UnexpectedStatus);
    }

    #[test]
    fn the_date_of_a_response_is_read_in_the_form_of_http() {
        let date_of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, text.parse().unwrap());
            date(&headers)
        };
        let expected: DateTime<Utc> = "2026-11-29T11:05:07Z".parse().unwrap();
        assert_eq!(date_of("Sun, 29 Nov 2026 11:05:07 GMT"), Some(expected));
        assert_eq!(date_of("today"), None);
        assert_eq!(date(&HeaderMap::new()), None);
    }

    #[test]
    fn kinds_of_failure_are_distinguished() {
        assert_eq!(failure(503, "").0, FailureKind::ServerError);
        assert_eq!(failure(204, "").0, FailureKind::UnexpectedStatus);
        assert_eq!(failure(200, "[]").0, FailureKind::WrongShape);
    }
}
