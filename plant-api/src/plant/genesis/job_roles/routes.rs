//! `/api/v1/genesis/job-roles`.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Caller;
use crate::cache::{Cache, Topic};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::{self, Preconditions};
use crate::extract::{Json, OptionalJson, Path};
use crate::idempotency::{self, Claim, IdempotentRequest, StoredResponse};
use crate::page::{Page, PageParams};
use crate::plant::entity::Kind;
use crate::plant::genesis::{self, Certification, CertificationDetails};
use crate::plant::job_roles::{
    self, JobRole, JobRoleContent, JobRoleId, Seniority, SkillRequirement,
};
use crate::plant::skills::SkillId;
use crate::state::AppState;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(find))
        .routes(routes!(certify))
}

#[utoipa::path(
    get,
    path = "/api/v1/genesis/job-roles",
    tag = "genesis",
    summary = "List job roles, newest first",
    params(PageParams),
    responses((status = 200, description = "A page of job roles", body = Vec<JobRole>))
)]
async fn list(
    State(db): State<Db>,
    State(cache): State<Cache>,
    page: Page,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = async {
        let mut connection = db.acquire().await?;
        let rows = job_roles::sql::list(&mut *connection, &page).await?;
        page.to_cached_response(rows, |job_role| job_role.id.0)
    };
    let cached = cache.get_with(Topic::JobRoles, page.path_and_query(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}

/// A job role to create; it requires at least one skill.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct NewGenesisJobRole {
    /// Name, unique among job roles.
    #[schema(example = "Content Writer", min_length = 1, max_length = 200)]
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
    State(db): State<Db>,
    State(clock): State<Clock>,
    State(cache): State<Cache>,
    caller: Caller,
    request: IdempotentRequest<NewGenesisJobRole>,
) -> Result<StoredResponse> {
    let mut transaction = match idempotency::claim(&db, &clock, &caller, request.key).await? {
        Claim::Replay(response) => return Ok(response),
        Claim::New(transaction) => transaction,
    };
    let (connection, content) = (transaction.connection(), request.body.into());
    let role = job_roles::create(connection, &clock, &caller, content, SkillRequirement::Certified)
        .await?;
    let location = format!("/api/v1/genesis/job-roles/{}", role.id);
    let response =
        transaction.commit(StoredResponse::created(location, role.version_hash, &role)?).await?;
    cache.invalidate(Topic::JobRoles).await;
    Ok(response)
}

#[utoipa::path(
    get,
    path = "/api/v1/genesis/job-roles/{id}",
    tag = "genesis",
    summary = "Get a job role",
    params(("id" = JobRoleId, Path, description = "Id of the job role")),
    responses(
        (status = 200, description = "The job role", body = JobRole),
        (status = 404, description = "There is no such job role", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    State(cache): State<Cache>,
    Path(id): Path<JobRoleId>,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = async {
        let mut connection = db.acquire().await?;
        let found = job_roles::sql::find(&mut *connection, id).await?;
        let job_role = found.ok_or_else(|| Error::no_such("job role"))?;
        etag::to_cached_response(job_role.version_hash, &job_role)
    };
    let cached = cache.get_with(Topic::JobRoles, &id.to_string(), fill).await?;
    Ok(conditions.respond_cached(&cached))
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
    State(db): State<Db>,
    State(clock): State<Clock>,
    State(cache): State<Cache>,
    caller: Caller,
    Path(id): Path<JobRoleId>,
    OptionalJson(details): OptionalJson<CertificationDetails>,
) -> Result<Json<Certification>> {
    let certification =
        genesis::certify(&db, &clock, &caller, Kind::JobRole, id.0, details).await?;
    genesis::routes::invalidate(&cache, &certification).await;
    Ok(Json(certification))
}
