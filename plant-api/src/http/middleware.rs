//! Middleware around every request: ids, tracing span, rate limit, timeout, metrics and the
//! problem+json body of errors.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{FutureExt, stream};
use http_body_util::BodyExt;
use hyper::body::Frame;
use tracing::Instrument;
use uuid::Uuid;

use super::compression::compress;
use super::cors::{Cors, RouteMethods};
use crate::content_coding::Accepted;
use crate::error::{Error, Problem, Result};
use crate::limit::{
    BodyReservation, ClientIp, ConnectionLimit, MAX_URI_BYTES, max_unreserved_body_bytes,
};
use crate::metrics::Metrics;
use crate::state::AppState;
use crate::traces::{RequestAttributes, TRACERESPONSE};
use crate::tunables::RequestTunables;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
static CUSTOMER_ID: HeaderName = HeaderName::from_static("x-customer-id");

/// Requests that take longer than this are logged as warnings.
const SLOW_REQUEST: Duration = Duration::from_secs(1);

/// `Retry-After` of a 503 response.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Maximum length in bytes of an id that is accepted from a client.
const MAX_ID_BYTES: usize = 128;

/// Maximum length in bytes of a path that a problem repeats; the rest of a longer one is omitted.
const MAX_INSTANCE_BYTES: usize = 512;

/// Handles one request; the outermost middleware.
pub async fn handle_request(
    State((state, methods)): State<(AppState, Arc<RouteMethods>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let ids = RequestIds::from_headers(request.headers());
    let uri = request.uri().clone();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let path = route.as_ref().map(MatchedPath::as_str);
    let trace = state.traces.start_request(&RequestAttributes {
        headers: request.headers(),
        method,
        route: path,
        request_id: header_text(&ids.request),
    });
    let trace_id = trace.trace_id();
    let span = span(&ids, trace_id.as_deref(), request.headers(), method, uri.path());

    let cors = Cors::new(&state.access_policy.cors_origins, request.method(), request.headers());
    let accepted = Accepted::from_headers(request.headers());
    let (is_options, version) = (request.method() == Method::OPTIONS, request.version());
    let _in_progress = InProgress::start(&state.metrics);
    let tunables = state.tunables.draw();
    request.extensions_mut().insert(tunables);
    let admitted = admit(&state, &request, &tunables, accepted, cors.is_preflight());
    let client = ClientIp::from_extensions(request.extensions());
    let handler = AssertUnwindSafe(async {
        match admitted {
            Ok(()) => {
                let response = next.run(request).await;
                let needs_no_route = cors.is_preflight() || uri.path() == "*";
                let response = methods.respond(is_options, needs_no_route, path, response);
                let response = compress(accepted, &state.request_limits.body_budget, response);
                reserve_memory(&state, client, version, response.await).await
            }
            Err(error) => error.into_response(),
        }
    })
    .catch_unwind();
    let response = trace
        .run(
            async {
        let response = tokio::select! {
            biased;
            result = handler => result
                .unwrap_or_else(|_| Error::Internal("handler panicked".into()).into_response()),
            () = state.db.wait_for_disconnect() => unavailable("the database"),
            () = tokio::time::sleep(state.request_limits.request_timeout) => {
                unavailable("the service (request timeout exceeded)")
            }
        };
        let duration = started.elapsed();
        let status = response.status().as_u16();
        if duration > SLOW_REQUEST {
            tracing::warn!(status, ?duration, "slow request");
        } else {
            tracing::debug!(status, ?duration, "request completed");
        }
        response
    }
    .instrument(span)
    ).await;
    trace.finish(response.status());

    let seconds = started.elapsed().as_secs_f64();
    state.metrics.requests.record(method, path, response.status(), seconds);
    let mut response = write_problem(response, uri.path(), &ids, trace_id);
    if !response.status().is_success() {
        response = compress(accepted, &state.request_limits.body_budget, response).await;
    }
    if method == "HEAD" {
        response = without_body(response);
    }
    if has_credentials(uri.path()) {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Some(value) = trace.header() {
        response.headers_mut().insert(TRACERESPONSE.clone(), value);
    }
    cors.add_headers(&mut response);
    ids.add_to(response)
}

/// Checks the limits that apply before the handler is called.
fn admit(
    state: &AppState,
    request: &Request,
    tunables: &RequestTunables,
    accepted: Accepted,
    is_preflight: bool,
) -> Result<()> {
    let uri = request.uri();
    let length = uri.path().len() + uri.query().map_or(0, |query| 1 + query.len());
    if length > MAX_URI_BYTES {
        return Err(Error::UriTooLong { limit: MAX_URI_BYTES });
    }
    // A page cannot read the response to a preflight, only whether it was allowed.
    if is_operational(uri.path()) || is_preflight {
        return Ok(());
    }
    ConnectionLimit::check(request.extensions())?;
    if accepted.coding.is_none() && !accepted.identity {
        return Err(Error::NotAcceptable);
    }
    if super::is_api(uri.path()) {
        state.access_policy.rate_limit.check(request.extensions())?;
        if is_administrative(uri.path()) {
            return Ok(());
        }
        let in_progress = state.metrics.requests_in_progress.get();
        if state.overload.rejects() || in_progress > tunables.admission_limit {
            return Err(Error::overloaded("the service (too many requests in progress)"));
        }
    }
    Ok(())
}

/// Reserves the memory of a large response until the client has received it.
async fn reserve_memory(
    state: &AppState,
    client: ClientIp,
    version: Version,
    mut response: Response,
) -> Response {
    let length = response.body().size_hint().exact().unwrap_or_default();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length <= max_unreserved_body_bytes(version) {
        return response;
    }
    // The body below does not know its length.
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    match state.request_limits.response_budget.reserve(client, length).await {
        Ok(reservation) => {
            let reservation = Arc::new(reservation);
            response.map(|body| Body::new(body.map_frame(move |frame| hold(frame, &reservation))))
        }
        Err(error) => error.into_response(),
    }
}

/// Ties the reservation to the data, which the server keeps after the end of the body until the client
/// has received it.
fn hold(frame: Frame<Bytes>, reservation: &Arc<BodyReservation>) -> Frame<Bytes> {
    frame.map_data(|data| {
        Bytes::from_owner(ReservedData { data, _reservation: reservation.clone() })
    })
}

struct ReservedData {
    data: Bytes,
    _reservation: Arc<BodyReservation>,
}

impl AsRef<[u8]> for ReservedData {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

/// Returns whether responses contain tokens or answer a password, so that nothing may store them (RFC
/// 6749, section 5.1).
fn has_credentials(path: &str) -> bool {
    path.strip_prefix("/api/v1/auth/")
        .is_some_and(|route| matches!(route, "register" | "login" | "refresh"))
}

/// Returns whether the endpoint must stay reachable under overload.
fn is_operational(path: &str) -> bool {
    matches!(path, "/health" | "/livez" | "/readyz" | "/metrics")
}

/// Returns whether the endpoint must stay reachable so that an operator can raise the admission limit, or
/// reject the workflow that has reduced it.
fn is_administrative(path: &str) -> bool {
    ["/api/v1/admin/", "/admin/", "/api/v1/workflows/"].iter().any(|p| path.starts_with(p))
}

fn unavailable(what: &'static str) -> Response {
    Error::Unavailable { what, retry_after: RETRY_AFTER }.into_response()
}

/// Counts a request as in progress until dropped, also when its future is canceled.
struct InProgress<'a>(&'a Metrics);

impl<'a> InProgress<'a> {
    fn start(metrics: &'a Metrics) -> Self {
        metrics.requests_in_progress.inc();
        Self(metrics)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.requests_in_progress.dec();
    }
}

/// The request id and the correlation id, for the logs of service and client.
struct RequestIds {
    request: HeaderValue,
    correlation: HeaderValue,
}

impl RequestIds {
    fn from_headers(headers: &HeaderMap) -> Self {
        let valid_id =
            |name: &HeaderName| headers.get(name).filter(|value| is_valid_id(value)).cloned();
        let request = valid_id(&REQUEST_ID).unwrap_or_else(new_id);
        let correlation = valid_id(&CORRELATION_ID).unwrap_or_else(|| request.clone());
        Self { request, correlation }
    }

    fn add_to(self, mut response: Response) -> Response {
        response.headers_mut().insert(REQUEST_ID.clone(), self.request);
        response.headers_mut().insert(CORRELATION_ID.clone(), self.correlation);
        response
    }
}

fn new_id() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let id = Uuid::now_v7();
    // A hyphenated UUID is plain ASCII.
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer))
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

fn is_valid_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    !bytes.is_empty() && bytes.len() <= MAX_ID_BYTES && bytes.iter().all(u8::is_ascii_graphic)
}

fn header_text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

fn span(
    ids: &RequestIds,
    trace_id: Option<&str>,
    headers: &HeaderMap,
    method: &str,
    path: &str,
) -> tracing::Span {
    let span = tracing::info_span!(
        "request",
        request_id = header_text(&ids.request),
        correlation_id = header_text(&ids.correlation),
        method,
        path,
        customer_id = tracing::field::Empty,
        trace_id,
    );
    if let Some(customer) = headers.get(&CUSTOMER_ID).filter(|value| is_valid_id(value)) {
        span.record("customer_id", header_text(customer));
    }
    span
}

/// Returns the method as a metric label. Unknown methods share one label, which bounds the number
/// of time series.
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

/// Writes the problem+json body of an error response; axum's own errors get one by their status.
fn write_problem(
    mut response: Response,
    instance: &str,
    ids: &RequestIds,
    trace_id: Option<String>,
) -> Response {
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if (status.is_client_error() || status.is_server_error())
            && !has_json_body(&response) =>
        {
            Problem::from(error_for_status(status))
        }
        None => return response,
    };
    // A path is ASCII.
    let instance = instance.get(..MAX_INSTANCE_BYTES).unwrap_or(instance);
    problem.write_to(response, instance, header_text(&ids.request), trace_id)
}

/// Removes the body of a response to HEAD; its length stays as a header. Handlers' bodies were removed by
/// the router.
fn without_body(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    if !body.is_end_stream()
        && let Some(length) = body.size_hint().exact()
    {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    // Of unknown length, or the router would add a length of zero where GET has none.
    let body = Body::from_stream(stream::empty::<std::result::Result<Bytes, Infallible>>());
    Response::from_parts(parts, body)
}

fn has_json_body(response: &Response) -> bool {
    let content_type =
        response.headers().get(header::CONTENT_TYPE).map(header_text).unwrap_or_default();
    content_type.starts_with("application/") && content_type.contains("json")
}

fn error_for_status(status: StatusCode) -> Error {
    match status {
        StatusCode::NOT_FOUND => Error::no_such("route"),
        StatusCode::METHOD_NOT_ALLOWED => Error::MethodNotAllowed,
        status if status.is_client_error() => Error::Malformed("the request cannot be read".into()),
        _ => Error::Internal("error response without a problem body".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_clients_are_at_most_128_visible_characters() {
        let valid = |text: &str| is_valid_id(&HeaderValue::from_str(text).unwrap());
        assert!(valid("a") && valid(&"x".repeat(128)));
        assert!(!valid("") && !valid(&"x".repeat(129)) && !valid("a b") && !valid("ä"));
    }

    #[test]
    fn only_the_operational_endpoints_are_operational() {
        for path in ["/health", "/livez", "/readyz", "/metrics"] {
            assert!(is_operational(path), "{path}");
        }
        for path in ["/api/v1/agents", "/docs/", "/openapi.json", "/livez/x", "/"] {
            assert!(!is_operational(path), "{path}");
        }
    }
}
