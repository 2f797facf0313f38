//! `/api/v1/genesis/certify`; skills and job roles have their own modules.

use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Certification, CertificationDetails};
use crate::access::Caller;
use crate::cache::{Cache, Topic};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Problem, Result};
use crate::extract::Json;
use crate::plant::entity::Kind;
use crate::state::AppState;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(certify))
}

/// Request to certify an entity.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct CertificationRequest {
    /// Kind of the entity.
    entity_type: Kind,
    /// Id of the entity.
    entity_id: Uuid,
    /// Notes on the certification; recorded in the amendment.
    #[schema(max_length = 10_000)]
    notes: Option<String>,
    /// Evidence for the certification: any JSON value of at most 64 KiB; recorded in the amendment.
    #[schema(value_type = Value, required = false)]
    evidence: Option<Value>,
}

#[utoipa::path(
    post,
    path = "/api/v1/genesis/certify",
    tag = "genesis",
    security((), ("bearer" = [])),
    summary = "Certify an entity of any kind; no effect if it is already certified",
    request_body = CertificationRequest,
    responses(
        (status = 200, description = "The entity is certified", body = Certification),
        (status = 404, description = "There is no such entity of this kind", body = Problem),
        (status = 409, description = "The hash chain of the entity is broken", body = Problem),
        (status = 422, description = "The entity fails certification checks", body = Problem)
    )
)]
async fn certify(
    State(db): State<Db>,
    State(clock): State<Clock>,
    State(cache): State<Cache>,
    caller: Caller,
    Json(request): Json<CertificationRequest>,
) -> Result<Json<Certification>> {
    let CertificationRequest { entity_type, entity_id, notes, evidence } = request;
    let details = CertificationDetails { notes, evidence };
    let certification =
        super::certify(&db, &clock, &caller, entity_type, entity_id, details).await?;
    invalidate(&cache, &certification).await;
    Ok(Json(certification))
}

/// Invalidates the cached responses that contain the entity, if it was newly certified.
pub async fn invalidate(cache: &Cache, certification: &Certification) {
    if certification.newly_certified {
        let topic = match certification.entity_type {
            Kind::Skill => Topic::Skills,
            Kind::JobRole => Topic::JobRoles,
            Kind::Team => Topic::Teams,
            Kind::Agent => Topic::Agents,
            Kind::Industry => Topic::Industries,
        };
        cache.invalidate(topic).await;
    }
}
