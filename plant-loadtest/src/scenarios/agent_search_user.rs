//! Seed 000's searcher: looks for agents by a part of a name and does nothing else.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};

use super::{ActsFor, Need, Session, UserClass};
use crate::client::{Call, Endpoint, Shape};

/// The class.
pub static CLASS: UserClass = UserClass {
    name: "AgentSearchUser",
    about: "searches agents and does nothing else",
    wait: (Duration::from_secs(1), Duration::from_secs(3)),
    endpoints: &[&SEARCH_AGENTS],
    acts_for: ActsFor::Nobody,
    needs: &[Need::Agents],
    work: &[],
    scenario,
};

static SEARCH_AGENTS: Endpoint = Endpoint {
    name: "GET /api/v1/agents?search={search}",
    success: &[200],
    // What one searches is not always there.
    shape: Shape::Array(&["id", "name", "industry", "status"]),
};

/// Parts of names of agents, roles, teams and skills: most find some, the last ones nothing.
const TERMS: [&str; 12] = [
    "writer", "math", "sales", "seo", "content", "campaign", "science", "story", "desk", "an",
    "zeppelin", "q7x",
];

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(search).set_name(SEARCH_AGENTS.name)))
}

async fn search(user: &mut GooseUser) -> TransactionResult {
    let term = TERMS[fastrand::usize(..TERMS.len())];
    let call = Call::get(&SEARCH_AGENTS, format!("/api/v1/agents?search={term}"));
    Session::of(user)?.client.send(call).await;
    Ok(())
}
