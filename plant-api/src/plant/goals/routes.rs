//! `/api/v1/agents/{id}/goals`, where `{id}` is the hired agent's.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Goal, GoalChanges, GoalId, NewGoal, missing, sql};
use crate::access::Caller;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Problem, Result};
use crate::etag::{self, Conditions};
use crate::extract::{Json, Path};
use crate::idempotency::{self, Answer, Begun, Posted};
use crate::metrics::Metrics;
use crate::page::{Page, PageParams};
use crate::plant::hires::{self, HireId};
use crate::state::State;

/// The goals' routes.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find, change, delete))
}

#[utoipa::path(
    get,
    path = "/api/v1/agents/{id}/goals",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "A hired agent's goals, newest first",
    params(("id" = HireId, Path, description = "The hired agent's id"), PageParams),
    responses(
        (status = 200, description = "A page of goals", body = Vec<Goal>),
        (status = 404, description = "There is no such hired agent", body = Problem)
    )
)]
async fn list(
    Extract(db): Extract<Db>,
    caller: Caller,
    Path(hire): Path<HireId>,
    page: Page,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let rows = sql::list(&mut *connection, hire, caller.customer(), &page).await?;
    if rows.is_empty() {
        hires::must_exist(&mut connection, hire, &caller).await?;
    }
    page.answer(rows, |goal| goal.id.0)
}

#[utoipa::path(
    post,
    path = "/api/v1/agents/{id}/goals",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Give a hired agent a goal",
    params(("id" = HireId, Path, description = "The hired agent's id")),
    request_body = NewGoal,
    responses(
        (status = 201, description = "Created", body = Goal),
        (status = 404, description = "There is no such hired agent", body = Problem)
    )
)]
async fn create(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    Extract(metrics): Extract<Metrics>,
    caller: Caller,
    Path(hire): Path<HireId>,
    posted: Posted<NewGoal>,
) -> Result<Answer> {
    let mut work = match idempotency::begin(&db, &clock, &caller, posted.key).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(work) => work,
    };
    let goal = super::create(work.connection(), &clock, &caller, hire, posted.body).await?;
    let location = format!("/api/v1/agents/{hire}/goals/{}", goal.id);
    let answer = work.commit(Answer::created(location, goal.version, &goal)?).await?;
    metrics.goals_created.inc();
    Ok(answer)
}

#[utoipa::path(
    get,
    path = "/api/v1/agents/{id}/goals/{goal_id}",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "One goal",
    params(
        ("id" = HireId, Path, description = "The hired agent's id"),
        ("goal_id" = GoalId, Path, description = "The goal's id")
    ),
    responses(
        (status = 200, description = "The goal", body = Goal),
        (status = 404, description = "There is no such goal", body = Problem)
    )
)]
async fn find(
    Extract(db): Extract<Db>,
    caller: Caller,
    Path(place): Path<(HireId, GoalId)>,
    conditions: Conditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    match sql::find(&mut *connection, place, caller.customer()).await? {
        Some(goal) => conditions.answer(goal.version, &goal),
        None => Err(missing(&mut connection, place, &caller).await),
    }
}

#[utoipa::path(
    patch,
    path = "/api/v1/agents/{id}/goals/{goal_id}",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Change a goal",
    params(
        ("id" = HireId, Path, description = "The hired agent's id"),
        ("goal_id" = GoalId, Path, description = "The goal's id")
    ),
    request_body = GoalChanges,
    responses(
        (status = 200, description = "The goal as it now is", body = Goal),
        (status = 404, description = "There is no such goal", body = Problem),
        (status = 412, description = "It is no longer at the version in If-Match", body = Problem)
    )
)]
async fn change(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    caller: Caller,
    Path(place): Path<(HireId, GoalId)>,
    conditions: Conditions,
    Json(changes): Json<GoalChanges>,
) -> Result<Response> {
    let goal = super::change(&db, &clock, &caller, place, &conditions, changes).await?;
    Ok(etag::with_version(goal.version, Json(goal).into_response()))
}

#[utoipa::path(
    delete,
    path = "/api/v1/agents/{id}/goals/{goal_id}",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Delete a goal; its deliverables stay",
    params(
        ("id" = HireId, Path, description = "The hired agent's id"),
        ("goal_id" = GoalId, Path, description = "The goal's id")
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is no such goal", body = Problem)
    )
)]
async fn delete(
    Extract(db): Extract<Db>,
    caller: Caller,
    Path(place): Path<(HireId, GoalId)>,
) -> Result<StatusCode> {
    let mut connection = db.acquire().await?;
    if sql::delete(&mut *connection, place, caller.customer()).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(missing(&mut connection, place, &caller).await)
    }
}
