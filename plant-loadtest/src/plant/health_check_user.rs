//! Progressive load guide: a lightweight user that requests `/health` and nothing else.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};

use super::{HEALTH, Session};
use crate::{client::Request, scenario::UserClass};

/// User class `HealthCheckUser`.
pub static CLASS: UserClass = UserClass {
    description: "requests /health only",
    wait: (Duration::from_millis(500), Duration::from_millis(1500)),
    start_user: Some(Session::start),
    ..UserClass::new("HealthCheckUser", &[&HEALTH], &scenario)
};

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(health).set_name(HEALTH.name)))
}

async fn health(user: &mut GooseUser) -> TransactionResult {
    Session::get(user)?.client.send(Request::get(&HEALTH, "/health")).await;
    Ok(())
}
