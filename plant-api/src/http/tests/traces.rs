//! Traces, as a collector receives them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;
use serde_json::json;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tracing_subscriber::layer::SubscriberExt;

use super::middleware::{failing_routes, get_path, handles};
use utoipa::openapi::OpenApi;

use crate::config::{TraceSampler, TracesConfig};
use crate::http::with_middleware;
use crate::http_client::CollectorClient;
use crate::state::{AppState, Handles};
use crate::testing::TestApp;
use crate::traces::{StatementSpans, Traces};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOT_SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// A collector that stores what it receives, as long as it has permits.
#[derive(Clone)]
struct Collector {
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    permits: Arc<Semaphore>,
}

impl Collector {
    /// Starts a collector and returns it with an exporter to it.
    async fn start(permits: usize, sampler: TraceSampler, sampled_share: f64) -> (Self, Traces) {
        let permits = Arc::new(Semaphore::new(permits));
        let collector = Self { received: Arc::default(), permits };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Some(format!("http://{}/", listener.local_addr().unwrap()));
        let receive = async |State(collector): State<Self>, body: Bytes| {
            collector.permits.acquire().await.unwrap().forget();
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            collector.received.lock().unwrap().push(request);
            StatusCode::OK
        };
        let router = Router::new().route("/v1/traces", post(receive)).with_state(collector.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        let service_name = "plant-under-test".into();
        let config = TracesConfig { endpoint, service_name, sampler, sampled_share };
        (collector, Traces::new(&config, CollectorClient::new()).unwrap())
    }

    /// Returns the spans received so far, in the order of their start.
    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let mut spans: Vec<Span> = received
            .iter()
            .flat_map(|request| &request.resource_spans)
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| scope.spans.clone())
            .collect();
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans
    }

    fn names(&self) -> Vec<String> {
        self.spans().into_iter().map(|span| span.name).collect()
    }
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|one| (one.key.as_str(), text(&one.value))).collect()
}

/// Returns the service of `app` with this export.
fn service(app: &TestApp, traces: &Traces) -> Router {
    let state = AppState::from(Handles { traces: traces.clone(), ..handles(app) });
    crate::app::router(state, app.agent.clone()).unwrap().0
}

async fn send(
    router: &Router,
    request: axum::http::request::Builder,
    body: Body,
) -> Response<Body> {
    router.clone().oneshot(request.body(body).unwrap()).await.unwrap()
}

async fn get(router: &Router, path: &str, traceparent: &str) -> Response<Body> {
    send(router, Request::get(path).header("traceparent", traceparent), Body::empty()).await
}

fn traceresponse(response: &Response<Body>) -> Option<&str> {
    response.headers().get("traceresponse").map(|value| value.to_str().unwrap())
}

#[sqlx::test(migrations = "../migrations")]
async fn a_sampled_request_is_exported_with_what_it_waited_for(pool: PgPool) {
    let subscriber = tracing_subscriber::registry().with(StatementSpans.layer());
    // For all threads, or the events that another thread logs first would be disabled for this one, too.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let app = TestApp::new(pool).await;
    let (collector, traces) = Collector::start(9, TraceSampler::ParentBasedAlwaysOff, 0.0).await;
    let router = service(&app, &traces);
    let body = json!({"name": "confidential", "category": "technical"}).to_string();
    let request = Request::post("/api/v1/skills?page=confidential")
        .header("traceparent", SAMPLED)
        .header("x-request-id", "request-7")
        .header("x-customer-id", "confidential")
        .header("content-type", "application/json");
    let response = send(&router, request, body.into()).await;
    assert_eq!(response.status(), 201);
    traces.shutdown().await;

    let spans = collector.spans();
    let (request, children) = spans.split_first().unwrap();
    let id = hex::encode(&request.span_id);
    assert_eq!(traceresponse(&response), Some(format!("00-{TRACE}-{id}-01").as_str()));
    assert_eq!(hex::encode(&request.parent_span_id), PARENT);
    assert_eq!((request.name.as_str(), request.kind()), ("POST /api/v1/skills", SpanKind::Server));
    let expected = BTreeMap::from([
        ("http.request.method", "POST".to_owned()),
        ("http.response.status_code", "201".to_owned()),
        ("http.route", "/api/v1/skills".to_owned()),
        ("plant.request_id", "request-7".to_owned()),
    ]);
    assert_eq!(attributes(&request.attributes), expected);
    for child in children {
        assert_eq!(child.parent_span_id, request.span_id, "{}", child.name);
        assert_eq!(child.kind(), SpanKind::Client);
        assert_eq!(attributes(&child.attributes)["db.system.name"], "postgresql");
        assert!(child.end_time_unix_nano <= request.end_time_unix_nano, "{}", child.name);
    }
    let names: Vec<_> = children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(names.first(), Some(&"acquire connection"));
    assert_eq!(names.last(), Some(&"commit"), "{names:?}");
    assert!(names.len() > 2, "a statement: {names:?}");
    assert!(spans.iter().all(|span| hex::encode(&span.trace_id) == TRACE));
    assert!(!format!("{spans:?}").contains("confidential"));

    let received = collector.received.lock().unwrap();
    let resource = received[0].resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(attributes(&resource.attributes)["service.name"], "plant-under-test");
}

#[sqlx::test(migrations = "../migrations")]
async fn commands_to_redis_are_spans_with_the_name_of_the_command(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let (collector, traces) = Collector::start(9, TraceSampler::ParentBasedAlwaysOff, 0.0).await;
    let response = get(&service(&app, &traces), "/api/v1/skills", SAMPLED).await;
    assert_eq!(response.status(), 200);
    traces.shutdown().await;
    let spans = collector.spans();
    let command = spans.iter().find(|span| {
        attributes(&span.attributes).get("db.system.name").is_some_and(|name| name == "redis")
    });
    let command = command.expect("a command");
    assert!(command.name.bytes().all(|b| b.is_ascii_uppercase()), "{}", command.name);
    assert_eq!(command.parent_span_id, spans[0].span_id);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_sampled_flag_decides_and_without_it_the_sampler(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (sampler, share, expected) in [
        (TraceSampler::ParentBasedAlwaysOn, 0.0, [true, false, true]),
        (TraceSampler::ParentBasedAlwaysOff, 0.0, [true, false, false]),
        (TraceSampler::ParentBasedTraceIdRatio, 0.0, [true, false, false]),
        (TraceSampler::ParentBasedTraceIdRatio, 1.0, [true, false, true]),
        (TraceSampler::TraceIdRatio, 0.0, [false, false, false]),
        (TraceSampler::TraceIdRatio, 1.0, [true, true, true]),
        (TraceSampler::AlwaysOn, 0.0, [true, true, true]),
        (TraceSampler::AlwaysOff, 0.0, [false, false, false]),
    ] {
        let (collector, traces) = Collector::start(9, sampler, share).await;
        let router = service(&app, &traces);
        let without = get_path(&router, "/livez").await;
        let responses = [
            get(&router, "/livez", SAMPLED).await,
            get(&router, "/livez", NOT_SAMPLED).await,
            without,
        ];
        traces.shutdown().await;
        let sampled = responses.each_ref().map(|response| {
            let (id, flags) = traceresponse(response).unwrap().rsplit_once('-').unwrap();
            let span = id.rsplit_once('-').unwrap().1;
            let exported = collector.spans().iter().any(|one| hex::encode(&one.span_id) == span);
            assert_eq!(flags == "01", exported, "{sampler:?} {share}");
            exported
        });
        assert_eq!(sampled, expected, "{sampler:?} {share}");
        assert!(traceresponse(&responses[1]).unwrap().starts_with(&NOT_SAMPLED[..36]));
        assert!(!traceresponse(&responses[2]).unwrap().contains(TRACE), "a new trace");
        assert!(collector.spans().iter().all(|span| {
            let is_new = hex::encode(&span.trace_id) != TRACE;
            span.parent_span_id.is_empty() == is_new
        }));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn server_errors_are_errors_of_the_span_and_unmatched_paths_are_not_exported(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (collector, traces) = Collector::start(9, TraceSampler::AlwaysOn, 1.0).await;
    let state = AppState::from(Handles { traces: traces.clone(), ..handles(&app) });
    let router = with_middleware(failing_routes(), &OpenApi::default(), state);
    get_path(&router, "/gateway").await;
    get_path(&router, "/secret-path").await;
    let problem = super::middleware::json(get(&router, "/panic", SAMPLED).await).await;
    assert_eq!((&problem["status"], &problem["trace_id"]), (&500.into(), &TRACE.into()));
    traces.shutdown().await;
    let spans = collector.spans();
    let codes =
        spans.iter().map(|span| span.status.as_ref().map_or(SpanStatus::Unset, Status::code));
    assert_eq!(
        codes.collect::<Vec<_>>(),
        [SpanStatus::Error, SpanStatus::Unset, SpanStatus::Error]
    );
    assert_eq!(attributes(&spans[0].attributes)["error.type"], "502");
    assert_eq!(collector.names(), ["GET /gateway", "GET", "GET /panic"]);
    assert!(!format!("{spans:?}").contains("secret-path"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_request_that_is_given_up_ends_its_span(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (collector, traces) = Collector::start(9, TraceSampler::AlwaysOn, 1.0).await;
    let state = AppState::from(Handles { traces: traces.clone(), ..handles(&app) });
    let router = with_middleware(failing_routes(), &OpenApi::default(), state);
    let mut waiting = Box::pin(get_path(&router, "/never"));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    drop(waiting);
    traces.shutdown().await;
    assert_eq!(collector.names(), ["GET /never"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_collector_traces_are_only_named(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let router = service(&app, &Traces::default());
    let response = get(&router, "/livez", SAMPLED).await;
    let value = traceresponse(&response).unwrap();
    assert!(value.starts_with(&SAMPLED[..36]) && value.ends_with("-00"), "{value}");
    assert!(!value.contains(PARENT), "the span of the service: {value}");
    for invalid in ["", "00", &SAMPLED.to_uppercase(), &SAMPLED.replace("00-", "ff-")] {
        assert_eq!(traceresponse(&get(&router, "/livez", invalid).await), None, "{invalid}");
    }
    assert_eq!(traceresponse(&get_path(&router, "/livez").await), None);
    let problem = async |response| super::middleware::json(response).await;
    assert_eq!(problem(get(&router, "/nowhere", SAMPLED).await).await["trace_id"], TRACE);
    let without = problem(get_path(&router, "/nowhere").await).await;
    assert!(without.get("trace_id").is_none(), "{without}");
}

/// Maximum number of spans that the exporter keeps, by the defaults of OpenTelemetry: in its queue, and in
/// the batch that it is sending.
const MAX_KEPT_SPANS: usize = 2048 + 512;

#[sqlx::test(migrations = "../migrations")]
async fn a_collector_that_hangs_delays_no_request_and_the_memory_is_bounded(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (collector, traces) = Collector::start(0, TraceSampler::AlwaysOn, 1.0).await;
    let router = service(&app, &traces);
    // No permit: had a request to wait for the collector, this would not end.
    for _ in 0..2 * MAX_KEPT_SPANS {
        assert_eq!(get_path(&router, "/livez").await.status(), 200);
    }
    collector.permits.add_permits(100);
    traces.shutdown().await;
    assert!(collector.spans().len() <= MAX_KEPT_SPANS, "{}", collector.spans().len());
}
