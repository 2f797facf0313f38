//! Platform load tests: a user of the payments API that pays for plans and lists its payments.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};
use serde_json::json;

use super::{
    Session,
    own_account::{LOGIN, REGISTER},
};
use crate::{
    client::{Endpoint, Request, Shape},
    scenario::UserClass,
};

/// User class `PaymentUser`.
pub static CLASS: UserClass = UserClass {
    description: "pays for plans, lists its payments",
    wait: (Duration::from_secs(2), Duration::from_secs(5)),
    start_user: Some(Session::start),
    ..UserClass::new("PaymentUser", &[&CREATE, &LIST, &REGISTER, &LOGIN], &scenario)
};

static CREATE: Endpoint = Endpoint {
    name: "POST /api/v1/payments/create",
    expected_statuses: &[201],
    shape: Shape::Object(&[
        "id",
        "payment_id",
        "plan_id",
        "amount",
        "currency",
        "status",
        "created_at",
    ]),
    tags: &["write", "api:payments"],
};

static LIST: Endpoint = Endpoint {
    name: "GET /api/v1/payments",
    expected_statuses: &[200],
    shape: Shape::Array(&["id", "plan_id", "amount", "currency", "status"]),
    tags: &["read", "api:payments"],
};

const PLANS: [&str; 3] = ["starter", "pro", "enterprise"];

/// The prices of the plans. The document draws the amount independently of the plan.
const AMOUNTS: [f64; 3] = [9.99, 29.99, 99.99];

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(log_in).set_name(LOGIN.name).set_on_start())
        .register_transaction(transaction!(create).set_name(CREATE.name).set_weight(6)?)
        .register_transaction(transaction!(list).set_name(LIST.name).set_weight(4)?))
}

async fn log_in(user: &mut GooseUser) -> TransactionResult {
    Session::get(user)?.token().await;
    Ok(())
}

async fn create(user: &mut GooseUser) -> TransactionResult {
    let session = Session::get(user)?;
    let Some(token) = session.token().await else { return Ok(()) };
    let payment = json!({
        "plan_id": fastrand::choice(PLANS),
        "amount": fastrand::choice(AMOUNTS),
        "currency": "USD",
    });
    let request = Request::post(&CREATE, "/api/v1/payments/create", &payment).bearer(&token);
    session.client.send(request).await;
    Ok(())
}

async fn list(user: &mut GooseUser) -> TransactionResult {
    let session = Session::get(user)?;
    if let Some(token) = session.token().await {
        session.client.send(Request::get(&LIST, "/api/v1/payments").bearer(&token)).await;
    }
    Ok(())
}
