//! Sends one request, reads the whole answer, checks it, and hands the times to the recorder.
//!
//! The only place where scenarios talk HTTP. An answer is a success only if its status and the
//! shape of its body are the expected ones.

mod known;
mod shape;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::{Method, StatusCode, header, redirect};
use serde_json::Value;

use known::Known;
pub use shape::Shape;

use crate::{
    access::{Account, Accounts},
    completion::Work,
    engine::dashboard::{Diary, Told},
    outcome::FailureKind,
    recorder::{Recorder, Sample, Shard},
};

/// A route that scenarios request, and what a good answer of it looks like.
#[derive(Debug)]
pub struct Endpoint {
    /// Method and route template, as rules and reports call it.
    pub name: &'static str,
    /// The statuses that mean success.
    pub success: &'static [u16],
    /// What the body must be.
    pub shape: Shape,
}

/// One request to be sent.
#[derive(Debug)]
pub struct Call {
    endpoint: &'static Endpoint,
    method: Method,
    path: String,
    customer: Option<&'static str>,
    bearer: Option<Arc<str>>,
    body: Option<Bytes>,
}

impl Call {
    /// A `GET` of `path`, query included.
    pub fn get(endpoint: &'static Endpoint, path: impl Into<String>) -> Self {
        Self {
            endpoint,
            method: Method::GET,
            path: path.into(),
            customer: None,
            bearer: None,
            body: None,
        }
    }

    /// A `POST` of `body` to `path`.
    pub fn post(endpoint: &'static Endpoint, path: impl Into<String>, body: &Value) -> Self {
        Self {
            method: Method::POST,
            body: Some(body.to_string().into()),
            ..Self::get(endpoint, path)
        }
    }

    /// Says on whose behalf (`X-Customer-ID`).
    #[must_use]
    pub fn customer(mut self, customer: &'static str) -> Self {
        self.customer = Some(customer);
        self
    }

    /// Sends this access token.
    #[must_use]
    pub fn bearer(mut self, token: &Arc<str>) -> Self {
        self.bearer = Some(Arc::clone(token));
        self
    }
}

/// Where users send their requests, and where these are recorded.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The service, as `http://host:port`.
    pub host: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// Takes what they measure.
    pub recorder: Arc<Recorder>,
    /// Whether users keep a diary for Goose's dashboard.
    pub told: bool,
    /// The accounts that users act for, where the service demands tokens.
    pub accounts: Option<Arc<Accounts>>,
    known: Arc<Known>,
}

impl Destination {
    /// The service at `host`.
    #[must_use]
    pub fn new(host: &str, timeout: Duration, recorder: Arc<Recorder>) -> Self {
        let host = host.trim_end_matches('/').to_owned();
        Self { host, timeout, recorder, told: false, accounts: None, known: Arc::default() }
    }
}

/// One user's connections to the service.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<str>,
    recorder: Arc<Recorder>,
    known: Arc<Known>,
    shard: Shard,
    /// When the next request is meant to start, if that is another moment than when it is sent.
    due: Arc<Mutex<Option<Instant>>>,
    diary: Option<Diary>,
    accounts: Option<Arc<Accounts>>,
    /// Whose token is sent where a call brings none.
    account: Option<Arc<Account>>,
    /// Whether the last answer refused the token that was sent.
    refused: Arc<AtomicBool>,
}

/// How one exchange ended.
struct Answer {
    first_byte: Option<Instant>,
    last_byte: Instant,
    status: Option<StatusCode>,
    body: Result<Bytes, (FailureKind, String)>,
}

impl Client {
    /// A client with connections of its own, as a user's browser has.
    ///
    /// # Errors
    /// When the HTTP library cannot be set up.
    pub fn new(destination: &Destination) -> reqwest::Result<Self> {
        let Destination { host, timeout, recorder, told, accounts, known } = destination;
        Ok(Self {
            http: transport(host, *timeout)?,
            base: host.as_str().into(),
            shard: recorder.assign_shard(),
            recorder: Arc::clone(recorder),
            known: Arc::clone(known),
            due: Arc::default(),
            diary: told.then(Diary::default),
            accounts: accounts.clone(),
            account: None,
            refused: Arc::default(),
        })
    }

    /// The same connections, recorded elsewhere.
    #[must_use]
    pub fn recording_to(&self, recorder: Arc<Recorder>) -> Self {
        Self { shard: recorder.assign_shard(), recorder, ..self.clone() }
    }

    /// The same connections and account, recorded as `other` is.
    #[must_use]
    pub fn recording_as(&self, other: &Self) -> Self {
        Self { shard: other.shard, recorder: Arc::clone(&other.recorder), ..self.clone() }
    }

    /// The same client, acting for the customer at this `place` of [`crate::access::CUSTOMERS`]:
    /// where the service demands tokens, it sends that customer's.
    #[must_use]
    pub fn of_customer(self, place: usize) -> Self {
        let account = self.accounts.as_ref().map(|accounts| accounts.of(place));
        Self { account, ..self }
    }

    /// What this client sends through.
    #[must_use]
    pub fn transport(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// What this user noted for Goose's dashboard, if there is one.
    #[must_use]
    pub fn diary(&self) -> Option<Diary> {
        self.diary.clone()
    }

    /// Says that the next request is meant to start at `intended`, from which its latency counts.
    /// Those after it count from when they are sent.
    pub fn set_due(&self, intended: Instant) {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = Some(intended);
    }

    /// Whether the last answer refused the token that was sent: then another one is needed.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        self.refused.load(Relaxed)
    }

    fn take_due(&self) -> Option<Instant> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The service has accepted `work` under this `id`; the bearer of `token` may ask for it.
    pub fn accepted(&self, work: &'static Work, id: String, token: &Arc<str>) {
        self.recorder.accepted(work, id, Arc::clone(token));
    }

    /// Sends `call` now. The body of a successful answer comes back; everything else was counted.
    ///
    /// Where the account's token is not taken any more, the call is sent again with a new one. That
    /// is one request, as its user sees it, and the wait for the token is part of its latency.
    pub async fn send(&self, mut call: Call) -> Option<Bytes> {
        let endpoint = call.endpoint;
        let account = self.account.as_ref().filter(|_| call.bearer.is_none());
        let token = account.map(Account::token);
        call.bearer = call.bearer.or_else(|| token.clone());
        let request = self.request(&call);
        let sent = Instant::now();
        let intended = self.take_due().unwrap_or(sent);
        self.recorder.sent(self.shard, endpoint.name, intended);
        let mut answer = exchange(request).await;
        if answer.status == Some(StatusCode::UNAUTHORIZED)
            && let (Some(account), Some(refused)) = (account, token)
            && let Some(token) = account.instead_of(&refused).await
        {
            call.bearer = Some(token);
            answer = exchange(self.request(&call)).await;
        }
        let refused = answer.status == Some(StatusCode::UNAUTHORIZED) && call.bearer.is_some();
        self.refused.store(refused, Relaxed);
        let size = answer.body.as_ref().map_or(0, Bytes::len);
        let judged = answer.body.and_then(|body| judge(endpoint, answer.status, body, &self.known));
        if let Some(diary) = &self.diary {
            diary.lock().unwrap_or_else(PoisonError::into_inner).push(Told {
                endpoint: endpoint.name,
                latency: answer.last_byte.saturating_duration_since(intended),
                status: answer.status.map(|status| status.as_u16()),
                error: judged.as_ref().err().map(|(_, message)| message.clone()),
            });
        }
        self.recorder.record(
            self.shard,
            Sample {
                endpoint: endpoint.name,
                intended,
                sent,
                first_byte: answer.first_byte,
                last_byte: answer.last_byte,
                status: answer.status.map(|status| status.as_u16()),
                bytes: size as u64,
                failure: judged.as_ref().err().cloned(),
            },
        );
        judged.ok()
    }

    fn request(&self, call: &Call) -> reqwest::RequestBuilder {
        let url = format!("{}{}", self.base, call.path);
        let mut request = self.http.request(call.method.clone(), url);
        if let Some(customer) = call.customer {
            request = request.header("X-Customer-ID", customer);
        }
        if let Some(token) = &call.bearer {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &call.body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        request
    }
}

/// A plain HTTP client for `host`: no proxy and no redirect may lead a load test elsewhere.
///
/// # Errors
/// When the HTTP library cannot be set up.
pub fn transport(host: &str, timeout: Duration) -> reqwest::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("plant-loadtest/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .gzip(false);
    if !host.starts_with("https://") {
        // Reading the system's certificates takes milliseconds. At 200 users in a few seconds
        // that alone would delay everybody's requests, and be blamed on the service.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

async fn exchange(request: reqwest::RequestBuilder) -> Answer {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => {
            let last_byte = Instant::now();
            return Answer { first_byte: None, last_byte, status: None, body: Err(broken(&error)) };
        }
    };
    let first_byte = Some(Instant::now());
    let status = Some(response.status());
    // The connection is only reused once the body was read, and a user has only then been answered.
    let body = response.bytes().await.map_err(|error| broken(&error));
    Answer { first_byte, last_byte: Instant::now(), status, body }
}

fn broken(error: &reqwest::Error) -> (FailureKind, String) {
    if error.is_timeout() {
        return (FailureKind::TimedOut, "no answer in time".into());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    (FailureKind::Connection, cause.to_string())
}

fn judge(
    endpoint: &'static Endpoint,
    status: Option<StatusCode>,
    body: Bytes,
    known: &Known,
) -> Result<Bytes, (FailureKind, String)> {
    let status = status.unwrap_or_default();
    if endpoint.success.contains(&status.as_u16()) {
        return match known.check(endpoint, &body) {
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
    Err((kind, format!("{}{}", status.as_u16(), problem_code(&body))))
}

/// The `code` of a problem document, which tells more than the bare status.
fn problem_code(body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    problem["code"].as_str().map(|code| format!(" {code}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    static ENDPOINT: Endpoint =
        Endpoint { name: "GET /x", success: &[200], shape: Shape::Object(&["id"]) };

    fn failure(status: u16, body: &'static str) -> (FailureKind, String) {
        let status = StatusCode::from_u16(status).ok();
        judge(&ENDPOINT, status, Bytes::from_static(body.as_bytes()), &Known::default())
            .unwrap_err()
    }

    #[test]
    fn a_404_is_never_a_success_and_tells_its_code() {
        let told = failure(404, r#"{"code":"not-found","id":1}"#);
        assert_eq!(told, (FailureKind::ClientError, "404 not-found".into()));
    }

    #[test]
    fn the_kinds_of_failure_are_told_apart() {
        assert_eq!(failure(503, "").0, FailureKind::ServerError);
        assert_eq!(failure(204, "").0, FailureKind::UnexpectedStatus);
        assert_eq!(failure(200, "[]").0, FailureKind::WrongShape);
    }
}
