//! Platform load tests: a user of the authentication API that registers, logs in and requests
//! `/health`.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};

use super::{
    Session,
    own_account::{LOGIN, REGISTER},
};
use crate::{
    client::{Endpoint, Request, Shape},
    scenario::UserClass,
};

/// User class `AuthUser`.
pub static CLASS: UserClass = UserClass {
    description: "registers, logs in to the account registered last, requests /health",
    wait: (Duration::from_secs(1), Duration::from_secs(3)),
    start_user: Some(Session::start),
    ..UserClass::new("AuthUser", &[&REGISTER, &LOGIN, &AUTH_HEALTH], &scenario)
};

/// `GET /health`; in the platform load tests it counts for authentication, whose users alone
/// request it.
static AUTH_HEALTH: Endpoint = Endpoint {
    name: "GET /health",
    expected_statuses: &[200],
    shape: Shape::Object(&["status", "timestamp"]),
    tags: &["api:auth"],
};

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(register).set_name(REGISTER.name).set_on_start())
        .register_transaction(transaction!(register).set_name(REGISTER.name).set_weight(3)?)
        .register_transaction(transaction!(log_in).set_name(LOGIN.name).set_weight(5)?)
        .register_transaction(transaction!(health).set_name(AUTH_HEALTH.name).set_weight(2)?))
}

/// Registers a new account on every call, as a new visitor would.
async fn register(user: &mut GooseUser) -> TransactionResult {
    Session::get(user)?.register().await;
    Ok(())
}

/// Logs in to the account registered last. Registers one instead if no registration has succeeded
/// yet.
async fn log_in(user: &mut GooseUser) -> TransactionResult {
    let session = Session::get(user)?;
    if session.account.is_some() {
        session.log_in().await;
    } else {
        session.register().await;
    }
    Ok(())
}

async fn health(user: &mut GooseUser) -> TransactionResult {
    Session::get(user)?.client.send(Request::get(&AUTH_HEALTH, "/health")).await;
    Ok(())
}
