//! `/api/v1/agents/{id}/deliverables`, where `{id}` is the hired agent's.

use axum::extract::State as Extract;
use axum::response::Response;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Deliverable, DeliverableId, Review, ReviewStatus, decide, sql};
use crate::access::Caller;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Problem, Result};
use crate::extract::{Json, OptionalJson, Path, Query};
use crate::page::{Page, PageParams};
use crate::plant::hires::{self, HireId};
use crate::state::State;

/// The deliverables' routes.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(approve)).routes(routes!(reject))
}

/// Which deliverables are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only deliverables of this review status.
    status: Option<ReviewStatus>,
}

#[utoipa::path(
    get,
    path = "/api/v1/agents/{id}/deliverables",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "What a hired agent has made, newest first",
    params(("id" = HireId, Path, description = "The hired agent's id"), Filter, PageParams),
    responses(
        (status = 200, description = "A page of deliverables", body = Vec<Deliverable>),
        (status = 404, description = "There is no such hired agent", body = Problem)
    )
)]
async fn list(
    Extract(db): Extract<Db>,
    caller: Caller,
    Path(hire): Path<HireId>,
    Query(filter): Query<Filter>,
    page: Page,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let owner = caller.customer();
    let rows = sql::list(&mut *connection, hire, owner, filter.status, &page).await?;
    if rows.is_empty() {
        hires::must_exist(&mut connection, hire, &caller).await?;
    }
    page.answer(rows, |deliverable| deliverable.id.0)
}

#[utoipa::path(
    post,
    path = "/api/v1/agents/{id}/deliverables/{deliverable_id}/approve",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Approve a deliverable, once",
    params(
        ("id" = HireId, Path, description = "The hired agent's id"),
        ("deliverable_id" = DeliverableId, Path, description = "The deliverable's id")
    ),
    request_body = Option<Review>,
    responses(
        (status = 200, description = "Approved", body = Deliverable),
        (status = 404, description = "There is no such deliverable", body = Problem),
        (status = 409, description = "It was reviewed before", body = Problem)
    )
)]
async fn approve(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    caller: Caller,
    Path(place): Path<(HireId, DeliverableId)>,
    OptionalJson(review): OptionalJson<Review>,
) -> Result<Json<Deliverable>> {
    let mut connection = db.acquire().await?;
    decide(&mut connection, &clock, &caller, place, ReviewStatus::Approved, review).await.map(Json)
}

#[utoipa::path(
    post,
    path = "/api/v1/agents/{id}/deliverables/{deliverable_id}/reject",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Reject a deliverable, once",
    params(
        ("id" = HireId, Path, description = "The hired agent's id"),
        ("deliverable_id" = DeliverableId, Path, description = "The deliverable's id")
    ),
    request_body = Option<Review>,
    responses(
        (status = 200, description = "Rejected", body = Deliverable),
        (status = 404, description = "There is no such deliverable", body = Problem),
        (status = 409, description = "It was reviewed before", body = Problem)
    )
)]
async fn reject(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    caller: Caller,
    Path(place): Path<(HireId, DeliverableId)>,
    OptionalJson(review): OptionalJson<Review>,
) -> Result<Json<Deliverable>> {
    let mut connection = db.acquire().await?;
    decide(&mut connection, &clock, &caller, place, ReviewStatus::Rejected, review).await.map(Json)
}
