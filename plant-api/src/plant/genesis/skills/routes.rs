//! `/api/v1/genesis/skills`: the routes of `/api/v1/skills`, and certification.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::CatalogueEditor;
use crate::clock::Clock;
use crate::error::{Problem, Result};
use crate::extract::{OptionalJson, Path};
use crate::plant::entity::Kind;
use crate::plant::genesis::routes::certify_entity;
use crate::plant::genesis::twin::under_genesis;
use crate::plant::genesis::{Certification, CertificationDetails};
use crate::plant::skills::{SkillId, routes as skills};
use crate::state::AppState;
use crate::write::{StoredResponse, Write};

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(under_genesis(routes!(skills::list, skills::create)))
        .routes(under_genesis(routes!(skills::find)))
        .routes(routes!(certify))
}

#[utoipa::path(
    post,
    path = "/api/v1/genesis/skills/{id}/certify",
    tag = "genesis",
    security((), ("bearer" = [])),
    summary = "Certify a skill; no effect if it is already certified",
    params(("id" = SkillId, Path, description = "Id of the skill")),
    request_body = Option<CertificationDetails>,
    responses(
        (status = 200, description = "The skill is certified", body = Certification),
        (status = 404, description = "There is no such skill", body = Problem),
        (status = 409, description = "The hash chain of the skill is broken", body = Problem),
        (status = 422, description = "The skill fails certification checks", body = Problem)
    )
)]
async fn certify(
    State(clock): State<Clock>,
    Path(id): Path<SkillId>,
    Write { caller, body: OptionalJson(details), tx }: Write<
        OptionalJson<CertificationDetails>,
        CatalogueEditor,
    >,
) -> Result<StoredResponse> {
    certify_entity(tx, &clock, &caller, (Kind::Skill, id.0), details).await
}
