//! Load tests guide: a user that searches agents by a part of a name and does nothing else.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};

use super::{Session, test_data::AGENTS};
use crate::{
    client::{Endpoint, Request, Shape},
    scenario::UserClass,
};

/// User class `AgentSearchUser`.
pub static CLASS: UserClass = UserClass {
    description: "searches agents only",
    wait: (Duration::from_secs(1), Duration::from_secs(3)),
    checks: &[&AGENTS],
    start_user: Some(Session::start),
    ..UserClass::new("AgentSearchUser", &[&SEARCH_AGENTS], &scenario)
};

static SEARCH_AGENTS: Endpoint = Endpoint {
    name: "GET /api/v1/agents?search={search}",
    expected_statuses: &[200],
    // Some search terms match no agent.
    shape: Shape::Array(&["id", "name", "industry", "status"]),
    tags: &["read"],
};

/// Parts of the names of agents, roles, teams and skills. All but the last two match seeded agents.
const SEARCH_TERMS: [&str; 12] = [
    "writer", "math", "sales", "seo", "content", "campaign", "science", "story", "desk", "an",
    "zeppelin", "q7x",
];

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(search).set_name(SEARCH_AGENTS.name)))
}

async fn search(user: &mut GooseUser) -> TransactionResult {
    let term = SEARCH_TERMS[fastrand::usize(..SEARCH_TERMS.len())];
    let request = Request::get(&SEARCH_AGENTS, format!("/api/v1/agents?search={term}"));
    Session::get(user)?.client.send(request).await;
    Ok(())
}
