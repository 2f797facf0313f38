//! `/api/v1/workflows`: the workflows of the performance agent, for administrators.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Decision, Event, NewWorkflow, Status, Workflow, job, sql};
use crate::access::Administrator;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::Preconditions;
use crate::extract::{Json, NoBody, Path};
use crate::page::{self, Filtered, PageParams};
use crate::performance_agent::agent::Agent;
use crate::state::AppState;
use crate::write::{StoredResponse, Write};

/// Returns the routes of workflows.
pub fn router(agent: Agent) -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(find))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(cancel))
        .layer(Extension(agent))
}

/// Filter for workflows.
#[derive(Debug, Deserialize, Serialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Returns only workflows with this status.
    status: Option<Status>,
}

#[utoipa::path(
    get,
    path = "/api/v1/workflows",
    tag = "performance agent",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "List workflows, newest first",
    params(Filter, PageParams),
    responses(
        (status = 200, description = "A page of workflows", body = Vec<Workflow>),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem)
    )
)]
async fn list(
    State(db): State<Db>,
    _: Administrator,
    Filtered { filter, page }: Filtered<Filter>,
    conditions: Preconditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let rows = sql::list(&mut *connection, filter.status, &page).await?;
    let workflows = page.to_cached_response(page::rows(rows), |workflow| workflow.id).await?;
    Ok(conditions.respond_cached(&workflows))
}

#[utoipa::path(
    post,
    path = "/api/v1/workflows",
    tag = "performance agent",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Create a workflow, which runs in the background",
    description = "It collects and analyzes metrics, plans changes, and rolls them out to 10, 50 and 100 %.",
    request_body = NewWorkflow,
    responses(
        (status = 201, description = "Created", body = Workflow),
        (status = 403, description = "Administrator rights are required, unless access is open; or the target is not allowed", body = Problem)
    )
)]
async fn create(
    State(state): State<AppState>,
    Extension(agent): Extension<Agent>,
    Write { caller, body: Json(new), mut tx }: Write<Json<NewWorkflow>, Administrator>,
) -> Result<StoredResponse> {
    let (workflow, job) = super::create(&mut tx, &state.clock, &agent, caller.actor(), new).await?;
    tx.after_commit(move || state.queue.push_later(job::KIND.queue, job));
    let location = format!("/api/v1/workflows/{}", workflow.id);
    tx.finish(StoredResponse::created(location, workflow.version, &workflow)?).await
}

/// A workflow and the states that it was in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct WorkflowDetails {
    #[serde(flatten)]
    workflow: Workflow,
    /// The states, oldest first.
    events: Vec<Event>,
}

#[utoipa::path(
    get,
    path = "/api/v1/workflows/{id}",
    tag = "performance agent",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Get a workflow with its history",
    params(("id" = Uuid, Path, description = "Id of a workflow that `GET /api/v1/workflows` lists")),
    responses(
        (status = 200, description = "The workflow", body = WorkflowDetails),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem),
        (status = 404, description = "There is no such workflow", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    _: Administrator,
    Path(id): Path<Uuid>,
    conditions: Preconditions,
) -> Result<Response> {
    let mut tx = db.begin().await?;
    let workflow = sql::find(&mut *tx, id).await?;
    let workflow = workflow.ok_or_else(|| Error::no_such("workflow"))?;
    let events = sql::list_events(&mut *tx, id).await?;
    let version = workflow.version;
    conditions.respond(version, &WorkflowDetails { workflow, events })
}

#[utoipa::path(
    post,
    path = "/api/v1/workflows/{id}/approve",
    tag = "performance agent",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Approve the planned changes of a workflow, or its next stage",
    params(("id" = Uuid, Path, description = "Id of a workflow that `GET /api/v1/workflows` lists")),
    responses(
        (status = 200, description = "The approved workflow", body = Workflow),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem),
        (status = 404, description = "There is no such workflow", body = Problem),
        (status = 409, description = "The workflow does not await approval", body = Problem)
    )
)]
async fn approve(
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    Write { caller, mut tx, .. }: Write<NoBody, Administrator>,
) -> Result<StoredResponse> {
    let approve = Decision::Approve;
    let (workflow, job) = super::decide(&mut tx, &state, caller.actor(), id, approve).await?;
    if let Some(job) = job {
        tx.after_commit(move || state.queue.push_later(job::KIND.queue, job));
    }
    tx.finish(StoredResponse::ok(workflow.version, &workflow)?).await
}

#[utoipa::path(
    post,
    path = "/api/v1/workflows/{id}/reject",
    tag = "performance agent",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Reject the planned changes of a workflow; those in force are taken back",
    params(("id" = Uuid, Path, description = "Id of a workflow that `GET /api/v1/workflows` lists")),
    responses(
        (status = 200, description = "The rejected workflow", body = Workflow),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem),
        (status = 404, description = "There is no such workflow", body = Problem),
        (status = 409, description = "The workflow does not await approval", body = Problem)
    )
)]
async fn reject(
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    Write { caller, mut tx, .. }: Write<NoBody, Administrator>,
) -> Result<StoredResponse> {
    let reject = Decision::Reject;
    let (workflow, _) = super::decide(&mut tx, &state, caller.actor(), id, reject).await?;
    tx.finish(StoredResponse::ok(workflow.version, &workflow)?).await
}

#[utoipa::path(
    post,
    path = "/api/v1/workflows/{id}/cancel",
    tag = "performance agent",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "End a workflow at once; values in force are taken back",
    params(("id" = Uuid, Path, description = "Id of a workflow that `GET /api/v1/workflows` lists")),
    responses(
        (status = 200, description = "The workflow: failed, or rolled back if its rollout had begun", body = Workflow),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem),
        (status = 404, description = "There is no such workflow", body = Problem),
        (status = 409, description = "The workflow has ended", body = Problem)
    )
)]
async fn cancel(
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    Write { caller, mut tx, .. }: Write<NoBody, Administrator>,
) -> Result<StoredResponse> {
    let cancel = Decision::Cancel;
    let (workflow, _) = super::decide(&mut tx, &state, caller.actor(), id, cancel).await?;
    tx.finish(StoredResponse::ok(workflow.version, &workflow)?).await
}
