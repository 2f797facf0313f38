//! Operations: health, liveness, readiness, metrics. None of them asks the database: the
//! heartbeats already know.

use axum::extract::State as Extract;
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
use crate::metrics::{Metrics, VERSION, clamp};
use crate::redis::{Redis, RedisStatus};
use crate::state::State;

/// The operations' routes.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(livez))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
}

/// How the service is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Health {
    /// `healthy`; `degraded` when only Redis is away; `unhealthy` when the database is.
    #[schema(example = "healthy")]
    status: &'static str,
    /// Now.
    timestamp: DateTime<Utc>,
    /// `connected` or `disconnected`.
    #[schema(example = "connected")]
    database: &'static str,
    /// `connected`, `disconnected` or `not_configured`.
    #[schema(example = "connected")]
    redis: &'static str,
    /// The version of this build.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

#[utoipa::path(
    get,
    path = "/health",
    tag = "operations",
    summary = "Health of the service and what it depends on",
    responses(
        (status = 200, description = "Healthy, or degraded when only Redis is away", body = Health),
        (status = 503, description = "Unhealthy: the database is away", body = Health)
    )
)]
async fn health(
    Extract(db): Extract<Db>,
    Extract(redis): Extract<Redis>,
    Extract(clock): Extract<Clock>,
) -> Response {
    let redis_status = redis.status();
    let (code, status) = match (db.is_up(), redis_status) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
        (true, RedisStatus::Away) => (StatusCode::OK, "degraded"),
        (true, _) => (StatusCode::OK, "healthy"),
    };
    let health = Health {
        status,
        timestamp: clock.now(),
        database: if db.is_up() { "connected" } else { "disconnected" },
        redis: match redis_status {
            RedisStatus::NotConfigured => "not_configured",
            RedisStatus::Connected => "connected",
            RedisStatus::Away => "disconnected",
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
    summary = "Whether the process runs",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain"))
)]
async fn livez() -> &'static str {
    "live\n"
}

#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    summary = "Whether to send traffic here",
    responses(
        (status = 200, description = "Yes", body = String, content_type = "text/plain"),
        (status = 503, description = "Not now: draining, or the database is away", body = Problem)
    )
)]
async fn readyz(
    Extract(db): Extract<Db>,
    Extract(stop): Extract<CancellationToken>,
) -> Result<&'static str> {
    let unavailable = |what| Error::Unavailable { what, retry_after: std::time::Duration::ZERO };
    if stop.is_cancelled() {
        return Err(unavailable("this process, which is draining,"));
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
    summary = "Figures in Prometheus text format",
    responses((status = 200, description = "The figures", body = String, content_type = "text/plain"))
)]
async fn metrics(
    Extract(metrics): Extract<Metrics>,
    Extract(db): Extract<Db>,
    Extract(redis): Extract<Redis>,
) -> Result<Response> {
    let (in_use, idle, most) = db.pool_use();
    metrics.db_connections.with_label_values(&["in_use"]).set(clamp(in_use));
    metrics.db_connections.with_label_values(&["idle"]).set(clamp(idle));
    metrics.db_max.set(clamp(most));
    let (backends, max_connections) = db.server_use();
    metrics.pg_backends.set(backends);
    metrics.pg_max_connections.set(max_connections);
    let (in_use, idle) = redis.pool_use();
    metrics.redis_connections.with_label_values(&["in_use"]).set(clamp(in_use as u64));
    metrics.redis_connections.with_label_values(&["idle"]).set(clamp(idle as u64));
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, metrics.text()?).into_response())
}
