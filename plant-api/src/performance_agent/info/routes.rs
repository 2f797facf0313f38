//! The routes of health, settings and capabilities.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{AgentConfiguration, AgentHealth, Capabilities, ComponentStatus, DetailedAgentHealth};
use crate::access::Administrator;
use crate::error::{Problem, Result};
use crate::etag::Preconditions;
use crate::extract::Json;
use crate::performance_agent::Agent;
use crate::state::AppState;

/// Returns the routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(detailed_health))
        .routes(routes!(configuration))
        .routes(routes!(capabilities))
}

#[utoipa::path(
    get,
    path = "/api/v1/health",
    tag = "performance agent",
    summary = "Health of the performance agent, without any query",
    responses(
        (status = 200, description = "Healthy, or degraded: Redis is unavailable", body = AgentHealth),
        (status = 503, description = "Unhealthy: the database is unavailable", body = AgentHealth)
    )
)]
async fn health(State(state): State<AppState>, Extension(agent): Extension<Agent>) -> Response {
    let health = super::health(&state, &agent);
    respond_health(health.status, health)
}

#[utoipa::path(
    get,
    path = "/api/v1/health/detailed",
    tag = "performance agent",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Health of the performance agent and of the components, measured",
    responses(
        (status = 200, description = "Healthy or degraded", body = DetailedAgentHealth),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem),
        (status = 503, description = "Unhealthy: the database does not respond", body = DetailedAgentHealth)
    )
)]
async fn detailed_health(
    State(state): State<AppState>,
    Extension(agent): Extension<Agent>,
    _: Administrator,
) -> Response {
    let health = super::detailed_health(&state, &agent).await;
    respond_health(health.health.status, health)
}

fn respond_health(status: ComponentStatus, health: impl Serialize) -> Response {
    if status != ComponentStatus::Unhealthy {
        return Json(health).into_response();
    }
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, Json(health)).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

#[utoipa::path(
    get,
    path = "/api/v1/config",
    tag = "performance agent",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Settings of the performance agent and of the service, without secrets",
    responses(
        (status = 200, description = "The settings", body = AgentConfiguration),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem)
    )
)]
async fn configuration(
    Extension(agent): Extension<Agent>,
    _: Administrator,
    conditions: Preconditions,
) -> Result<Response> {
    conditions.respond_with_content_etag(&super::configuration(&agent))
}

#[utoipa::path(
    get,
    path = "/api/v1/capabilities",
    tag = "performance agent",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "What the performance agent can do",
    responses(
        (status = 200, description = "The capabilities", body = Capabilities),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem)
    )
)]
async fn capabilities(
    Extension(agent): Extension<Agent>,
    _: Administrator,
    conditions: Preconditions,
) -> Result<Response> {
    conditions.respond_with_content_etag(&super::capabilities(&agent))
}
