//! `/api/v1/customers/{customer_id}/agents` and `/api/v1/agents/{id}/configuration`.

use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::configuration::{self, Configuration, NewConfiguration};
use super::{HireId, HiredAgent, NewHire, missing, sql};
use crate::access::Caller;
use crate::clock::Clock;
use crate::customers::{self, CustomerId};
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::{self, Conditions};
use crate::extract::{Json, Path};
use crate::idempotency::{self, Answer, Begun, Posted};
use crate::page::{Page, PageParams};
use crate::state::State;

/// The hired agents' routes.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list, hire)).routes(routes!(read, configure))
}

#[utoipa::path(
    get,
    path = "/api/v1/customers/{customer_id}/agents",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "The agents that a customer has hired, newest first",
    params(("customer_id" = CustomerId, Path, description = "The customer's id"), PageParams),
    responses(
        (status = 200, description = "A page of hired agents", body = Vec<HiredAgent>),
        (status = 404, description = "There is no such customer", body = Problem)
    )
)]
async fn list(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    caller: Caller,
    Path(customer_id): Path<CustomerId>,
    page: Page,
) -> Result<Response> {
    let owner = caller.customer();
    let mut connection = db.acquire().await?;
    let rows = sql::list(&mut *connection, &customer_id, owner, clock.now(), &page).await?;
    if rows.is_empty() {
        let customer = customers::sql::find(&mut *connection, &customer_id, owner).await?;
        customer.ok_or_else(|| Error::no_such("customer"))?;
    }
    page.answer(rows, |hire| hire.id.0)
}

#[utoipa::path(
    post,
    path = "/api/v1/customers/{customer_id}/agents",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Hire an agent",
    params(("customer_id" = CustomerId, Path, description = "The customer's id")),
    request_body = NewHire,
    responses(
        (status = 201, description = "Hired", body = HiredAgent),
        (status = 404, description = "There is no such customer", body = Problem),
        (status = 409, description = "The agent is not active", body = Problem)
    )
)]
async fn hire(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    caller: Caller,
    Path(customer_id): Path<CustomerId>,
    posted: Posted<NewHire>,
) -> Result<Answer> {
    let mut work = match idempotency::begin(&db, &clock, &caller, posted.key).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(work) => work,
    };
    let hire = super::hire(work.connection(), &clock, &caller, &customer_id, posted.body).await?;
    let location = format!("/api/v1/agents/{}/configuration", hire.id);
    let answer = work.commit(Answer::created(location, 1, &hire)?).await?;
    Ok(answer)
}

#[utoipa::path(
    get,
    path = "/api/v1/agents/{id}/configuration",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "How a hired agent is set up",
    params(("id" = HireId, Path, description = "The hired agent's id")),
    responses(
        (status = 200, description = "Its configuration", body = Configuration),
        (status = 404, description = "There is no such hired agent", body = Problem)
    )
)]
async fn read(
    Extract(db): Extract<Db>,
    caller: Caller,
    Path(id): Path<HireId>,
    conditions: Conditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    match sql::configuration(&mut *connection, id, caller.customer()).await? {
        Some(configuration) => conditions.answer(configuration.version, &configuration),
        None => Err(missing(&mut connection, id).await),
    }
}

#[utoipa::path(
    put,
    path = "/api/v1/agents/{id}/configuration",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Set up a hired agent",
    params(("id" = HireId, Path, description = "The hired agent's id")),
    request_body = NewConfiguration,
    responses(
        (status = 200, description = "Its configuration as it now is", body = Configuration),
        (status = 404, description = "There is no such hired agent", body = Problem),
        (status = 412, description = "It is no longer at the version in If-Match", body = Problem)
    )
)]
async fn configure(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    caller: Caller,
    Path(id): Path<HireId>,
    conditions: Conditions,
    Json(new): Json<NewConfiguration>,
) -> Result<Response> {
    let now = configuration::configure(&db, &clock, &caller, id, &conditions, new).await?;
    Ok(etag::with_version(now.version, Json(now).into_response()))
}
