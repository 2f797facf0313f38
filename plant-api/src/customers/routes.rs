//! `/api/v1/customers`.

use axum::extract::State as Extract;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Customer, CustomerId, NewCustomer, sql};
use crate::access::Caller;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::Conditions;
use crate::extract::Path;
use crate::idempotency::{self, Answer, Begun, Posted};
use crate::state::State;

/// The customers' routes.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(find))
}

#[utoipa::path(
    post,
    path = "/api/v1/customers",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "Create a customer",
    description = "Registering an account makes its customer; this is for administrators, or \
                   anybody where access is open.",
    request_body = NewCustomer,
    responses(
        (status = 201, description = "Created", body = Customer),
        (status = 403, description = "Only an administrator may", body = Problem),
        (status = 409, description = "The id is taken", body = Problem)
    )
)]
async fn create(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    caller: Caller,
    posted: Posted<NewCustomer>,
) -> Result<Answer> {
    caller.must_administer()?;
    let mut work = match idempotency::begin(&db, &clock, &caller, posted.key).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(work) => work,
    };
    let customer = super::create(work.connection(), &clock, posted.body).await?;
    let location = format!("/api/v1/customers/{}", customer.id.0);
    let answer = work.commit(Answer::created(location, version(&customer), &customer)?).await?;
    Ok(answer)
}

#[utoipa::path(
    get,
    path = "/api/v1/customers/{customer_id}",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "One customer",
    params(("customer_id" = CustomerId, Path, description = "Its id")),
    responses(
        (status = 200, description = "The customer", body = Customer),
        (status = 404, description = "There is no such customer", body = Problem)
    )
)]
async fn find(
    Extract(db): Extract<Db>,
    caller: Caller,
    Path(id): Path<CustomerId>,
    conditions: Conditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let found = sql::find(&mut *connection, &id, caller.customer()).await?;
    let customer = found.ok_or_else(|| Error::no_such("customer"))?;
    conditions.answer(version(&customer), &customer)
}

/// A customer never changes.
fn version(customer: &Customer) -> i64 {
    customer.created_at.timestamp_micros()
}
