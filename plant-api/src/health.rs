//! Operational endpoints: health, liveness, readiness and metrics. None of them queries PostgreSQL
//! or Redis; they report the state of the last heartbeats.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::extract::Json;
use crate::metrics::VERSION;
use crate::redis::{Redis, RedisStatus};
use crate::state::AppState;

/// Returns the routes of the operational endpoints.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(livez))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
}

/// Health of the service and its dependencies.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Health {
    /// `healthy`, `degraded` (Redis unavailable) or `unhealthy` (database unavailable).
    #[schema(example = "healthy")]
    status: &'static str,
    /// Current time.
    timestamp: DateTime<Utc>,
    /// `connected` or `disconnected`.
    #[schema(example = "connected")]
    database: &'static str,
    /// `connected`, `disconnected` or `not_configured`.
    #[schema(example = "connected")]
    redis: &'static str,
    /// Version of the service.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

#[utoipa::path(
    get,
    path = "/health",
    tag = "operations",
    summary = "Health of the service and its dependencies",
    responses(
        (status = 200, description = "Healthy, or degraded: Redis is unavailable", body = Health),
        (status = 503, description = "Unhealthy: the database is unavailable", body = Health)
    )
)]
async fn health(
    State(db): State<Db>,
    State(redis): State<Redis>,
    State(clock): State<Clock>,
) -> Response {
    let redis_status = redis.status();
    let (code, status) = match (db.is_up(), redis_status) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
        (true, RedisStatus::Unavailable) => (StatusCode::OK, "degraded"),
        (true, _) => (StatusCode::OK, "healthy"),
    };
    let health = Health {
        status,
        timestamp: clock.now(),
        database: if db.is_up() { "connected" } else { "disconnected" },
        redis: match redis_status {
            RedisStatus::NotConfigured => "not_configured",
            RedisStatus::Connected => "connected",
            RedisStatus::Unavailable => "disconnected",
        },
        version: VERSION,
    };
    let mut response = (code, Json(health)).into_response();
    if code == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[utoipa::path(
    get,
    path = "/livez",
    tag = "operations",
    summary = "Liveness: whether the process responds",
    responses((status = 200, description = "The process responds", body = String, content_type = "text/plain"))
)]
async fn livez() -> &'static str {
    "live\n"
}

#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    summary = "Readiness: whether this process accepts traffic",
    responses(
        (status = 200, description = "Ready", body = String, content_type = "text/plain"),
        (status = 503, description = "Not ready: shutting down, or the database is unavailable", body = Problem)
    )
)]
async fn readyz(
    State(db): State<Db>,
    State(shutdown): State<CancellationToken>,
) -> Result<&'static str> {
    let unavailable = |what| Error::Unavailable { what, retry_after: std::time::Duration::ZERO };
    if shutdown.is_cancelled() {
        return Err(unavailable("this process (shutting down)"));
    }
    if !db.is_up() {
        return Err(unavailable("the database"));
    }
    Ok("ready\n")
}

#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    summary = "Metrics in Prometheus text format",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain"))
)]
async fn metrics(State(state): State<AppState>) -> Result<Response> {
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((content_type, state.encode_metrics()?).into_response())
}
