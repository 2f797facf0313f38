//! Traces: a span for each request, and below it spans for what the request waits for (connections,
//! statements, Redis), exported by OTLP to an OpenTelemetry collector.
//!
//! Nothing is recorded unless a collector is configured and the request is sampled. The OpenTelemetry
//! context of the task holds the span and the tracer of a sampled request, so that [`child`] needs no
//! handle. Attributes contain route templates, statuses and request ids: no paths, headers or values.

mod export;
mod statements;
mod traceparent;

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use opentelemetry::context::FutureExt;
use opentelemetry::trace::{
    Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HttpClient;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub use statements::StatementSpans;

use crate::config::TracesConfig;

/// Header of a response: the trace and the span of the request, in the form of `traceparent`.
pub static TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// Timeout for exporting the remaining spans when the process stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Records and exports spans, or does nothing (the default). Clones share the state.
#[derive(Clone, Default)]
pub struct Traces(Option<Export>);

#[derive(Clone)]
struct Export {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Starts the export to the collector through `client`, in a thread of its own; without a collector
    /// nothing is exported.
    ///
    /// # Errors
    /// When another setting of OpenTelemetry in the environment is invalid.
    pub fn new(
        config: &TracesConfig,
        client: impl HttpClient + 'static,
    ) -> Result<Self, opentelemetry_otlp::ExporterBuildError> {
        Ok(Self(export::start(config, client)?))
    }

    /// Returns whether spans are exported.
    pub fn is_exporting(&self) -> bool {
        self.0.is_some()
    }

    /// Starts the span of a request, as a part of the trace in its `traceparent` if that is valid.
    pub fn start_request(&self, request: &RequestAttributes<'_>) -> RequestTrace {
        let parent = traceparent::from_headers(request.headers);
        let Some(export) = &self.0 else {
            return RequestTrace { context: None, ids: parent.map(|parent| unsampled(&parent)) };
        };
        let parent = parent.map(|parent| Context::new().with_remote_span_context(parent));
        let mut span = export
            .tracer
            .span_builder(request.method)
            .with_kind(SpanKind::Server)
            .start_with_context(&export.tracer, &parent.unwrap_or_default());
        let ids = Some(span.span_context().clone());
        if !span.is_recording() {
            return RequestTrace { context: None, ids };
        }
        span.set_attribute(KeyValue::new("http.request.method", request.method));
        span.set_attribute(KeyValue::new("plant.request_id", request.request_id.to_owned()));
        if let Some(route) = request.route {
            span.update_name(format!("{} {route}", request.method));
            span.set_attribute(KeyValue::new("http.route", route.to_owned()));
        }
        let context = Context::new().with_value(export.tracer.clone()).with_span(span);
        RequestTrace { context: Some(context), ids }
    }

    /// Exports the remaining spans, for two seconds at most.
    pub async fn shutdown(&self) {
        let Some(Export { provider, .. }) = self.0.clone() else { return };
        let shutdown = move || provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT);
        if !matches!(tokio::task::spawn_blocking(shutdown).await, Ok(Ok(()))) {
            tracing::warn!("some spans were not exported");
        }
    }
}

/// Returns the span of a request that is not recorded.
fn unsampled(parent: &SpanContext) -> SpanContext {
    let id = SpanId::from(fastrand::u64(1..));
    SpanContext::new(parent.trace_id(), id, TraceFlags::default(), false, TraceState::default())
}

/// What the span of a request contains.
pub struct RequestAttributes<'a> {
    pub headers: &'a HeaderMap,
    /// One of the known methods, as in the metrics.
    pub method: &'static str,
    /// Route template; `None`: no route matches.
    pub route: Option<&'a str>,
    pub request_id: &'a str,
}

/// The trace of a request. Its span ends with [`RequestTrace::finish`], or when this is dropped.
pub struct RequestTrace {
    /// The context of a sampled request.
    context: Option<Context>,
    /// Ids of the trace and of the span; `None` without a collector, if the request has no trace either.
    ids: Option<SpanContext>,
}

impl RequestTrace {
    /// Returns the id of the trace in hexadecimal.
    pub fn trace_id(&self) -> Option<String> {
        self.ids.as_ref().map(|ids| ids.trace_id().to_string())
    }

    /// Returns the value of the header [`TRACERESPONSE`].
    pub fn header(&self) -> Option<HeaderValue> {
        self.ids.as_ref().and_then(traceparent::to_header)
    }

    /// Runs the handler of the request, so that [`child`] spans belong to it.
    pub async fn run<F: Future>(&self, handler: F) -> F::Output {
        let mut handler = pin!(handler);
        poll_fn(|task| {
            let _attached = self.context.clone().map(Context::attach);
            handler.as_mut().poll(task)
        })
        .await
    }

    /// Ends the span of the request.
    pub fn finish(&self, status: StatusCode) {
        let Some(context) = &self.context else { return };
        let span = context.span();
        let code = i64::from(status.as_u16());
        span.set_attribute(KeyValue::new("http.response.status_code", code));
        if status.is_server_error() {
            span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

impl Drop for RequestTrace {
    fn drop(&mut self) {
        // A commit that outlives the request also holds the context.
        if let Some(context) = &self.context {
            context.span().end();
        }
    }
}

/// The span of a part of a request, which ends when this is dropped; none, unless the request is sampled.
pub struct ChildSpan {
    _span: Option<opentelemetry_sdk::trace::Span>,
}

/// Starts the span of an operation of `system`, such as `postgresql`, that the current request waits for.
pub fn child(system: &'static str, operation: impl FnOnce() -> Cow<'static, str>) -> ChildSpan {
    let start = |tracer: &SdkTracer, parent: &Context| {
        let builder = tracer.span_builder(operation()).with_kind(SpanKind::Client);
        let system = KeyValue::new("db.system.name", system);
        builder.with_attributes([system]).start_with_context(tracer, parent)
    };
    let span = Context::map_current(|parent| {
        parent.get::<SdkTracer>().map(|tracer| start(tracer, parent))
    });
    ChildSpan { _span: span }
}

/// Returns `future` as a part of the current request, for a task that outlives it.
pub fn in_current_trace<F: Future>(future: F) -> impl Future<Output = F::Output> {
    future.with_current_context()
}
