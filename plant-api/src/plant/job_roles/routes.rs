//! `/api/v1/job-roles`.

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{JobRole, JobRoleContent, JobRoleId, SkillRequirement, sql};
use crate::access::CatalogueEditor;
use crate::cache::{RequestCache, Topic};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::{self, Preconditions};
use crate::extract::{Json, Path};
use crate::page::{Page, PageParams};
use crate::state::AppState;
use crate::write::{StoredResponse, Write};

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find))
}

#[utoipa::path(
    get,
    path = "/api/v1/job-roles",
    tag = "catalogue",
    summary = "List job roles, newest first",
    params(PageParams),
    responses((status = 200, description = "A page of job roles", body = Vec<JobRole>))
)]
pub(crate) async fn list(
    State(db): State<Db>,
    cache: RequestCache,
    page: Page,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = || async {
        let mut connection = db.acquire().await?;
        let rows = sql::list(&mut *connection, &page);
        page.to_cached_response(rows, |job_role| job_role.id.0).await
    };
    let cached = cache.get_with(Topic::JobRoles, &page.key(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}

#[utoipa::path(
    post,
    path = "/api/v1/job-roles",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "Create a job role",
    request_body = JobRoleContent,
    responses(
        (status = 201, description = "Created", body = JobRole),
        (status = 409, description = "The name is taken", body = Problem)
    )
)]
async fn create(
    State(clock): State<Clock>,
    Write { caller, body: Json(new), mut tx }: Write<Json<JobRoleContent>, CatalogueEditor>,
) -> Result<StoredResponse> {
    let skills = SkillRequirement::Existing;
    let job_role = super::create(&mut tx, &clock, &caller, new, skills).await?;
    let location = format!("/api/v1/job-roles/{}", job_role.id);
    tx.invalidate(Topic::JobRoles);
    tx.finish(StoredResponse::created(location, job_role.version_hash, &job_role)?).await
}

#[utoipa::path(
    get,
    path = "/api/v1/job-roles/{id}",
    tag = "catalogue",
    summary = "Get a job role",
    params(("id" = JobRoleId, Path, description = "Id of the job role")),
    responses(
        (status = 200, description = "The job role", body = JobRole),
        (status = 404, description = "There is no such job role", body = Problem)
    )
)]
pub(crate) async fn find(
    State(db): State<Db>,
    cache: RequestCache,
    Path(id): Path<JobRoleId>,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = || async {
        let mut connection = db.acquire().await?;
        let found = sql::find(&mut *connection, id).await?;
        let job_role = found.ok_or_else(|| Error::no_such("job role"))?;
        etag::to_cached_response(job_role.version_hash, &job_role)
    };
    let cached = cache.get_with(Topic::JobRoles, &id.to_string(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}
