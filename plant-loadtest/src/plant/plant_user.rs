//! Load tests guide: a user that lists agents, creates skills and reads single agents.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};
use serde_json::json;

use super::{CREATE_SKILL, LIST_AGENTS, Session, accounts::LOG_IN, ids, test_data::AGENTS};
use crate::{
    client::{Endpoint, Request, Shape},
    scenario::UserClass,
};

/// User class `PlantUser`.
pub static CLASS: UserClass = UserClass {
    description: "lists agents, creates skills, reads single agents",
    wait: (Duration::from_secs(1), Duration::from_secs(3)),
    checks: &[&LOG_IN, &AGENTS],
    start_user: Some(Session::start_as_customer),
    ..UserClass::new("PlantUser", &[&LIST_AGENTS, &CREATE_SKILL, &READ_AGENT], &scenario)
};

static READ_AGENT: Endpoint = Endpoint {
    name: "GET /api/v1/agents/{id}",
    expected_statuses: &[200],
    shape: Shape::Object(&["id", "name", "industry", "status"]),
    tags: &["read"],
};

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(list_agents).set_name(LIST_AGENTS.name).set_on_start())
        .register_transaction(transaction!(list_agents).set_name(LIST_AGENTS.name).set_weight(3)?)
        .register_transaction(transaction!(create_skill).set_name(CREATE_SKILL.name).set_weight(2)?)
        .register_transaction(transaction!(read_agent).set_name(READ_AGENT.name).set_weight(1)?))
}

async fn list_agents(user: &mut GooseUser) -> TransactionResult {
    fetch_agents(Session::get(user)?).await;
    Ok(())
}

async fn create_skill(user: &mut GooseUser) -> TransactionResult {
    let name = format!("Skill_{}", fastrand::u32(1..=1000));
    let skill = json!({ "name": name, "category": "technical" });
    let request = Request::post(&CREATE_SKILL, "/api/v1/skills", &skill);
    Session::get(user)?.client.send(request).await;
    Ok(())
}

async fn read_agent(user: &mut GooseUser) -> TransactionResult {
    let session = Session::get(user)?;
    match session.random_agent_id() {
        Some(id) => {
            let request = Request::get(&READ_AGENT, format!("/api/v1/agents/{id}"));
            session.client.send(request).await;
        }
        None => fetch_agents(session).await,
    }
    Ok(())
}

async fn fetch_agents(session: &mut Session) {
    let list = session.client.send(Request::get(&LIST_AGENTS, "/api/v1/agents")).await;
    if let Some(list) = list.filter(|_| session.agent_ids.is_empty()) {
        session.agent_ids = ids(&list);
    }
}
