//! `/api/v1/customers/{customer_id}/agents` and `/api/v1/agents/{id}/configuration`.

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::configuration::{self, NewConfiguration};
use super::{Configuration, HireId, HiredAgent, NewHire, not_found, sql};
use crate::access::Caller;
use crate::cache::{RequestCache, Topic};
use crate::clock::Clock;
use crate::customers::{self, CustomerId};
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::{self, Preconditions};
use crate::extract::{Json, Path};
use crate::page::{self, Page, PageParams};
use crate::state::AppState;
use crate::write::{StoredResponse, Write};

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, hire)).routes(routes!(read, configure))
}

#[utoipa::path(
    get,
    path = "/api/v1/customers/{customer_id}/agents",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "List a customer's hired agents, newest first",
    params(("customer_id" = CustomerId, Path, description = "Id of the customer"), PageParams),
    responses(
        (status = 200, description = "A page of hired agents", body = Vec<HiredAgent>),
        (status = 404, description = "There is no such customer", body = Problem)
    )
)]
async fn list(
    State(db): State<Db>,
    State(clock): State<Clock>,
    cache: RequestCache,
    caller: Caller,
    Path(customer_id): Path<CustomerId>,
    page: Page,
    conditions: Preconditions,
) -> Result<Response> {
    let customer_filter = caller.customer_filter();
    let fill = || async {
        let mut connection = db.acquire().await?;
        let rows =
            sql::list(&mut *connection, &customer_id, customer_filter, clock.now(), &page).await?;
        if rows.is_empty() {
            let customer =
                customers::sql::find(&mut *connection, &customer_id, customer_filter).await?;
            customer.ok_or_else(|| Error::no_such("customer"))?;
        }
        page.to_cached_response(page::rows(rows), |hire| hire.id.0).await
    };
    let key = caller.cache_key(&page.key());
    let hires = cache.get_with(Topic::Hires, &key, fill).await?;
    Ok(conditions.respond_cached(&hires))
}

#[utoipa::path(
    post,
    path = "/api/v1/customers/{customer_id}/agents",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Hire an agent",
    params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    request_body = NewHire,
    responses(
        (status = 201, description = "Hired", body = HiredAgent),
        (status = 404, description = "There is no such customer", body = Problem),
        (status = 409, description = "The agent is not active", body = Problem)
    )
)]
async fn hire(
    State(clock): State<Clock>,
    Path(customer_id): Path<CustomerId>,
    Write { caller, body: Json(new), mut tx }: Write<Json<NewHire>>,
) -> Result<StoredResponse> {
    let hire = super::hire(&mut tx, &clock, &caller, &customer_id, new).await?;
    let location = format!("/api/v1/agents/{}/configuration", hire.id);
    tx.invalidate(Topic::Hires);
    tx.finish(StoredResponse::created(location, 1, &hire)?).await
}

#[utoipa::path(
    get,
    path = "/api/v1/agents/{id}/configuration",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Get a hired agent's configuration",
    params(("id" = HireId, Path, description = "Id of the hired agent")),
    responses(
        (status = 200, description = "The configuration", body = Configuration),
        (status = 404, description = "There is no such hired agent", body = Problem)
    )
)]
async fn read(
    State(db): State<Db>,
    cache: RequestCache,
    caller: Caller,
    Path(id): Path<HireId>,
    conditions: Preconditions,
) -> Result<Response> {
    let customer_filter = caller.customer_filter();
    let fill = || async {
        let mut connection = db.acquire().await?;
        match sql::find_configuration(&mut *connection, id, customer_filter).await? {
            Some(configuration) => etag::to_cached_response(configuration.version, &configuration),
            None => Err(not_found(&mut connection, id).await),
        }
    };
    let key = caller.cache_key(&id.to_string());
    let configuration = cache.get_with(Topic::Hires, &key, fill).await?;
    Ok(conditions.respond_cached(&configuration))
}

#[utoipa::path(
    put,
    path = "/api/v1/agents/{id}/configuration",
    tag = "hire side",
    security((), ("bearer" = [])),
    summary = "Replace a hired agent's configuration",
    params(("id" = HireId, Path, description = "Id of the hired agent")),
    request_body = NewConfiguration,
    responses(
        (status = 200, description = "The new configuration", body = Configuration),
        (status = 404, description = "There is no such hired agent", body = Problem),
        (status = 412, description = "The current version does not match If-Match", body = Problem)
    )
)]
async fn configure(
    State(clock): State<Clock>,
    Path(id): Path<HireId>,
    conditions: Preconditions,
    Write { caller, body: Json(new), mut tx }: Write<Json<NewConfiguration>>,
) -> Result<StoredResponse> {
    let configuration =
        configuration::configure(&mut tx, &clock, &caller, id, &conditions, new).await?;
    tx.invalidate(Topic::Hires);
    tx.finish(StoredResponse::ok(configuration.version, &configuration)?).await
}
