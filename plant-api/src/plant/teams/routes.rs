//! `/api/v1/teams`.

use axum::extract::State as Extract;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Content, Team, TeamId, sql};
use crate::access::Caller;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::{self, Conditions};
use crate::extract::{Json, Path};
use crate::page::{Page, PageParams};
use crate::state::State;

/// The teams' routes.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find))
}

#[utoipa::path(
    get,
    path = "/api/v1/teams",
    tag = "catalogue",
    summary = "Teams, newest first",
    params(PageParams),
    responses((status = 200, description = "A page of teams", body = Vec<Team>))
)]
async fn list(Extract(db): Extract<Db>, page: Page) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let rows = sql::list(&mut *connection, &page).await?;
    Ok(page.answer(rows, |team| team.id.0))
}

#[utoipa::path(
    post,
    path = "/api/v1/teams",
    tag = "catalogue",
    summary = "Create a team",
    request_body = Content,
    responses(
        (status = 201, description = "Created", body = Team),
        (status = 409, description = "The name is taken", body = Problem)
    )
)]
async fn create(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    caller: Caller,
    Json(content): Json<Content>,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let team = super::create(&mut connection, &clock, caller, content).await?;
    let location = format!("/api/v1/teams/{}", team.id);
    Ok(etag::created(&location, team.version_hash, &team))
}

#[utoipa::path(
    get,
    path = "/api/v1/teams/{id}",
    tag = "catalogue",
    summary = "One team",
    params(("id" = TeamId, Path, description = "Its id")),
    responses(
        (status = 200, description = "The team", body = Team),
        (status = 404, description = "There is no such team", body = Problem)
    )
)]
async fn find(
    Extract(db): Extract<Db>,
    Path(id): Path<TeamId>,
    conditions: Conditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let found = sql::find(&mut *connection, id).await?;
    let team = found.ok_or_else(|| Error::no_such("team"))?;
    Ok(conditions.answer(team.version_hash, &team))
}
