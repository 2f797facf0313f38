//! `/api/v1/genesis/skills`.

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
use crate::extract::{Json, OptionalJson, Path, Query};
use crate::idempotency::{self, Claim, IdempotentRequest, StoredResponse};
use crate::page::{Page, PageParams};
use crate::plant::entity::{Kind, Status};
use crate::plant::genesis::{self, Certification, CertificationDetails};
use crate::plant::skills::{self, Category, Created, NewSkill, Skill, SkillId};
use crate::state::AppState;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(find))
        .routes(routes!(certify))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Return only skills of this category.
    category: Option<Category>,
    /// Return only skills of this status.
    status: Option<Status>,
}

#[utoipa::path(
    get,
    path = "/api/v1/genesis/skills",
    tag = "genesis",
    summary = "List skills, newest first",
    params(Filter, PageParams),
    responses((status = 200, description = "A page of skills", body = Vec<Skill>))
)]
async fn list(
    State(db): State<Db>,
    State(cache): State<Cache>,
    Query(filter): Query<Filter>,
    page: Page,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = async {
        let mut connection = db.acquire().await?;
        let Filter { category, status } = filter;
        let rows = skills::sql::list(&mut *connection, category, status, &page).await?;
        page.to_cached_response(rows, |skill| skill.id.0)
    };
    let cached = cache.get_with(Topic::Skills, page.path_and_query(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}

#[utoipa::path(
    post,
    path = "/api/v1/genesis/skills",
    tag = "genesis",
    security((), ("bearer" = [])),
    summary = "Create a skill, or return the existing one with the same content",
    request_body = NewSkill,
    responses(
        (status = 201, description = "Created", body = Skill),
        (status = 200, description = "A skill with the same content exists", body = Skill),
        (status = 409, description = "Another skill has the name or key", body = Problem)
    )
)]
async fn create(
    State(db): State<Db>,
    State(clock): State<Clock>,
    State(cache): State<Cache>,
    caller: Caller,
    request: IdempotentRequest<NewSkill>,
) -> Result<StoredResponse> {
    let mut transaction = match idempotency::claim(&db, &clock, &caller, request.key).await? {
        Claim::Replay(response) => return Ok(response),
        Claim::New(transaction) => transaction,
    };
    let response =
        match skills::create(transaction.connection(), &clock, &caller, request.body).await? {
            Created::New(skill) => {
                let location = format!("/api/v1/genesis/skills/{}", skill.id);
                StoredResponse::created(location, skill.version_hash, &skill)?
            }
            Created::Existing(skill) => StoredResponse::ok(skill.version_hash, &skill)?,
        };
    let response = transaction.commit(response).await?;
    cache.invalidate(Topic::Skills).await;
    Ok(response)
}

#[utoipa::path(
    get,
    path = "/api/v1/genesis/skills/{id}",
    tag = "genesis",
    summary = "Get a skill",
    params(("id" = SkillId, Path, description = "Id of the skill")),
    responses(
        (status = 200, description = "The skill", body = Skill),
        (status = 404, description = "There is no such skill", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    State(cache): State<Cache>,
    Path(id): Path<SkillId>,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = async {
        let mut connection = db.acquire().await?;
        let found = skills::sql::find(&mut *connection, id).await?;
        let skill = found.ok_or_else(|| Error::no_such("skill"))?;
        etag::to_cached_response(skill.version_hash, &skill)
    };
    let cached = cache.get_with(Topic::Skills, &id.to_string(), fill).await?;
    Ok(conditions.respond_cached(&cached))
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
    State(db): State<Db>,
    State(clock): State<Clock>,
    State(cache): State<Cache>,
    caller: Caller,
    Path(id): Path<SkillId>,
    OptionalJson(details): OptionalJson<CertificationDetails>,
) -> Result<Json<Certification>> {
    let certification = genesis::certify(&db, &clock, &caller, Kind::Skill, id.0, details).await?;
    genesis::routes::invalidate(&cache, &certification).await;
    Ok(Json(certification))
}
