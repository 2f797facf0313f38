//! Seed 001's lightweight user: asks for `/health` and nothing else.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};

use super::{ActsFor, HEALTH, Session, UserClass};
use crate::client::Call;

/// The class.
pub static CLASS: UserClass = UserClass {
    name: "HealthCheckUser",
    about: "asks for /health and nothing else",
    wait: (Duration::from_millis(500), Duration::from_millis(1500)),
    endpoints: &[&HEALTH],
    acts_for: ActsFor::Nobody,
    needs: &[],
    work: &[],
    scenario,
};

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(health).set_name(HEALTH.name)))
}

async fn health(user: &mut GooseUser) -> TransactionResult {
    Session::of(user)?.client.send(Call::get(&HEALTH, "/health")).await;
    Ok(())
}
