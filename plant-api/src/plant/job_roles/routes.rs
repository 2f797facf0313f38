//! `/api/v1/job-roles`.

use axum::extract::State as Extract;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Content, JobRole, JobRoleId, Skills, sql};
use crate::access::Caller;
use crate::cache::{Cache, Topic};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::{self, Conditions};
use crate::extract::Path;
use crate::idempotency::{self, Answer, Begun, Posted};
use crate::page::{Page, PageParams};
use crate::state::State;

/// The job roles' routes.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find))
}

#[utoipa::path(
    get,
    path = "/api/v1/job-roles",
    tag = "catalogue",
    summary = "Job roles, newest first",
    params(PageParams),
    responses((status = 200, description = "A page of job roles", body = Vec<JobRole>))
)]
async fn list(
    Extract(db): Extract<Db>,
    Extract(cache): Extract<Cache>,
    page: Page,
    conditions: Conditions,
) -> Result<Response> {
    let fill = async {
        let mut connection = db.acquire().await?;
        let rows = sql::list(&mut *connection, &page).await?;
        page.stored(rows, |job_role| job_role.id.0)
    };
    let stored = cache.read(Topic::JobRoles, page.address(), fill).await?;
    Ok(conditions.answer_stored(&stored))
}

#[utoipa::path(
    post,
    path = "/api/v1/job-roles",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "Create a job role",
    request_body = Content,
    responses(
        (status = 201, description = "Created", body = JobRole),
        (status = 409, description = "The name is taken", body = Problem)
    )
)]
async fn create(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    Extract(cache): Extract<Cache>,
    caller: Caller,
    posted: Posted<Content>,
) -> Result<Answer> {
    let mut work = match idempotency::begin(&db, &clock, &caller, posted.key).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(work) => work,
    };
    let connection = work.connection();
    let job_role = super::create(connection, &clock, &caller, posted.body, Skills::Known).await?;
    let location = format!("/api/v1/job-roles/{}", job_role.id);
    let answer = work.commit(Answer::created(location, job_role.version_hash, &job_role)?).await?;
    cache.forget(Topic::JobRoles).await;
    Ok(answer)
}

#[utoipa::path(
    get,
    path = "/api/v1/job-roles/{id}",
    tag = "catalogue",
    summary = "One job role",
    params(("id" = JobRoleId, Path, description = "Its id")),
    responses(
        (status = 200, description = "The job role", body = JobRole),
        (status = 404, description = "There is no such job role", body = Problem)
    )
)]
async fn find(
    Extract(db): Extract<Db>,
    Extract(cache): Extract<Cache>,
    Path(id): Path<JobRoleId>,
    conditions: Conditions,
) -> Result<Response> {
    let fill = async {
        let mut connection = db.acquire().await?;
        let found = sql::find(&mut *connection, id).await?;
        let job_role = found.ok_or_else(|| Error::no_such("job role"))?;
        etag::stored(job_role.version_hash, &job_role)
    };
    let stored = cache.read(Topic::JobRoles, &id.to_string(), fill).await?;
    Ok(conditions.answer_stored(&stored))
}
