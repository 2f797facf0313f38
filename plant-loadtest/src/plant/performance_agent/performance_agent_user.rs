//! Performance agent plan: the user of its Locust file.

use goose::{
    GooseError,
    goose::{Scenario, Transaction},
    transaction,
};

use super::{
    CAPABILITIES, CHECKS, CONFIG, HEALTH, WAIT, WORKFLOWS, get_capabilities, get_config,
    get_health, list_workflows, start,
};
use crate::scenario::UserClass;

/// User class `PerformanceAgentUser`.
pub static CLASS: UserClass = UserClass {
    description: "reads health, settings, capabilities and workflows of the performance agent",
    wait: WAIT,
    checks: &CHECKS,
    start_user: Some(start),
    ..UserClass::new(
        "PerformanceAgentUser",
        &[&HEALTH, &CONFIG, &CAPABILITIES, &WORKFLOWS],
        &scenario,
    )
};

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(WAIT.0, WAIT.1)?
        .register_transaction(transaction!(get_health).set_name(HEALTH.name).set_weight(10)?)
        .register_transaction(transaction!(get_config).set_name(CONFIG.name).set_weight(5)?)
        .register_transaction(
            transaction!(get_capabilities).set_name(CAPABILITIES.name).set_weight(5)?,
        )
        .register_transaction(transaction!(list_workflows).set_name(WORKFLOWS.name).set_weight(2)?))
}
