//! `/api/v1/genesis/skills`.

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
use crate::extract::{Json, OptionalJson, Path, Query};
use crate::idempotency::{self, Answer, Begun, Posted};
use crate::page::{Page, PageParams};
use crate::plant::entity::{Kind, Status};
use crate::plant::genesis::{self, Certification, Statement};
use crate::plant::skills::{self, Category, Created, NewSkill, Skill, SkillId};
use crate::state::State;

/// Genesis's routes of skills.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(find))
        .routes(routes!(certify))
}

/// Which skills are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only skills of this category.
    category: Option<Category>,
    /// Only skills of this status.
    status: Option<Status>,
}

#[utoipa::path(
    get,
    path = "/api/v1/genesis/skills",
    tag = "genesis",
    summary = "Skills, newest first",
    params(Filter, PageParams),
    responses((status = 200, description = "A page of skills", body = Vec<Skill>))
)]
async fn list(
    Extract(db): Extract<Db>,
    Extract(cache): Extract<Cache>,
    Query(filter): Query<Filter>,
    page: Page,
    conditions: Conditions,
) -> Result<Response> {
    let fill = async {
        let mut connection = db.acquire().await?;
        let Filter { category, status } = filter;
        let rows = skills::sql::list(&mut *connection, category, status, &page).await?;
        page.stored(rows, |skill| skill.id.0)
    };
    let stored = cache.read(Topic::Skills, page.address(), fill).await?;
    Ok(conditions.answer_stored(&stored))
}

#[utoipa::path(
    post,
    path = "/api/v1/genesis/skills",
    tag = "genesis",
    security((), ("bearer" = [])),
    summary = "Create a skill to be certified, unless the very same exists",
    request_body = NewSkill,
    responses(
        (status = 201, description = "Created", body = Skill),
        (status = 200, description = "The very same skill was there", body = Skill),
        (status = 409, description = "Name or key is taken by another", body = Problem)
    )
)]
async fn create(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    Extract(cache): Extract<Cache>,
    caller: Caller,
    posted: Posted<NewSkill>,
) -> Result<Answer> {
    let mut work = match idempotency::begin(&db, &clock, &caller, posted.key).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(work) => work,
    };
    let answer = match skills::create(work.connection(), &clock, &caller, posted.body).await? {
        Created::New(skill) => {
            let location = format!("/api/v1/genesis/skills/{}", skill.id);
            Answer::created(location, skill.version_hash, &skill)?
        }
        Created::Existing(skill) => Answer::existing(skill.version_hash, &skill)?,
    };
    let answer = work.commit(answer).await?;
    cache.forget(Topic::Skills).await;
    Ok(answer)
}

#[utoipa::path(
    get,
    path = "/api/v1/genesis/skills/{id}",
    tag = "genesis",
    summary = "One skill",
    params(("id" = SkillId, Path, description = "Its id")),
    responses(
        (status = 200, description = "The skill", body = Skill),
        (status = 404, description = "There is no such skill", body = Problem)
    )
)]
async fn find(
    Extract(db): Extract<Db>,
    Extract(cache): Extract<Cache>,
    Path(id): Path<SkillId>,
    conditions: Conditions,
) -> Result<Response> {
    let fill = async {
        let mut connection = db.acquire().await?;
        let found = skills::sql::find(&mut *connection, id).await?;
        let skill = found.ok_or_else(|| Error::no_such("skill"))?;
        etag::stored(skill.version_hash, &skill)
    };
    let stored = cache.read(Topic::Skills, &id.to_string(), fill).await?;
    Ok(conditions.answer_stored(&stored))
}

#[utoipa::path(
    post,
    path = "/api/v1/genesis/skills/{id}/certify",
    tag = "genesis",
    security((), ("bearer" = [])),
    summary = "Certify a skill; again changes nothing",
    params(("id" = SkillId, Path, description = "Its id")),
    request_body = Option<Statement>,
    responses(
        (status = 200, description = "It is certified", body = Certification),
        (status = 404, description = "There is no such skill", body = Problem),
        (status = 409, description = "Its hash chain is broken", body = Problem),
        (status = 422, description = "It fails its checks", body = Problem)
    )
)]
async fn certify(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    Extract(cache): Extract<Cache>,
    caller: Caller,
    Path(id): Path<SkillId>,
    OptionalJson(statement): OptionalJson<Statement>,
) -> Result<Json<Certification>> {
    let certified = genesis::certify(&db, &clock, &caller, Kind::Skill, id.0, statement).await?;
    genesis::routes::forget(&cache, &certified).await;
    Ok(Json(certified))
}
