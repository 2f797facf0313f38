//! What happens around every request: its ids, its span, its deadline, its figures, and the
//! writing of its error.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tracing::Instrument;
use uuid::Uuid;

use crate::error::{Error, Problem};
use crate::metrics::Metrics;
use crate::state::State;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
static CUSTOMER_ID: HeaderName = HeaderName::from_static("x-customer-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request that takes longer than this is worth a line in the log.
const SLOW: Duration = Duration::from_secs(1);

/// When to try again what could not be answered.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Longest id that is taken over from a client.
const ID_MAX: usize = 128;

/// The outermost layer.
pub async fn frame(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let ids = Ids::of(request.headers());
    let uri = request.uri().clone();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let path = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let span = span(&ids, request.headers(), method, uri.path());

    let _running = Running::one_more(&state.metrics);
    // The operations' own routes must answer whoever else asks too much.
    let admitted = if uri.path().starts_with("/api/") {
        state.gate.rate.admit(request.extensions())
    } else {
        Ok(())
    };
    let answer = AssertUnwindSafe(async {
        match admitted {
            Ok(()) => next.run(request).await,
            Err(too_much) => too_much.into_response(),
        }
    })
    .catch_unwind();
    let response = async {
        let response = tokio::select! {
            biased;
            answered = answer => answered
                .unwrap_or_else(|_| Error::Internal("a handler panicked".into()).into_response()),
            () = state.db.lost() => unavailable("the database"),
            () = tokio::time::sleep(state.limits.request_timeout) => {
                unavailable("an answer in time")
            }
        };
        let took = started.elapsed();
        let status = response.status().as_u16();
        if took > SLOW {
            tracing::warn!(status, ?took, "slow request");
        } else {
            tracing::debug!(status, ?took, "answered");
        }
        response
    }
    .instrument(span)
    .await;

    state.metrics.requests.with_label_values(&[method, path, response.status().as_str()]).inc();
    state
        .metrics
        .durations
        .with_label_values(&[method, path])
        .observe(started.elapsed().as_secs_f64());
    let response = with_problem(response, uri.path(), &ids);
    ids.onto(response)
}

fn unavailable(what: &'static str) -> Response {
    Error::Unavailable { what, retry_after: RETRY_AFTER }.into_response()
}

/// Counts a request as running for as long as it lives, however it ends.
struct Running<'a>(&'a Metrics);

impl<'a> Running<'a> {
    fn one_more(metrics: &'a Metrics) -> Self {
        metrics.in_progress.inc();
        Self(metrics)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.in_progress.dec();
    }
}

/// The ids by which a request is found again, here and at the client.
struct Ids {
    request: HeaderValue,
    correlation: HeaderValue,
}

impl Ids {
    fn of(headers: &HeaderMap) -> Self {
        let given = |name: &HeaderName| headers.get(name).filter(|value| is_id(value)).cloned();
        let request = given(&REQUEST_ID).unwrap_or_else(new_id);
        let correlation = given(&CORRELATION_ID).unwrap_or_else(|| request.clone());
        Self { request, correlation }
    }

    fn onto(self, mut response: Response) -> Response {
        response.headers_mut().insert(REQUEST_ID.clone(), self.request);
        response.headers_mut().insert(CORRELATION_ID.clone(), self.correlation);
        response
    }
}

fn new_id() -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    let id = Uuid::now_v7();
    // A hyphenated UUID is plain ASCII.
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text))
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

fn is_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    !bytes.is_empty() && bytes.len() <= ID_MAX && bytes.iter().all(u8::is_ascii_graphic)
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

fn span(ids: &Ids, headers: &HeaderMap, method: &str, path: &str) -> tracing::Span {
    let span = tracing::info_span!(
        "request",
        request_id = text(&ids.request),
        correlation_id = text(&ids.correlation),
        method,
        path,
        customer_id = tracing::field::Empty,
        trace_id = tracing::field::Empty,
    );
    if let Some(customer) = headers.get(&CUSTOMER_ID).filter(|value| is_id(value)) {
        span.record("customer_id", text(customer));
    }
    if let Some(trace) = headers.get(&TRACEPARENT).and_then(trace_id) {
        span.record("trace_id", trace);
    }
    span
}

/// The trace id of a W3C `traceparent`: `version-traceid-parentid-flags`.
fn trace_id(value: &HeaderValue) -> Option<&str> {
    let mut parts = value.to_str().ok()?.split('-');
    let (_version, trace) = (parts.next()?, parts.next()?);
    let hex = trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit());
    (hex && trace.bytes().any(|b| b != b'0')).then_some(trace)
}

/// Methods as labels; a made-up one must not make a series.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}

/// Writes the problem that an error left, or one for an error answer that has none.
fn with_problem(mut response: Response, instance: &str, ids: &Ids) -> Response {
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if (status.is_client_error() || status.is_server_error()) && !has_json(&response) => {
            Problem::from(from_status(status))
        }
        None => return response,
    };
    problem.write(response, instance, text(&ids.request))
}

fn has_json(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).map(text).unwrap_or_default();
    kind.starts_with("application/") && kind.contains("json")
}

fn from_status(status: StatusCode) -> Error {
    match status {
        StatusCode::NOT_FOUND => Error::no_such("route"),
        StatusCode::METHOD_NOT_ALLOWED => Error::MethodNotAllowed,
        status if status.is_client_error() => Error::Malformed("the request cannot be read".into()),
        _ => Error::Internal("an answer without a reason".into()),
    }
}
