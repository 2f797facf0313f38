//! `/api/v1/industries`.

use axum::extract::State as Extract;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Content, Industry, IndustryId, sql};
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

/// The industries' routes.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find))
}

#[utoipa::path(
    get,
    path = "/api/v1/industries",
    tag = "catalogue",
    summary = "Industries, newest first",
    params(PageParams),
    responses((status = 200, description = "A page of industries", body = Vec<Industry>))
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
        page.stored(rows, |industry| industry.id.0)
    };
    let stored = cache.read(Topic::Industries, page.address(), fill).await?;
    Ok(conditions.answer_stored(&stored))
}

#[utoipa::path(
    post,
    path = "/api/v1/industries",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "Create an industry",
    request_body = Content,
    responses(
        (status = 201, description = "Created", body = Industry),
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
    let industry = super::create(work.connection(), &clock, &caller, posted.body).await?;
    let location = format!("/api/v1/industries/{}", industry.id);
    let answer = work.commit(Answer::created(location, industry.version_hash, &industry)?).await?;
    cache.forget(Topic::Industries).await;
    Ok(answer)
}

#[utoipa::path(
    get,
    path = "/api/v1/industries/{id}",
    tag = "catalogue",
    summary = "One industry",
    params(("id" = IndustryId, Path, description = "Its id")),
    responses(
        (status = 200, description = "The industry", body = Industry),
        (status = 404, description = "There is no such industry", body = Problem)
    )
)]
async fn find(
    Extract(db): Extract<Db>,
    Extract(cache): Extract<Cache>,
    Path(id): Path<IndustryId>,
    conditions: Conditions,
) -> Result<Response> {
    let fill = async {
        let mut connection = db.acquire().await?;
        let found = sql::find(&mut *connection, id).await?;
        let industry = found.ok_or_else(|| Error::no_such("industry"))?;
        etag::stored(industry.version_hash, &industry)
    };
    let stored = cache.read(Topic::Industries, &id.to_string(), fill).await?;
    Ok(conditions.answer_stored(&stored))
}
