//! Seed 000's browser of the catalogue: lists agents and nothing else.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};

use super::{ActsFor, LIST_AGENTS, Need, Session, UserClass};
use crate::client::Call;

/// The class.
pub static CLASS: UserClass = UserClass {
    name: "AgentListUser",
    about: "lists agents and nothing else",
    wait: (Duration::from_secs(1), Duration::from_secs(3)),
    endpoints: &[&LIST_AGENTS],
    acts_for: ActsFor::Nobody,
    needs: &[Need::Agents],
    work: &[],
    scenario,
};

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(list).set_name(LIST_AGENTS.name)))
}

async fn list(user: &mut GooseUser) -> TransactionResult {
    Session::of(user)?.client.send(Call::get(&LIST_AGENTS, "/api/v1/agents")).await;
    Ok(())
}
