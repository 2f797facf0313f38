//! `/api/v1/agents/{id}/deliverables`, where `{id}` is the hired agent's.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Deliverable, DeliverableId, Review, ReviewStatus, record_review, sql};
use crate::access::Caller;
use crate::cache::{RequestCache, Topic};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Problem, Result};
use crate::etag::Preconditions;
use crate::extract::{OptionalJson, Path};
use crate::page::{Filtered, PageParams};
use crate::plant::hires::{self, HireId};
use crate::state::AppState;
use crate::write::{StoredResponse, Write};

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(approve)).routes(routes!(reject))
}

#[derive(Debug, Deserialize, Serialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Return only deliverables with this review status.
    status: Option<ReviewStatus>,
}

#[utoipa::path(
    get,
    path = "/api/v1/agents/{id}/deliverables",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "List a hired agent's deliverables, newest first",
    params(("id" = HireId, Path, description = "Id of the hired agent"), Filter, PageParams),
    responses(
        (status = 200, description = "A page of deliverables", body = Vec<Deliverable>),
        (status = 404, description = "There is no such hired agent", body = Problem)
    )
)]
async fn list(
    State(db): State<Db>,
    cache: RequestCache,
    caller: Caller,
    Path(hire): Path<HireId>,
    Filtered { filter, page }: Filtered<Filter>,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = || async {
        let mut connection = db.acquire().await?;
        let customer_filter = caller.customer_filter();
        let rows = sql::list(&mut *connection, hire, customer_filter, filter.status, &page);
        let deliverables = page.to_cached_response(rows, |deliverable| deliverable.id.0).await?;
        if deliverables.is_empty_list() {
            hires::ensure_exists(&mut connection, hire, &caller).await?;
        }
        Ok(deliverables)
    };
    let key = caller.cache_key(&page.key());
    let deliverables = cache.get_with(Topic::Deliverables.of(hire.0), &key, fill).await?;
    Ok(conditions.respond_cached(&deliverables))
}

#[utoipa::path(
    post,
    path = "/api/v1/agents/{id}/deliverables/{deliverable_id}/approve",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Approve a deliverable that is pending review",
    params(
        ("id" = HireId, Path, description = "Id of the hired agent"),
        ("deliverable_id" = DeliverableId, Path, description = "Id of the deliverable")
    ),
    request_body = Option<Review>,
    responses(
        (status = 200, description = "Approved", body = Deliverable),
        (status = 404, description = "There is no such deliverable", body = Problem),
        (status = 409, description = "The deliverable has already been reviewed", body = Problem)
    )
)]
async fn approve(
    State(clock): State<Clock>,
    Path(ids): Path<(HireId, DeliverableId)>,
    Write { caller, body: OptionalJson(review), mut tx }: Write<OptionalJson<Review>>,
) -> Result<StoredResponse> {
    let decision = ReviewStatus::Approved;
    let reviewed = record_review(&mut tx, &clock, &caller, ids, decision, review).await?;
    tx.invalidate(Topic::Deliverables.of(ids.0.0));
    tx.finish(StoredResponse::json(&reviewed)?).await
}

#[utoipa::path(
    post,
    path = "/api/v1/agents/{id}/deliverables/{deliverable_id}/reject",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Reject a deliverable that is pending review",
    params(
        ("id" = HireId, Path, description = "Id of the hired agent"),
        ("deliverable_id" = DeliverableId, Path, description = "Id of the deliverable", example = "0196a2e4-aa68-787f-a9c8-e85030b70c83")
    ),
    request_body = Option<Review>,
    responses(
        (status = 200, description = "Rejected", body = Deliverable),
        (status = 404, description = "There is no such deliverable", body = Problem),
        (status = 409, description = "The deliverable has already been reviewed", body = Problem)
    )
)]
async fn reject(
    State(clock): State<Clock>,
    Path(ids): Path<(HireId, DeliverableId)>,
    Write { caller, body: OptionalJson(review), mut tx }: Write<OptionalJson<Review>>,
) -> Result<StoredResponse> {
    let decision = ReviewStatus::Rejected;
    let reviewed = record_review(&mut tx, &clock, &caller, ids, decision, review).await?;
    tx.invalidate(Topic::Deliverables.of(ids.0.0));
    tx.finish(StoredResponse::json(&reviewed)?).await
}
