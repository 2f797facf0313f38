//! Checks that the service has test data.

use serde_json::Value;

use super::accounts::TEST_CUSTOMERS;
use crate::{
    scenario::{Check, CheckContext, CheckFuture},
    target,
};

/// There are agents in the catalogue.
pub(super) static AGENTS: Check = Check { name: "agents", run: agents };

/// The first test customer has hired agents.
pub(super) static HIRED_AGENTS: Check = Check { name: "hired agents", run: hired_agents };

fn agents(context: &mut CheckContext) -> CheckFuture<'_> {
    Box::pin(require_items(context, "/api/v1/agents?limit=1".into(), "no agents in the catalogue"))
}

fn hired_agents(context: &mut CheckContext) -> CheckFuture<'_> {
    let path = format!("/api/v1/customers/{}/agents", TEST_CUSTOMERS[0]);
    Box::pin(require_items(context, path, "no hired agents of test-customer-001"))
}

/// Checks that the list at `path` has items; `missing` says what it lacks otherwise.
async fn require_items(context: &CheckContext, path: String, missing: &str) -> Result<(), String> {
    let token = context.accounts.first().map(crate::access::Account::token);
    let url = format!("{}{path}", context.host);
    let reason = match target::get_json(&context.http, &url, token.as_deref()).await {
        Ok(Value::Array(items)) if !items.is_empty() => return Ok(()),
        Ok(_) => missing.to_owned(),
        Err(reason) => format!("{missing} (GET {path}: {reason})"),
    };
    Err(format!(
        "it has no test data: {reason}. Run seed_test_data --agents=100 --skills=50 and try again"
    ))
}
