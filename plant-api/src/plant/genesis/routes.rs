//! `/api/v1/genesis/certify`; skills and job roles have their own modules.

use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Certification, CertificationDetails};
use crate::access::{Caller, CatalogueEditor};
use crate::cache::Topic;
use crate::clock::Clock;
use crate::error::{Problem, Result};
use crate::extract::Json;
use crate::plant::entity::Kind;
use crate::state::AppState;
use crate::write::{StoredResponse, Write, WriteTransaction};

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(certify))
}

/// Request to certify an entity.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct CertificationRequest {
    /// Kind of the entity.
    entity_type: Kind,
    /// Id of the entity.
    #[schema(example = "01943e0f-a400-7ece-860d-4a850a5e08b1")]
    entity_id: Uuid,
    /// Notes on the certification; recorded in the amendment.
    #[schema(max_length = 10_000, example = "Reviewed by the board")]
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
    State(clock): State<Clock>,
    Write { caller, body: Json(request), tx }: Write<Json<CertificationRequest>, CatalogueEditor>,
) -> Result<StoredResponse> {
    let CertificationRequest { entity_type, entity_id, notes, evidence } = request;
    let details = CertificationDetails { notes, evidence };
    certify_entity(tx, &clock, &caller, (entity_type, entity_id), details).await
}

/// Certifies an entity and finishes the write.
pub(super) async fn certify_entity(
    mut tx: WriteTransaction,
    clock: &Clock,
    caller: &Caller,
    (kind, id): (Kind, Uuid),
    details: CertificationDetails,
) -> Result<StoredResponse> {
    let certification = super::certify(&mut tx, clock, caller, kind, id, details).await?;
    tx.invalidate(match kind {
        Kind::Skill => Topic::Skills,
        Kind::JobRole => Topic::JobRoles,
        Kind::Team => Topic::Teams,
        Kind::Agent => Topic::Agents,
        Kind::Industry => Topic::Industries,
    });
    tx.finish(StoredResponse::json(&certification)?).await
}
