//! `/api/v1/generation`: an account's own tasks.

use axum::extract::State as Extract;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Accepted, Generation, NewGeneration, Status, Summary, job, sql};
use crate::access::{Account, Caller};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::Conditions;
use crate::extract::{Path, Query};
use crate::idempotency::{self, Answer, Begun, Posted};
use crate::page::{Page, PageParams};
use crate::queue::Queue;
use crate::state::State;

/// The tasks' routes.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(list)).routes(routes!(find))
}

/// Which tasks are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only tasks of this status.
    status: Option<Status>,
}

/// A page of tasks; only its schema is used.
#[derive(Serialize, utoipa::ToSchema)]
struct Tasks {
    /// The tasks, newest first.
    items: Vec<Summary>,
    /// What to send as `after` for the next page; null on the last.
    next: Option<Uuid>,
}

#[utoipa::path(
    post,
    path = "/api/v1/generation/create",
    tag = "generation",
    security(("bearer" = [])),
    summary = "Ask for a text; it is written in the background",
    request_body = NewGeneration,
    responses(
        (status = 202, description = "Accepted: it will be done", body = Accepted),
        (status = 403, description = "The operator's key is no account", body = Problem)
    )
)]
async fn create(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    Extract(queue): Extract<Queue>,
    account: Account,
    posted: Posted<NewGeneration>,
) -> Result<Answer> {
    let caller = Caller::Account(account.clone());
    let mut work = match idempotency::begin(&db, &clock, &caller, posted.key).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(work) => work,
    };
    let task = super::create(work.connection(), &clock, &account, posted.body).await?;
    let location = format!("/api/v1/generation/{}", task.id);
    let answer = work.commit(Answer::accepted(location, "queued-0", &task)?).await?;
    queue.announce(job::KIND.queue, task.id);
    Ok(answer)
}

#[utoipa::path(
    get,
    path = "/api/v1/generation/list",
    tag = "generation",
    security(("bearer" = [])),
    summary = "One's own tasks, newest first",
    params(Filter, PageParams),
    responses(
        (status = 200, description = "A page of tasks", body = Tasks),
        (status = 403, description = "The operator's key is no account", body = Problem)
    )
)]
async fn list(
    Extract(db): Extract<Db>,
    account: Account,
    Query(filter): Query<Filter>,
    page: Page,
    conditions: Conditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let rows = sql::list(&mut *connection, account.id, filter.status, &page).await?;
    Ok(conditions.answer_stored(&page.enveloped(rows, |task| task.id)?))
}

#[utoipa::path(
    get,
    path = "/api/v1/generation/{id}",
    tag = "generation",
    security(("bearer" = [])),
    summary = "One of one's own tasks, with its text when it is there",
    params(("id" = Uuid, Path, description = "The task's id")),
    responses(
        (status = 200, description = "The task", body = Generation),
        (status = 403, description = "The operator's key is no account", body = Problem),
        (status = 404, description = "There is no such task, or it is another account's", body = Problem)
    )
)]
async fn find(
    Extract(db): Extract<Db>,
    account: Account,
    Path(id): Path<Uuid>,
    conditions: Conditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let task = sql::find(&mut *connection, id, account.id).await?;
    let task = task.ok_or_else(|| Error::no_such("generation task"))?;
    conditions.answer(format!("{}-{}", task.status.name(), task.attempts), &task)
}
