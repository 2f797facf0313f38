//! `/admin/queue`: the queue of tickets, for administrators; `/queue`: a page that shows it.

use std::sync::LazyLock;

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::job::KIND;
use super::{DeadTicket, QueueState, sql};
use crate::access::Administrator;
use crate::check::Checks;
use crate::clock::Clock;
use crate::db::{self, Db, TenantScope};
use crate::error::{Error, Problem, Result};
use crate::etag::Preconditions;
use crate::extract::{NoBody, Path, Query};
use crate::html_page::HtmlPage;
use crate::jobs::paused;
use crate::page::check_limit;
use crate::queue::Queue;
use crate::state::AppState;
use crate::tunables::RequestTunables;
use crate::write::{StoredResponse, Write};

static PAGE: LazyLock<HtmlPage> = LazyLock::new(|| HtmlPage::new(include_str!("page.html")));

/// Returns the routes of the queue.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(state))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(dead))
        .routes(routes!(requeue))
        .route("/queue", get(|| async { PAGE.response() }))
}

/// The queue to pause or to resume.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct QueueName {
    /// Name of the queue; default `enhancement`, the only one.
    #[param(pattern = "^enhancement(_queue)?$")]
    queue: Option<String>,
}

impl QueueName {
    fn check(&self) -> Result<()> {
        match self.queue.as_deref() {
            None => Ok(()),
            Some(name) if name == KIND.name || name == KIND.queue => Ok(()),
            Some(_) => Err(Error::invalid("queue", "enum", "must be enhancement")),
        }
    }
}

#[utoipa::path(
    get,
    path = "/admin/queue",
    tag = "queue",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Get the state of the queue of tickets",
    responses(
        (status = 200, description = "The state", body = QueueState),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem)
    )
)]
async fn state(
    State(db): State<Db>,
    _: Administrator,
    conditions: Preconditions,
) -> Result<Response> {
    let mut tx = db.begin_in(TenantScope::All).await?;
    conditions.respond_with_content_etag(&sql::find_state(&mut *tx).await?)
}

#[utoipa::path(
    post,
    path = "/admin/queue/pause",
    tag = "queue",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Pause the queue: no worker claims further tickets",
    description = "Tickets are accepted and stored as before. Those that are being processed are finished.",
    params(QueueName),
    responses(
        (status = 200, description = "The queue is paused", body = QueueState),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem)
    )
)]
async fn pause(
    State(clock): State<Clock>,
    Query(name): Query<QueueName>,
    Write { mut tx, .. }: Write<NoBody, Administrator>,
) -> Result<StoredResponse> {
    name.check()?;
    paused::pause(&mut *tx, KIND.name, clock.now()).await?;
    db::enter(&mut *tx, TenantScope::All).await?;
    let state = sql::find_state(&mut *tx).await?;
    tx.finish(StoredResponse::json(&state)?).await
}

#[utoipa::path(
    post,
    path = "/admin/queue/resume",
    tag = "queue",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Resume the queue",
    params(QueueName),
    responses(
        (status = 200, description = "The queue is not paused", body = QueueState),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem)
    )
)]
async fn resume(
    Query(name): Query<QueueName>,
    Write { mut tx, .. }: Write<NoBody, Administrator>,
) -> Result<StoredResponse> {
    name.check()?;
    paused::resume(&mut *tx, KIND.name).await?;
    db::enter(&mut *tx, TenantScope::All).await?;
    let state = sql::find_state(&mut *tx).await?;
    tx.finish(StoredResponse::json(&state)?).await
}

/// Length of the list of dead-lettered tickets.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct DeadPage {
    /// Maximum number of tickets, 1 to 500; default 100.
    #[param(minimum = 1, maximum = 500, example = 20)]
    limit: Option<i64>,
}

#[utoipa::path(
    get,
    path = "/admin/queue/dead",
    tag = "queue",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "List dead-lettered tickets, the last first",
    params(DeadPage),
    responses(
        (status = 200, description = "The tickets", body = Vec<DeadTicket>),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem)
    )
)]
async fn dead(
    State(db): State<Db>,
    _: Administrator,
    Query(page): Query<DeadPage>,
    tunables: RequestTunables,
    conditions: Preconditions,
) -> Result<Response> {
    let mut checks = Checks::default();
    let limit = check_limit(&mut checks, page.limit, &tunables);
    checks.into_result()?;
    let mut tx = db.begin_in(TenantScope::All).await?;
    conditions.respond_with_content_etag(&sql::list_dead(&mut *tx, limit).await?)
}

/// Response to a requeued ticket.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RequeuedTicket)]
struct Requeued {
    /// Id of the job.
    job_id: Uuid,
    /// Always `pending`.
    #[schema(example = "pending")]
    status: &'static str,
}

#[utoipa::path(
    post,
    path = "/admin/queue/dead/{id}/requeue",
    tag = "queue",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Requeue a dead-lettered ticket, with all its attempts",
    params(("id" = Uuid, Path, description = "`job_id` of a ticket that `GET /admin/queue/dead` lists")),
    responses(
        (status = 200, description = "The ticket is pending again", body = Requeued),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem),
        (status = 404, description = "There is no such dead-lettered ticket", body = Problem)
    )
)]
async fn requeue(
    State(queue): State<Queue>,
    Path(id): Path<Uuid>,
    Write { mut tx, .. }: Write<NoBody, Administrator>,
) -> Result<StoredResponse> {
    db::enter(&mut *tx, TenantScope::All).await?;
    super::requeue(&mut tx, id).await?;
    tx.after_commit(move || queue.push_later(KIND.queue, id));
    tx.finish(StoredResponse::json(&Requeued { job_id: id, status: "pending" })?).await
}
