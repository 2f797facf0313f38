//! `/api/v1/teams`.

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Team, TeamContent, TeamId, sql};
use crate::access::Caller;
use crate::cache::{Cache, Topic};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::{self, Preconditions};
use crate::extract::Path;
use crate::idempotency::{self, Claim, IdempotentRequest, StoredResponse};
use crate::page::{Page, PageParams};
use crate::state::AppState;

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
    State(cache): State<Cache>,
    page: Page,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = async {
        let mut connection = db.acquire().await?;
        let rows = sql::list(&mut *connection, &page).await?;
        page.to_cached_response(rows, |team| team.id.0)
    };
    let cached = cache.get_with(Topic::Teams, page.path_and_query(), fill).await?;
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
    State(db): State<Db>,
    State(clock): State<Clock>,
    State(cache): State<Cache>,
    caller: Caller,
    request: IdempotentRequest<TeamContent>,
) -> Result<StoredResponse> {
    let mut transaction = match idempotency::claim(&db, &clock, &caller, request.key).await? {
        Claim::Replay(response) => return Ok(response),
        Claim::New(transaction) => transaction,
    };
    let team = super::create(transaction.connection(), &clock, &caller, request.body).await?;
    let location = format!("/api/v1/teams/{}", team.id);
    let response =
        transaction.commit(StoredResponse::created(location, team.version_hash, &team)?).await?;
    cache.invalidate(Topic::Teams).await;
    Ok(response)
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
    State(cache): State<Cache>,
    Path(id): Path<TeamId>,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = async {
        let mut connection = db.acquire().await?;
        let found = sql::find(&mut *connection, id).await?;
        let team = found.ok_or_else(|| Error::no_such("team"))?;
        etag::to_cached_response(team.version_hash, &team)
    };
    let cached = cache.get_with(Topic::Teams, &id.to_string(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}
