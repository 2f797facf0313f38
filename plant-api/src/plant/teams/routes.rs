//! `/api/v1/teams`.

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Team, TeamContent, TeamId, sql};
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
    path = "/api/v1/teams",
    tag = "catalogue",
    summary = "List teams, newest first",
    params(PageParams),
    responses((status = 200, description = "A page of teams", body = Vec<Team>))
)]
async fn list(
    State(db): State<Db>,
    cache: RequestCache,
    page: Page,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = || async {
        let mut connection = db.acquire().await?;
        let rows = sql::list(&mut *connection, &page);
        page.to_cached_response(rows, |team| team.id.0).await
    };
    let cached = cache.get_with(Topic::Teams, &page.key(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}

#[utoipa::path(
    post,
    path = "/api/v1/teams",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "Create a team",
    request_body = TeamContent,
    responses(
        (status = 201, description = "Created", body = Team),
        (status = 409, description = "The name is taken", body = Problem)
    )
)]
async fn create(
    State(clock): State<Clock>,
    Write { caller, body: Json(new), mut tx }: Write<Json<TeamContent>, CatalogueEditor>,
) -> Result<StoredResponse> {
    let team = super::create(&mut tx, &clock, &caller, new).await?;
    let location = format!("/api/v1/teams/{}", team.id);
    tx.invalidate(Topic::Teams);
    tx.finish(StoredResponse::created(location, team.version_hash, &team)?).await
}

#[utoipa::path(
    get,
    path = "/api/v1/teams/{id}",
    tag = "catalogue",
    summary = "Get a team",
    params(("id" = TeamId, Path, description = "Id of the team")),
    responses(
        (status = 200, description = "The team", body = Team),
        (status = 404, description = "There is no such team", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    cache: RequestCache,
    Path(id): Path<TeamId>,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = || async {
        let mut connection = db.acquire().await?;
        let found = sql::find(&mut *connection, id).await?;
        let team = found.ok_or_else(|| Error::no_such("team"))?;
        etag::to_cached_response(team.version_hash, &team)
    };
    let cached = cache.get_with(Topic::Teams, &id.to_string(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}
