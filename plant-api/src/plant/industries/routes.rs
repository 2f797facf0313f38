//! `/api/v1/industries`.

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Industry, IndustryContent, IndustryId, sql};
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
    path = "/api/v1/industries",
    tag = "catalogue",
    summary = "List industries, newest first",
    params(PageParams),
    responses((status = 200, description = "A page of industries", body = Vec<Industry>))
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
        page.to_cached_response(rows, |industry| industry.id.0)
    };
    let cached = cache.get_with(Topic::Industries, page.path_and_query(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}

#[utoipa::path(
    post,
    path = "/api/v1/industries",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "Create an industry",
    request_body = IndustryContent,
    responses(
        (status = 201, description = "Created", body = Industry),
        (status = 409, description = "The name is taken", body = Problem)
    )
)]
async fn create(
    State(db): State<Db>,
    State(clock): State<Clock>,
    State(cache): State<Cache>,
    caller: Caller,
    request: IdempotentRequest<IndustryContent>,
) -> Result<StoredResponse> {
    let mut transaction = match idempotency::claim(&db, &clock, &caller, request.key).await? {
        Claim::Replay(response) => return Ok(response),
        Claim::New(transaction) => transaction,
    };
    let industry = super::create(transaction.connection(), &clock, &caller, request.body).await?;
    let location = format!("/api/v1/industries/{}", industry.id);
    let response = transaction
        .commit(StoredResponse::created(location, industry.version_hash, &industry)?)
        .await?;
    cache.invalidate(Topic::Industries).await;
    Ok(response)
}

#[utoipa::path(
    get,
    path = "/api/v1/industries/{id}",
    tag = "catalogue",
    summary = "Get an industry",
    params(("id" = IndustryId, Path, description = "Id of the industry")),
    responses(
        (status = 200, description = "The industry", body = Industry),
        (status = 404, description = "There is no such industry", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    State(cache): State<Cache>,
    Path(id): Path<IndustryId>,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = async {
        let mut connection = db.acquire().await?;
        let found = sql::find(&mut *connection, id).await?;
        let industry = found.ok_or_else(|| Error::no_such("industry"))?;
        etag::to_cached_response(industry.version_hash, &industry)
    };
    let cached = cache.get_with(Topic::Industries, &id.to_string(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}
