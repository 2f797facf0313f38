//! `/api/v1/genesis/job-roles`.

use axum::extract::State as Extract;
use axum::response::Response;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Caller;
use crate::cache::{Cache, Topic};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::{self, Conditions};
use crate::extract::{Json, OptionalJson, Path};
use crate::idempotency::{self, Answer, Begun, Posted};
use crate::page::{Page, PageParams};
use crate::plant::entity::Kind;
use crate::plant::genesis::{self, Certification, Statement};
use crate::plant::job_roles::{self, Content, JobRole, JobRoleId, Seniority, Skills};
use crate::plant::skills::SkillId;
use crate::state::State;

/// Genesis's routes of job roles.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(find))
        .routes(routes!(certify))
}

#[utoipa::path(
    get,
    path = "/api/v1/genesis/job-roles",
    tag = "genesis",
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
        let rows = job_roles::sql::list(&mut *connection, &page).await?;
        page.stored(rows, |job_role| job_role.id.0)
    };
    let stored = cache.read(Topic::JobRoles, page.address(), fill).await?;
    Ok(conditions.answer_stored(&stored))
}

/// A job role as Genesis takes it: it requires at least one skill.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct RoleToCertify {
    /// A name that no other job role has.
    #[schema(example = "Content Writer", min_length = 1, max_length = 200)]
    name: String,
    /// What it is about.
    #[schema(max_length = 10_000)]
    description: Option<String>,
    /// The skills it requires, all of them certified.
    #[schema(min_items = 1, max_items = 100)]
    required_skills: Vec<SkillId>,
    /// How much experience it asks for.
    #[serde(default)]
    seniority_level: Seniority,
}

impl From<RoleToCertify> for Content {
    fn from(role: RoleToCertify) -> Self {
        let RoleToCertify { name, description, required_skills, seniority_level } = role;
        Self { name, description, required_skills, seniority_level }
    }
}

#[utoipa::path(
    post,
    path = "/api/v1/genesis/job-roles",
    tag = "genesis",
    security((), ("bearer" = [])),
    summary = "Create a job role of certified skills",
    request_body = RoleToCertify,
    responses(
        (status = 201, description = "Created", body = JobRole),
        (status = 409, description = "The name is taken", body = Problem),
        (status = 422, description = "A required skill is unknown or not certified", body = Problem)
    )
)]
async fn create(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    Extract(cache): Extract<Cache>,
    caller: Caller,
    posted: Posted<RoleToCertify>,
) -> Result<Answer> {
    let mut work = match idempotency::begin(&db, &clock, &caller, posted.key).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(work) => work,
    };
    let (connection, content) = (work.connection(), posted.body.into());
    let role = job_roles::create(connection, &clock, &caller, content, Skills::Certified).await?;
    let location = format!("/api/v1/genesis/job-roles/{}", role.id);
    let answer = work.commit(Answer::created(location, role.version_hash, &role)?).await?;
    cache.forget(Topic::JobRoles).await;
    Ok(answer)
}

#[utoipa::path(
    get,
    path = "/api/v1/genesis/job-roles/{id}",
    tag = "genesis",
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
        let found = job_roles::sql::find(&mut *connection, id).await?;
        let job_role = found.ok_or_else(|| Error::no_such("job role"))?;
        etag::stored(job_role.version_hash, &job_role)
    };
    let stored = cache.read(Topic::JobRoles, &id.to_string(), fill).await?;
    Ok(conditions.answer_stored(&stored))
}

#[utoipa::path(
    post,
    path = "/api/v1/genesis/job-roles/{id}/certify",
    tag = "genesis",
    security((), ("bearer" = [])),
    summary = "Certify a job role; again changes nothing",
    params(("id" = JobRoleId, Path, description = "Its id")),
    request_body = Option<Statement>,
    responses(
        (status = 200, description = "It is certified", body = Certification),
        (status = 404, description = "There is no such job role", body = Problem),
        (status = 409, description = "Its hash chain is broken", body = Problem),
        (status = 422, description = "It fails its checks", body = Problem)
    )
)]
async fn certify(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    Extract(cache): Extract<Cache>,
    caller: Caller,
    Path(id): Path<JobRoleId>,
    OptionalJson(statement): OptionalJson<Statement>,
) -> Result<Json<Certification>> {
    let certified = genesis::certify(&db, &clock, &caller, Kind::JobRole, id.0, statement).await?;
    genesis::routes::forget(&cache, &certified).await;
    Ok(Json(certified))
}
