//! Load tests guide: a user that lists the agents of the catalogue and does nothing else.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};

use super::{LIST_AGENTS, Session, test_data::AGENTS};
use crate::{client::Request, scenario::UserClass};

/// User class `AgentListUser`.
pub static CLASS: UserClass = UserClass {
    description: "lists agents only",
    wait: (Duration::from_secs(1), Duration::from_secs(3)),
    checks: &[&AGENTS],
    start_user: Some(Session::start),
    ..UserClass::new("AgentListUser", &[&LIST_AGENTS], &scenario)
};

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(list).set_name(LIST_AGENTS.name)))
}

async fn list(user: &mut GooseUser) -> TransactionResult {
    Session::get(user)?.client.send(Request::get(&LIST_AGENTS, "/api/v1/agents")).await;
    Ok(())
}
