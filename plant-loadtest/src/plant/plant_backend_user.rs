//! Progressive load guide: the full journey of a customer, who browses the catalogue, its hired
//! agents, their goals and their deliverables.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};
use serde_json::json;

use super::{
    HEALTH, LIST_AGENTS, Session,
    accounts::LOG_IN,
    ids,
    test_data::{AGENTS, HIRED_AGENTS},
};
use crate::{
    client::{Endpoint, Request, Shape},
    scenario::UserClass,
};

/// User class `PlantBackendUser`.
pub static CLASS: UserClass = UserClass {
    description: "a customer: browses the catalogue, its hired agents, their goals and deliverables",
    wait: (Duration::from_secs(1), Duration::from_secs(3)),
    checks: &[&LOG_IN, &AGENTS, &HIRED_AGENTS],
    start_user: Some(Session::start_as_customer),
    ..UserClass::new(
        "PlantBackendUser",
        &[
            &HEALTH,
            &LIST_AGENTS,
            &CUSTOMER_AGENTS,
            &FILTER_AGENTS,
            &CONFIGURATION,
            &GOALS,
            &DELIVERABLES,
            &CREATE_GOAL,
        ],
        &scenario,
    )
};

const INDUSTRIES: [&str; 3] = ["marketing", "education", "sales"];
const SCHEDULES: [&str; 4] = ["daily", "weekly", "monthly", "on_demand"];

static CUSTOMER_AGENTS: Endpoint = Endpoint {
    name: "GET /api/v1/customers/{customer_id}/agents",
    expected_statuses: &[200],
    shape: Shape::NonEmptyArray(&["id", "agent_id", "status"]),
    tags: &["read"],
};
static FILTER_AGENTS: Endpoint = Endpoint {
    name: "GET /api/v1/agents?industry={industry}",
    expected_statuses: &[200],
    shape: Shape::NonEmptyArray(&["id", "name", "industry", "status"]),
    tags: &["read"],
};
static CONFIGURATION: Endpoint = Endpoint {
    name: "GET /api/v1/agents/{id}/configuration",
    expected_statuses: &[200],
    shape: Shape::Object(&["nickname", "theme"]),
    tags: &["read"],
};
static GOALS: Endpoint = Endpoint {
    name: "GET /api/v1/agents/{id}/goals",
    expected_statuses: &[200],
    shape: Shape::Array(&["id", "title"]),
    tags: &["read"],
};
static DELIVERABLES: Endpoint = Endpoint {
    name: "GET /api/v1/agents/{id}/deliverables",
    expected_statuses: &[200],
    shape: Shape::Array(&["id", "title", "review_status"]),
    tags: &["read"],
};
static CREATE_GOAL: Endpoint = Endpoint {
    name: "POST /api/v1/agents/{id}/goals",
    expected_statuses: &[201],
    shape: Shape::Object(&["id", "title"]),
    tags: &["write"],
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
    send(Session::get(user)?, Request::get(&HEALTH, "/health")).await;
    Ok(())
}

async fn list_agents(user: &mut GooseUser) -> TransactionResult {
    send(Session::get(user)?, Request::get(&LIST_AGENTS, "/api/v1/agents")).await;
    Ok(())
}

async fn filter_agents(user: &mut GooseUser) -> TransactionResult {
    let industry = INDUSTRIES[fastrand::usize(..INDUSTRIES.len())];
    let path = format!("/api/v1/agents?industry={industry}");
    send(Session::get(user)?, Request::get(&FILTER_AGENTS, path)).await;
    Ok(())
}

async fn customer_agents(user: &mut GooseUser) -> TransactionResult {
    fetch_hired_agents(Session::get(user)?).await;
    Ok(())
}

async fn configuration(user: &mut GooseUser) -> TransactionResult {
    request_hired_agent(Session::get(user)?, &CONFIGURATION, "configuration").await;
    Ok(())
}

async fn goals(user: &mut GooseUser) -> TransactionResult {
    request_hired_agent(Session::get(user)?, &GOALS, "goals").await;
    Ok(())
}

async fn deliverables(user: &mut GooseUser) -> TransactionResult {
    request_hired_agent(Session::get(user)?, &DELIVERABLES, "deliverables").await;
    Ok(())
}

async fn create_goal(user: &mut GooseUser) -> TransactionResult {
    let session = Session::get(user)?;
    let Some(id) = session.random_agent_id() else {
        fetch_hired_agents(session).await;
        return Ok(());
    };
    let goal = json!({
        "title": format!("Load test goal {}", fastrand::u32(1..=1_000_000)),
        "description": "Made by a load test",
        "schedule": SCHEDULES[fastrand::usize(..SCHEDULES.len())],
        "enabled": true,
    });
    send(session, Request::post(&CREATE_GOAL, format!("/api/v1/agents/{id}/goals"), &goal)).await;
    Ok(())
}

async fn request_hired_agent(session: &mut Session, endpoint: &'static Endpoint, resource: &str) {
    match session.random_agent_id() {
        Some(id) => {
            send(session, Request::get(endpoint, format!("/api/v1/agents/{id}/{resource}"))).await;
        }
        // The list request at the start failed and was counted. Sending it again keeps up the load
        // and shows whether the failure persists; skipping would hide it.
        None => fetch_hired_agents(session).await,
    }
}

async fn fetch_hired_agents(session: &mut Session) {
    let path = format!("/api/v1/customers/{}/agents", session.customer);
    let request = Request::get(&CUSTOMER_AGENTS, path);
    let list = session.send_as_customer(request).await;
    if let Some(list) = list.filter(|_| session.agent_ids.is_empty()) {
        session.agent_ids = ids(&list);
    }
}

async fn send(session: &Session, request: Request) {
    session.send_as_customer(request).await;
}
