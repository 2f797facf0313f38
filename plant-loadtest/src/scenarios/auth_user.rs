//! Seed 003's user of the accounts: registers, logs in, looks whether the service is well.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};

use super::{
    ActsFor, HEALTH, Session, UserClass,
    account::{LOGIN, REGISTER},
};
use crate::client::Call;

/// The class.
pub static CLASS: UserClass = UserClass {
    name: "AuthUser",
    about: "registers, logs in with what it registered last, asks for /health",
    wait: (Duration::from_secs(1), Duration::from_secs(3)),
    endpoints: &[&REGISTER, &LOGIN, &HEALTH],
    acts_for: ActsFor::Itself,
    needs: &[],
    work: &[],
    scenario,
};

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(enrol).set_name(REGISTER.name).set_on_start())
        .register_transaction(transaction!(enrol).set_name(REGISTER.name).set_weight(3)?)
        .register_transaction(transaction!(log_in).set_name(LOGIN.name).set_weight(5)?)
        .register_transaction(transaction!(health).set_name(HEALTH.name).set_weight(2)?))
}

/// Every time another account, as if somebody else had come.
async fn enrol(user: &mut GooseUser) -> TransactionResult {
    Session::of(user)?.register().await;
    Ok(())
}

/// With the account that it registered last; who got none yet tries that again instead.
async fn log_in(user: &mut GooseUser) -> TransactionResult {
    let session = Session::of(user)?;
    if session.account.is_some() {
        session.log_in().await;
    } else {
        session.register().await;
    }
    Ok(())
}

async fn health(user: &mut GooseUser) -> TransactionResult {
    Session::of(user)?.client.send(Call::get(&HEALTH, "/health")).await;
    Ok(())
}
