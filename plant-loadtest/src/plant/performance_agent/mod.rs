//! Performance agent plan: users that read what the performance agent says of itself.

mod batch_user;
mod performance_agent_user;
mod single_endpoint_users;
mod suite;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use goose::goose::{GooseUser, TransactionResult};

use super::{Session, admin_key};
use crate::{
    access::Account,
    client::{Endpoint, Request, Shape},
    scenario::{self, Check, CheckContext},
};

pub(super) use batch_user::CLASS as BATCH_USER;
pub(super) use performance_agent_user::CLASS as PERFORMANCE_AGENT_USER;
pub(super) use single_endpoint_users::{
    CAPABILITIES_USER, CONFIG_USER, HEALTH_USER, WORKFLOWS_USER,
};
pub(super) use suite::AGENT as SUITE;

/// Think time of the users.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));

static HEALTH: Endpoint = Endpoint {
    name: "GET /api/v1/health",
    expected_statuses: &[200],
    shape: Shape::Object(&[
        "status",
        "timestamp",
        "version",
        "agent_id",
        "agent_type",
        "uptime_seconds",
    ]),
    tags: &["read"],
};

static CONFIG: Endpoint = Endpoint {
    name: "GET /api/v1/config",
    expected_statuses: &[200],
    shape: Shape::Object(&[
        "agent_id",
        "agent_type",
        "port",
        "log_level",
        "environment",
        "version",
    ]),
    tags: &["read"],
};

static CAPABILITIES: Endpoint = Endpoint {
    name: "GET /api/v1/capabilities",
    expected_statuses: &[200],
    shape: Shape::Object(&[
        "capabilities",
        "supported_targets",
        "optimization_types",
        "workflow_features",
    ]),
    tags: &["read"],
};

static WORKFLOWS: Endpoint = Endpoint {
    name: "GET /api/v1/workflows",
    expected_statuses: &[200],
    // May be empty.
    shape: Shape::Array(&[]),
    tags: &["read"],
};

/// Checks that the service has a performance agent whose settings may be read.
static READY: Check = Check { name: "performance agent", run: |context| Box::pin(check(context)) };

static CHECKS: [&Check; 1] = [&READY];

/// The admin key of a user; `None` if none is set.
#[derive(Clone)]
struct AdminKey(Option<Arc<str>>);

fn start(session: &mut scenario::Session, accounts: &[Arc<Account>]) {
    Session::start(session, accounts);
    let key = admin_key::of(&session.options).map(Arc::from);
    session.extensions.insert(AdminKey(key));
}

async fn get_health(user: &mut GooseUser) -> TransactionResult {
    get(user, &HEALTH, "/api/v1/health").await
}

async fn get_config(user: &mut GooseUser) -> TransactionResult {
    get(user, &CONFIG, "/api/v1/config").await
}

async fn get_capabilities(user: &mut GooseUser) -> TransactionResult {
    get(user, &CAPABILITIES, "/api/v1/capabilities").await
}

async fn list_workflows(user: &mut GooseUser) -> TransactionResult {
    get(user, &WORKFLOWS, "/api/v1/workflows").await
}

async fn get(
    user: &mut GooseUser,
    endpoint: &'static Endpoint,
    path: &'static str,
) -> TransactionResult {
    let session = scenario::Session::get(user)?;
    let mut request = Request::get(endpoint, path);
    if let Some(AdminKey(Some(key))) = session.extensions.get() {
        request = request.bearer(key);
    }
    session.client.send(request).await;
    Ok(())
}

async fn check(context: &mut CheckContext) -> Result<(), String> {
    let path = "/api/v1/config";
    let mut request = context.http.get(format!("{}{path}", context.host));
    if let Some(key) = admin_key::of(&context.options) {
        request = request.bearer_auth(key);
    }
    let response = request.send().await.map_err(|error| format!("GET {path}: {error}"))?;
    match response.status().as_u16() {
        200 => Ok(()),
        status @ (401 | 403) => Err(format!("GET {path}: status {status}; set --admin-key")),
        status => Err(format!("GET {path}: status {status}; the service has no performance agent")),
    }
}
