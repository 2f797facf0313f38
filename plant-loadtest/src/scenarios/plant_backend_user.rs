//! Seed 001's full journey: a customer looks around, at its agents, at their goals and results.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};
use serde_json::json;

use super::{ActsFor, HEALTH, LIST_AGENTS, Need, Session, UserClass, ids};
use crate::client::{Call, Endpoint, Shape};

/// The class.
pub static CLASS: UserClass = UserClass {
    name: "PlantBackendUser",
    about: "a customer: looks around, at its agents, at their goals and results",
    wait: (Duration::from_secs(1), Duration::from_secs(3)),
    endpoints: &[
        &HEALTH,
        &LIST_AGENTS,
        &CUSTOMER_AGENTS,
        &FILTER_AGENTS,
        &CONFIGURATION,
        &GOALS,
        &DELIVERABLES,
        &CREATE_GOAL,
    ],
    acts_for: ActsFor::Customer,
    needs: &[Need::Agents, Need::HiredAgents],
    work: &[],
    scenario,
};

const INDUSTRIES: [&str; 3] = ["marketing", "education", "sales"];
const SCHEDULES: [&str; 4] = ["daily", "weekly", "monthly", "on_demand"];

static CUSTOMER_AGENTS: Endpoint = Endpoint {
    name: "GET /api/v1/customers/{customer_id}/agents",
    success: &[200],
    shape: Shape::FilledArray(&["id", "agent_id", "status"]),
};
static FILTER_AGENTS: Endpoint = Endpoint {
    name: "GET /api/v1/agents?industry={industry}",
    success: &[200],
    shape: Shape::FilledArray(&["id", "name", "industry", "status"]),
};
static CONFIGURATION: Endpoint = Endpoint {
    name: "GET /api/v1/agents/{id}/configuration",
    success: &[200],
    shape: Shape::Object(&["nickname", "theme"]),
};
static GOALS: Endpoint = Endpoint {
    name: "GET /api/v1/agents/{id}/goals",
    success: &[200],
    shape: Shape::Array(&["id", "title"]),
};
static DELIVERABLES: Endpoint = Endpoint {
    name: "GET /api/v1/agents/{id}/deliverables",
    success: &[200],
    shape: Shape::Array(&["id", "title", "review_status"]),
};
static CREATE_GOAL: Endpoint = Endpoint {
    name: "POST /api/v1/agents/{id}/goals",
    success: &[201],
    shape: Shape::Object(&["id", "title"]),
};

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(
            transaction!(customer_agents).set_name(CUSTOMER_AGENTS.name).set_on_start(),
        )
        .register_transaction(transaction!(health).set_name(HEALTH.name).set_weight(10)?)
        .register_transaction(transaction!(list_agents).set_name(LIST_AGENTS.name).set_weight(8)?)
        .register_transaction(
            transaction!(customer_agents).set_name(CUSTOMER_AGENTS.name).set_weight(6)?,
        )
        .register_transaction(
            transaction!(filter_agents).set_name(FILTER_AGENTS.name).set_weight(5)?,
        )
        .register_transaction(
            transaction!(configuration).set_name(CONFIGURATION.name).set_weight(4)?,
        )
        .register_transaction(transaction!(goals).set_name(GOALS.name).set_weight(3)?)
        .register_transaction(transaction!(deliverables).set_name(DELIVERABLES.name).set_weight(2)?)
        .register_transaction(transaction!(create_goal).set_name(CREATE_GOAL.name).set_weight(1)?))
}

async fn health(user: &mut GooseUser) -> TransactionResult {
    send(Session::of(user)?, Call::get(&HEALTH, "/health")).await;
    Ok(())
}

async fn list_agents(user: &mut GooseUser) -> TransactionResult {
    send(Session::of(user)?, Call::get(&LIST_AGENTS, "/api/v1/agents")).await;
    Ok(())
}

async fn filter_agents(user: &mut GooseUser) -> TransactionResult {
    let industry = INDUSTRIES[fastrand::usize(..INDUSTRIES.len())];
    let path = format!("/api/v1/agents?industry={industry}");
    send(Session::of(user)?, Call::get(&FILTER_AGENTS, path)).await;
    Ok(())
}

async fn customer_agents(user: &mut GooseUser) -> TransactionResult {
    learn_hired_agents(Session::of(user)?).await;
    Ok(())
}

async fn configuration(user: &mut GooseUser) -> TransactionResult {
    ask_hired_agent(Session::of(user)?, &CONFIGURATION, "configuration").await;
    Ok(())
}

async fn goals(user: &mut GooseUser) -> TransactionResult {
    ask_hired_agent(Session::of(user)?, &GOALS, "goals").await;
    Ok(())
}

async fn deliverables(user: &mut GooseUser) -> TransactionResult {
    ask_hired_agent(Session::of(user)?, &DELIVERABLES, "deliverables").await;
    Ok(())
}

async fn create_goal(user: &mut GooseUser) -> TransactionResult {
    let session = Session::of(user)?;
    let Some(agent) = session.any_agent() else {
        learn_hired_agents(session).await;
        return Ok(());
    };
    let goal = json!({
        "title": format!("Load test goal {}", fastrand::u32(1..=1_000_000)),
        "description": "Made by a load test",
        "schedule": SCHEDULES[fastrand::usize(..SCHEDULES.len())],
        "enabled": true,
    });
    send(session, Call::post(&CREATE_GOAL, format!("/api/v1/agents/{agent}/goals"), &goal)).await;
    Ok(())
}

async fn ask_hired_agent(session: &mut Session, endpoint: &'static Endpoint, what: &str) {
    match session.any_agent() {
        Some(agent) => {
            send(session, Call::get(endpoint, format!("/api/v1/agents/{agent}/{what}"))).await;
        }
        // The list at the start failed and was counted. Asking again keeps the user honest and
        // busy, where a silent skip would hide the failure.
        None => learn_hired_agents(session).await,
    }
}

async fn learn_hired_agents(session: &mut Session) {
    let path = format!("/api/v1/customers/{}/agents", session.customer);
    let call = Call::get(&CUSTOMER_AGENTS, path).customer(session.customer);
    let list = session.client.send(call).await;
    if let Some(list) = list.filter(|_| session.agents.is_empty()) {
        session.agents = ids(&list);
    }
}

async fn send(session: &Session, call: Call) {
    session.client.send(call.customer(session.customer)).await;
}
