//! `/api/v1/generation`: generation tasks of the authenticated account.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Accepted, Generation, NewGeneration, Status, Summary, job, sql};
use crate::access::AuthenticatedAccount;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::Preconditions;
use crate::extract::{Json, Path};
use crate::page::{self, Filtered, PageParams};
use crate::queue::Queue;
use crate::state::AppState;
use crate::write::{StoredResponse, Write};

/// Returns the routes of generation tasks.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(list)).routes(routes!(find))
}

/// Filter for tasks.
#[derive(Debug, Deserialize, Serialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Returns only tasks with this status.
    status: Option<Status>,
}

// Only used for the schema.
/// A page of tasks.
#[derive(Serialize, utoipa::ToSchema)]
struct Tasks {
    /// Tasks, newest first.
    items: Vec<Summary>,
    /// Value of `after` for the next page; null on the last page.
    next: Option<Uuid>,
}

#[utoipa::path(
    post,
    path = "/api/v1/generation/create",
    tag = "generation",
    security(("bearer" = [])),
    summary = "Create a generation task; the text is generated in the background",
    request_body = NewGeneration,
    responses(
        (status = 202, description = "The task was accepted", body = Accepted),
        (status = 403, description = "The admin key has no account", body = Problem)
    )
)]
async fn create(
    State(clock): State<Clock>,
    State(queue): State<Queue>,
    Write { caller, body: Json(new), mut tx }: Write<Json<NewGeneration>, AuthenticatedAccount>,
) -> Result<StoredResponse> {
    let task = super::create(&mut tx, &clock, &caller, new).await?;
    let location = format!("/api/v1/generation/{}", task.id);
    tx.after_commit(move || queue.push_later(job::KIND.queue, task.id));
    tx.finish(StoredResponse::accepted(location, "queued-0", &task)?).await
}

#[utoipa::path(
    get,
    path = "/api/v1/generation/list",
    tag = "generation",
    security(("bearer" = [])),
    summary = "List the account's generation tasks, newest first",
    params(Filter, PageParams),
    responses(
        (status = 200, description = "A page of tasks", body = Tasks),
        (status = 403, description = "The admin key has no account", body = Problem)
    )
)]
async fn list(
    State(db): State<Db>,
    account: AuthenticatedAccount,
    Filtered { filter, page }: Filtered<Filter>,
    conditions: Preconditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let rows = sql::list(&mut *connection, account.id, filter.status, &page).await?;
    let tasks = page.to_items_response(page::rows(rows), |task| task.id).await?;
    Ok(conditions.respond_cached(&tasks))
}

#[utoipa::path(
    get,
    path = "/api/v1/generation/{id}",
    tag = "generation",
    security(("bearer" = [])),
    summary = "Get a generation task, with its text when it is completed",
    params(("id" = Uuid, Path, description = "Id of a task that `POST /api/v1/generation/create` has returned")),
    responses(
        (status = 200, description = "The task", body = Generation),
        (status = 403, description = "The admin key has no account", body = Problem),
        (status = 404, description = "There is no such task, or it belongs to another account", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    account: AuthenticatedAccount,
    Path(id): Path<Uuid>,
    conditions: Preconditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let task = sql::find(&mut *connection, id, account.id).await?;
    let task = task.ok_or_else(|| Error::no_such("generation task"))?;
    conditions.respond(format!("{}-{}", task.status.name(), task.attempts), &task)
}
