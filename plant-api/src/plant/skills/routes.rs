//! `/api/v1/skills`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Category, Created, NewSkill, Skill, SkillContent, SkillId, sql};
use crate::access::CatalogueEditor;
use crate::cache::{CachedResponse, RequestCache, Topic};
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::{self, Preconditions};
use crate::extract::{Json, Path};
use crate::page::{Filtered, PageParams};
use crate::plant::entity::Status;
use crate::state::AppState;
use crate::write::{Rejection, StoredResponse, WriteRequest, WriteTransaction};

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find))
}

#[derive(Debug, Deserialize, Serialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Return only skills of this category.
    category: Option<Category>,
    /// Return only skills of this status.
    status: Option<Status>,
}

#[utoipa::path(
    get,
    path = "/api/v1/skills",
    tag = "catalogue",
    summary = "List skills, newest first",
    params(Filter, PageParams),
    responses((status = 200, description = "A page of skills", body = Vec<Skill>))
)]
pub(crate) async fn list(
    State(db): State<Db>,
    cache: RequestCache,
    Filtered { filter, page }: Filtered<Filter>,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = || async {
        let mut connection = db.acquire().await?;
        let rows = sql::list(&mut *connection, filter.category, filter.status, &page);
        page.to_cached_response(rows, |skill| skill.id.0).await
    };
    let cached = cache.get_with(Topic::Skills, &page.key(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}

#[utoipa::path(
    post,
    path = "/api/v1/skills",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "Create a skill, or return the existing one with the same content",
    request_body = NewSkill,
    responses(
        (status = 201, description = "Created", body = Skill),
        (status = 200, description = "A skill with the same content exists", body = Skill),
        (status = 409, description = "Another skill has the name or key", body = Problem)
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    State(db): State<Db>,
    cache: RequestCache,
    caller: CatalogueEditor,
    uri: Uri,
    conditions: Preconditions,
    WriteRequest { body: Json(new), key }: WriteRequest<Json<NewSkill>>,
) -> Result<Response, Rejection> {
    let content = new.check()?;
    // The response to a request with a key is stored in a transaction.
    if key.is_none()
        && let Some(existing) = find_existing(&db, &cache, &content).await?
    {
        return Ok(conditions.respond_in_full(&existing));
    }
    let mut tx = WriteTransaction::begin(&state, caller.actor(), key).await?;
    let response = match super::create(&mut tx, &state.clock, &caller, content).await? {
        Created::New(skill) => {
            tx.invalidate(Topic::Skills);
            let location = format!("{}/{}", uri.path(), skill.id);
            StoredResponse::created(location, skill.version_hash, &skill)?
        }
        Created::Existing(skill) => StoredResponse::ok(skill.version_hash, &skill)?,
    };
    Ok(tx.finish(response).await?.into_response())
}

/// Returns the skill with this content, from the cache if it is there; `None` if there is none yet.
async fn find_existing(
    db: &Db,
    cache: &RequestCache,
    content: &SkillContent,
) -> Result<Option<Arc<CachedResponse>>> {
    let json = serde_json::to_vec(content).map_err(|error| Error::Internal(Box::new(error)))?;
    let key = format!("content {}", hex::encode(Sha256::digest(json)));
    let fill = || async {
        let found = sql::find_by_name(&mut *db.acquire().await?, &content.name).await?;
        let skill = found.filter(|skill| skill.has(content));
        // Not cached, unlike a skill.
        let skill = skill.ok_or_else(|| Error::no_such("skill"))?;
        etag::to_cached_response(skill.version_hash, &skill)
    };
    match cache.get_with(Topic::Skills, &key, fill).await {
        Err(Error::NotFound(_)) => Ok(None),
        found => found.map(Some),
    }
}

#[utoipa::path(
    get,
    path = "/api/v1/skills/{id}",
    tag = "catalogue",
    summary = "Get a skill",
    params(("id" = SkillId, Path, description = "Id of the skill")),
    responses(
        (status = 200, description = "The skill", body = Skill),
        (status = 404, description = "There is no such skill", body = Problem)
    )
)]
pub(crate) async fn find(
    State(db): State<Db>,
    cache: RequestCache,
    Path(id): Path<SkillId>,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = || async {
        let mut connection = db.acquire().await?;
        let found = sql::find(&mut *connection, id).await?;
        let skill = found.ok_or_else(|| Error::no_such("skill"))?;
        etag::to_cached_response(skill.version_hash, &skill)
    };
    let cached = cache.get_with(Topic::Skills, &id.to_string(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}
