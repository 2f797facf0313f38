//! A user of the stub servers that `calibrate` starts.

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};

use super::{Session, UserClass, selftest_user::PING};
use crate::client::Request;

/// User class `PingUser`.
pub static CLASS: UserClass = UserClass {
    description: "requests the stub servers that `calibrate` starts",
    ..UserClass::new("PingUser", &[&PING], &scenario)
};

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name).register_transaction(transaction!(ping).set_name(PING.name)))
}

async fn ping(user: &mut GooseUser) -> TransactionResult {
    Session::get(user)?.client.send(Request::get(&PING, "/ping")).await;
    Ok(())
}
