//! Routes of `/api/v1/customers`.

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Customer, CustomerId, NewCustomer, sql};
use crate::access::{Administrator, Caller};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::Preconditions;
use crate::extract::{Json, Path};
use crate::state::AppState;
use crate::write::{StoredResponse, Write};

/// Returns the routes of customers.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(find))
}

#[utoipa::path(
    post,
    path = "/api/v1/customers",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "Create a customer",
    description = "Requires administrator rights, unless access is open. To create a customer with \
                   an account, register the account instead.",
    request_body = NewCustomer,
    responses(
        (status = 201, description = "Created", body = Customer),
        (status = 403, description = "Administrator rights are required", body = Problem),
        (status = 409, description = "The id is taken", body = Problem)
    )
)]
async fn create(
    State(clock): State<Clock>,
    Write { body: Json(new), mut tx, .. }: Write<Json<NewCustomer>, Administrator>,
) -> Result<StoredResponse> {
    let customer = super::create(&mut tx, &clock, new).await?;
    let location = format!("/api/v1/customers/{}", customer.id.0);
    tx.finish(StoredResponse::created(location, version(&customer), &customer)?).await
}

#[utoipa::path(
    get,
    path = "/api/v1/customers/{customer_id}",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "Get a customer",
    params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    responses(
        (status = 200, description = "The customer", body = Customer),
        (status = 404, description = "There is no such customer", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    caller: Caller,
    Path(id): Path<CustomerId>,
    conditions: Preconditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let found = sql::find(&mut *connection, &id, caller.customer_filter()).await?;
    let customer = found.ok_or_else(|| Error::no_such("customer"))?;
    conditions.respond(version(&customer), &customer)
}

/// Returns the version for the ETag. A customer is never updated.
fn version(customer: &Customer) -> i64 {
    customer.created_at.timestamp_micros()
}
