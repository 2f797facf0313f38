//! `/api/v1/agents/{id}/goals`, where `{id}` is the hired agent's.

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Goal, GoalChanges, GoalId, NewGoal, not_found, sql};
use crate::access::Caller;
use crate::cache::{RequestCache, Topic};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Problem, Result};
use crate::etag::Preconditions;
use crate::extract::{Json, NoBody, Path};
use crate::metrics::Metrics;
use crate::page::{Page, PageParams};
use crate::plant::hires::{self, HireId};
use crate::state::AppState;
use crate::write::{StoredResponse, Write};

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find, change, delete))
}

#[utoipa::path(
    get,
    path = "/api/v1/agents/{id}/goals",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "List a hired agent's goals, newest first",
    params(("id" = HireId, Path, description = "Id of the hired agent"), PageParams),
    responses(
        (status = 200, description = "A page of goals", body = Vec<Goal>),
        (status = 404, description = "There is no such hired agent", body = Problem)
    )
)]
async fn list(
    State(db): State<Db>,
    cache: RequestCache,
    caller: Caller,
    Path(hire): Path<HireId>,
    page: Page,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = || async {
        let mut connection = db.acquire().await?;
        let rows = sql::list(&mut *connection, hire, caller.customer_filter(), &page);
        let goals = page.to_cached_response(rows, |goal| goal.id.0).await?;
        if goals.is_empty_list() {
            hires::ensure_exists(&mut connection, hire, &caller).await?;
        }
        Ok(goals)
    };
    let key = caller.cache_key(&page.key());
    let goals = cache.get_with(Topic::Goals.of(hire.0), &key, fill).await?;
    Ok(conditions.respond_cached(&goals))
}

#[utoipa::path(
    post,
    path = "/api/v1/agents/{id}/goals",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Create a goal of a hired agent",
    params(("id" = HireId, Path, description = "Id of the hired agent")),
    request_body = NewGoal,
    responses(
        (status = 201, description = "Created", body = Goal),
        (status = 404, description = "There is no such hired agent", body = Problem)
    )
)]
async fn create(
    State(clock): State<Clock>,
    State(metrics): State<Metrics>,
    Path(hire): Path<HireId>,
    Write { caller, body: Json(new), mut tx }: Write<Json<NewGoal>>,
) -> Result<StoredResponse> {
    let goal = super::create(&mut tx, &clock, &caller, hire, new).await?;
    let location = format!("/api/v1/agents/{hire}/goals/{}", goal.id);
    tx.invalidate(Topic::Goals.of(hire.0));
    tx.after_commit(move || metrics.goals_created.inc());
    tx.finish(StoredResponse::created(location, goal.version, &goal)?).await
}

#[utoipa::path(
    get,
    path = "/api/v1/agents/{id}/goals/{goal_id}",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Get a goal",
    params(
        ("id" = HireId, Path, description = "Id of the hired agent"),
        ("goal_id" = GoalId, Path, description = "Id of the goal")
    ),
    responses(
        (status = 200, description = "The goal", body = Goal),
        (status = 404, description = "There is no such goal", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    caller: Caller,
    Path(ids): Path<(HireId, GoalId)>,
    conditions: Preconditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    match sql::find(&mut *connection, ids, caller.customer_filter()).await? {
        Some(goal) => conditions.respond(goal.version, &goal),
        None => Err(not_found(&mut connection, ids, &caller).await),
    }
}

#[utoipa::path(
    patch,
    path = "/api/v1/agents/{id}/goals/{goal_id}",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Change a goal",
    params(
        ("id" = HireId, Path, description = "Id of the hired agent"),
        ("goal_id" = GoalId, Path, description = "Id of the goal")
    ),
    request_body = GoalChanges,
    responses(
        (status = 200, description = "The changed goal", body = Goal),
        (status = 404, description = "There is no such goal", body = Problem),
        (status = 412, description = "The current version does not match If-Match", body = Problem)
    )
)]
async fn change(
    State(clock): State<Clock>,
    Path(ids): Path<(HireId, GoalId)>,
    conditions: Preconditions,
    Write { caller, body: Json(changes), mut tx }: Write<Json<GoalChanges>>,
) -> Result<StoredResponse> {
    let goal = super::change(&mut tx, &clock, &caller, ids, &conditions, changes).await?;
    tx.invalidate(Topic::Goals.of(ids.0.0));
    tx.finish(StoredResponse::ok(goal.version, &goal)?).await
}

#[utoipa::path(
    delete,
    path = "/api/v1/agents/{id}/goals/{goal_id}",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Delete a goal; its deliverables are kept",
    params(
        ("id" = HireId, Path, description = "Id of the hired agent"),
        ("goal_id" = GoalId, Path, description = "Id of the goal", example = "01960865-b770-7a1f-a3d5-c7dda7906f59")
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is no such goal", body = Problem),
        (status = 412, description = "The current version does not match If-Match", body = Problem)
    )
)]
async fn delete(
    Path(ids): Path<(HireId, GoalId)>,
    conditions: Preconditions,
    Write { caller, body: NoBody, mut tx }: Write<NoBody>,
) -> Result<StoredResponse> {
    super::delete(&mut tx, &caller, ids, &conditions).await?;
    tx.invalidate(Topic::Goals.of(ids.0.0));
    // They contain the id of their goal.
    tx.invalidate(Topic::Deliverables.of(ids.0.0));
    tx.finish(StoredResponse::no_content()).await
}
