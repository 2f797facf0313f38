//! The middleware, around handlers that fail, never respond, or respond with plain errors.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use futures::FutureExt;
use http_body_util::BodyExt;
use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use utoipa::openapi::OpenApi;

use crate::db::{DatabaseLimits, Db};
use crate::extract::Json;
use crate::http::with_middleware;
use crate::limit::BodyBudget;
use crate::queue::Queue;
use crate::redis::Redis;
use crate::state::{AppState, Handles, RequestLimits};
use crate::testing::TestApp;

/// Timeout for anything that should happen at once.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Returns the handles of a service, to replace some of them.
pub(super) fn handles(app: &TestApp) -> Handles {
    let state = &app.state;
    Handles {
        db: state.db.clone(),
        cache: state.cache.clone(),
        queue: state.queue.clone(),
        metrics: state.metrics.clone(),
        clock: state.clock.clone(),
        access_policy: state.access_policy.clone(),
        request_limits: state.request_limits.clone(),
        overload: state.overload.clone(),
        tunables: state.tunables.clone(),
        traces: state.traces.clone(),
        shutdown: state.shutdown.clone(),
        write_tasks: state.write_tasks.clone(),
    }
}

/// Returns a database that does not exist.
fn unreachable_database(app: &TestApp, pool: &PgPool) -> Db {
    let limits = DatabaseLimits {
        max_connections: 1,
        acquire_timeout: TIMEOUT,
        congestion_target: TIMEOUT,
        statement_timeout: TIMEOUT,
    };
    let options = (*pool.connect_options()).clone().host("127.0.0.1").port(1);
    Db::new(options, limits, app.state.metrics.db_pool_wait.clone())
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(TIMEOUT, future).await.expect("did not happen in time")
}

pub(super) async fn get_path(router: &Router, path: &str) -> Response<Body> {
    let request = Request::get(path).body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

pub(super) async fn json(response: Response<Body>) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

pub(super) fn failing_routes() -> Router<AppState> {
    Router::new()
        .route("/never", get(std::future::pending::<()>))
        .route(
            "/panic",
            get(async || {
                if true {
                    panic!("a bug")
                }
            }),
        )
        .route("/teapot", get(async || (StatusCode::IM_A_TEAPOT, "short and stout")))
        .route("/gateway", get(async || StatusCode::BAD_GATEWAY))
        .route("/missing", get(async || StatusCode::NOT_FOUND))
        .route(
            "/own",
            get(async || {
                (StatusCode::CONFLICT, Json(serde_json::json!({"own": true}))).into_response()
            }),
        )
}

#[sqlx::test(migrations = "../migrations")]
async fn a_request_that_exceeds_its_timeout_is_503(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let limits = app.state.request_limits.clone();
    let request_limits = RequestLimits { request_timeout: Duration::from_millis(1), ..limits };
    let state = AppState::from(Handles { request_limits, ..handles(&app) });
    let router = with_middleware(failing_routes(), &OpenApi::default(), state);
    let response = within(get_path(&router, "/never")).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    let problem = json(response).await;
    assert_eq!(problem["code"], "unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("timeout"), "{problem}");
    let text = app.get("/metrics").await.text;
    assert!(text.contains("path=\"/never\",status=\"503\"} 1"), "{text}");
    assert!(text.contains("http_request_duration_seconds_count{method=\"GET\",path=\"/never\"} 1"));
    assert!(text.contains("http_requests_in_progress 1\n"), "only this one:\n{text}");
}

#[sqlx::test(migrations = "../migrations")]
async fn large_responses_reserve_memory_until_they_are_received(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let response_budget = BodyBudget::new(100_000, Duration::ZERO);
    let limits = app.state.request_limits.clone();
    let request_limits = RequestLimits { response_budget, ..limits };
    let state = AppState::from(Handles { request_limits, ..handles(&app) });
    let routes = Router::new()
        .route("/large", get(|| async { "x".repeat(60_000) }))
        .route("/small", get(|| async { "x".repeat(16_000) }));
    let router = with_middleware(routes, &OpenApi::default(), state);
    let slow_client = get_path(&router, "/large").await;
    assert_eq!(slow_client.status(), 200);
    let refused = get_path(&router, "/large").await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    assert_eq!(get_path(&router, "/small").await.status(), 200);
    // The server keeps the data after the end of the body.
    let mut body = slow_client.into_body();
    let sent = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(body.frame().await.is_none());
    drop(body);
    assert_eq!((sent.len(), get_path(&router, "/large").await.status().as_u16()), (60_000, 503));
    drop(sent);
    assert_eq!(get_path(&router, "/large").await.status(), 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_waiting_request_is_503_when_the_database_is_lost(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let db = unreachable_database(&app, &pool);
    let state = AppState::from(Handles { db: db.clone(), ..handles(&app) });
    let router = with_middleware(failing_routes(), &OpenApi::default(), state);
    let mut waiting = Box::pin(get_path(&router, "/never"));
    assert!(waiting.as_mut().now_or_never().is_none());
    tokio::spawn(db.run_heartbeat(CancellationToken::new()));
    let response = within(waiting).await;
    assert_eq!(response.status(), 503);
    let problem = json(response).await;
    assert!(problem["detail"].as_str().unwrap().contains("the database"), "{problem}");
}

#[sqlx::test(migrations = "../migrations")]
async fn health_is_503_when_the_database_is_lost(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let db = unreachable_database(&app, &pool);
    let state = AppState::from(Handles { db: db.clone(), ..handles(&app) });
    let router = crate::app::router(state, app.agent).unwrap().0;
    tokio::spawn(db.clone().run_heartbeat(CancellationToken::new()));
    within(async {
        while db.is_up() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let response = get_path(&router, "/health").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    let health = json(response).await;
    assert_eq!(
        (&health["status"], &health["database"]),
        (&"unhealthy".into(), &"disconnected".into())
    );
    assert_eq!(get_path(&router, "/readyz").await.status(), 503);
    assert_eq!(get_path(&router, "/livez").await.status(), 200);
    assert_eq!(get_path(&router, "/api/v1/skills").await.status(), 503);
}

#[sqlx::test(migrations = "../migrations")]
async fn health_is_degraded_but_200_when_only_redis_is_lost(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let redis = Redis::new(Some("redis://127.0.0.1:1")).unwrap();
    tokio::spawn(redis.clone().run_heartbeat(CancellationToken::new()));
    let state = AppState::from(Handles { queue: Queue::new(redis, ""), ..handles(&app) });
    let router = crate::app::router(state, app.agent).unwrap().0;
    within(async {
        loop {
            let response = get_path(&router, "/health").await;
            assert_eq!(response.status(), 200);
            let health = json(response).await;
            if health["redis"] == "disconnected" {
                assert_eq!(health["status"], "degraded");
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!(get_path(&router, "/readyz").await.status(), 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn every_error_of_a_handler_becomes_a_problem(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let router = with_middleware(failing_routes(), &OpenApi::default(), app.state.clone());
    for (path, status, code) in [
        ("/panic", 500, "internal"),
        ("/teapot", 418, "malformed-request"),
        ("/gateway", 502, "internal"),
        ("/missing", 404, "not-found"),
    ] {
        let response = get_path(&router, path).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let problem = json(response).await;
        assert_eq!((&problem["code"], &problem["instance"]), (&code.into(), &path.into()));
        assert_eq!(problem["request_id"], id.as_str());
    }
    let own = get_path(&router, "/own").await;
    assert_eq!(own.status(), 409);
    assert_eq!(json(own).await["own"], true);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_canceled_request_is_not_in_progress(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let router = with_middleware(failing_routes(), &OpenApi::default(), app.state.clone());
    let in_progress = &app.state.metrics.requests_in_progress;
    let mut waiting = Box::pin(get_path(&router, "/never"));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(in_progress.get(), 1);
    drop(waiting);
    assert_eq!(in_progress.get(), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn unknown_methods_share_one_label(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for method in ["PROPFIND", "get", "PATCH"] {
        app.send(Request::builder().method(method).uri("/livez").body(Body::empty()).unwrap())
            .await;
    }
    let text = app.get("/metrics").await.text;
    assert!(text.contains("{method=\"OTHER\",path=\"unmatched\",status=\"405\"} 2"), "{text}");
    assert!(text.contains("{method=\"PATCH\",path=\"unmatched\",status=\"405\"} 1"), "{text}");
}
