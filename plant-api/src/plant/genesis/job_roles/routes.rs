//! `/api/v1/genesis/job-roles`: the reads of `/api/v1/job-roles`, creation with certified skills, and
//! certification.

use axum::extract::State;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::CatalogueEditor;
use crate::cache::Topic;
use crate::clock::Clock;
use crate::error::{Problem, Result};
use crate::extract::{Json, OptionalJson, Path};
use crate::plant::entity::Kind;
use crate::plant::genesis::routes::certify_entity;
use crate::plant::genesis::twin::under_genesis;
use crate::plant::genesis::{Certification, CertificationDetails};
use crate::plant::job_roles::{
    self, JobRole, JobRoleContent, JobRoleId, Seniority, SkillRequirement,
};
use crate::plant::skills::SkillId;
use crate::state::AppState;
use crate::write::{StoredResponse, Write};

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(under_genesis(routes!(job_roles::routes::list)))
        .routes(routes!(create))
        .routes(under_genesis(routes!(job_roles::routes::find)))
        .routes(routes!(certify))
}

/// A job role to create; it requires at least one skill.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct NewGenesisJobRole {
    /// Name, unique among job roles.
    #[schema(example = "Garden Planner", min_length = 1, max_length = 200)]
    name: String,
    /// Description of the job role.
    #[schema(max_length = 10_000)]
    description: Option<String>,
    /// Ids of the required skills, all of which must be certified.
    #[schema(min_items = 1, max_items = 100)]
    required_skills: Vec<SkillId>,
    /// Required level of experience.
    #[serde(default)]
    seniority_level: Seniority,
}

impl From<NewGenesisJobRole> for JobRoleContent {
    fn from(role: NewGenesisJobRole) -> Self {
        let NewGenesisJobRole { name, description, required_skills, seniority_level } = role;
        Self { name, description, required_skills, seniority_level }
    }
}

#[utoipa::path(
    post,
    path = "/api/v1/genesis/job-roles",
    tag = "genesis",
    security((), ("bearer" = [])),
    summary = "Create a job role that requires certified skills",
    request_body = NewGenesisJobRole,
    responses(
        (status = 201, description = "Created", body = JobRole),
        (status = 409, description = "The name is taken", body = Problem),
        (status = 422, description = "A required skill is unknown or not certified", body = Problem)
    )
)]
async fn create(
    State(clock): State<Clock>,
    Write { caller, body: Json(new), mut tx }: Write<Json<NewGenesisJobRole>, CatalogueEditor>,
) -> Result<StoredResponse> {
    let skills = SkillRequirement::Certified;
    let role = job_roles::create(&mut tx, &clock, &caller, new.into(), skills).await?;
    let location = format!("/api/v1/genesis/job-roles/{}", role.id);
    tx.invalidate(Topic::JobRoles);
    tx.finish(StoredResponse::created(location, role.version_hash, &role)?).await
}

#[utoipa::path(
    post,
    path = "/api/v1/genesis/job-roles/{id}/certify",
    tag = "genesis",
    security((), ("bearer" = [])),
    summary = "Certify a job role; no effect if it is already certified",
    params(("id" = JobRoleId, Path, description = "Id of the job role")),
    request_body = Option<CertificationDetails>,
    responses(
        (status = 200, description = "The job role is certified", body = Certification),
        (status = 404, description = "There is no such job role", body = Problem),
        (status = 409, description = "The hash chain of the job role is broken", body = Problem),
        (status = 422, description = "The job role fails certification checks", body = Problem)
    )
)]
async fn certify(
    State(clock): State<Clock>,
    Path(id): Path<JobRoleId>,
    Write { caller, body: OptionalJson(details), tx }: Write<
        OptionalJson<CertificationDetails>,
        CatalogueEditor,
    >,
) -> Result<StoredResponse> {
    certify_entity(tx, &clock, &caller, (Kind::JobRole, id.0), details).await
}
