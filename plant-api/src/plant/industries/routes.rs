//! `/api/v1/industries`.

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Industry, IndustryContent, IndustryId, sql};
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
    path = "/api/v1/industries",
    tag = "catalogue",
    summary = "List industries, newest first",
    params(PageParams),
    responses((status = 200, description = "A page of industries", body = Vec<Industry>))
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
        page.to_cached_response(rows, |industry| industry.id.0).await
    };
    let cached = cache.get_with(Topic::Industries, &page.key(), fill).await?;
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
    State(clock): State<Clock>,
    Write { caller, body: Json(new), mut tx }: Write<Json<IndustryContent>, CatalogueEditor>,
) -> Result<StoredResponse> {
    let industry = super::create(&mut tx, &clock, &caller, new).await?;
    let location = format!("/api/v1/industries/{}", industry.id);
    tx.invalidate(Topic::Industries);
    tx.finish(StoredResponse::created(location, industry.version_hash, &industry)?).await
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
    cache: RequestCache,
    Path(id): Path<IndustryId>,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = || async {
        let mut connection = db.acquire().await?;
        let found = sql::find(&mut *connection, id).await?;
        let industry = found.ok_or_else(|| Error::no_such("industry"))?;
        etag::to_cached_response(industry.version_hash, &industry)
    };
    let cached = cache.get_with(Topic::Industries, &id.to_string(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}
