//! Performance agent plan: users that request one endpoint and nothing else, for the tests of
//! single endpoints.

use goose::{
    GooseError,
    goose::{Scenario, Transaction},
    transaction,
};

use super::{
    CAPABILITIES, CHECKS, CONFIG, HEALTH, WAIT, WORKFLOWS, get_capabilities, get_config,
    get_health, list_workflows, start,
};
use crate::{client::Endpoint, scenario::UserClass};

/// User class `AgentHealthUser`.
pub static HEALTH_USER: UserClass =
    class("AgentHealthUser", "requests the agent's health only", &[&HEALTH], &|| {
        scenario(&HEALTH_USER, transaction!(get_health))
    });

/// User class `AgentConfigUser`.
pub static CONFIG_USER: UserClass =
    class("AgentConfigUser", "requests the agent's settings only", &[&CONFIG], &|| {
        scenario(&CONFIG_USER, transaction!(get_config))
    });

/// User class `AgentCapabilitiesUser`.
pub static CAPABILITIES_USER: UserClass = class(
    "AgentCapabilitiesUser",
    "requests the agent's capabilities only",
    &[&CAPABILITIES],
    &|| scenario(&CAPABILITIES_USER, transaction!(get_capabilities)),
);

/// User class `AgentWorkflowsUser`.
pub static WORKFLOWS_USER: UserClass =
    class("AgentWorkflowsUser", "lists the agent's workflows only", &[&WORKFLOWS], &|| {
        scenario(&WORKFLOWS_USER, transaction!(list_workflows))
    });

const fn class(
    name: &'static str,
    description: &'static str,
    endpoints: &'static [&'static Endpoint],
    scenario: &'static (dyn Fn() -> Result<Scenario, GooseError> + Sync),
) -> UserClass {
    UserClass {
        description,
        wait: WAIT,
        checks: &CHECKS,
        start_user: Some(start),
        ..UserClass::new(name, endpoints, scenario)
    }
}

fn scenario(class: &UserClass, task: Transaction) -> Result<Scenario, GooseError> {
    Ok(Scenario::new(class.name)
        .set_wait_time(WAIT.0, WAIT.1)?
        .register_transaction(task.set_name(class.endpoints[0].name)))
}
