//! Load tests guide: a user that creates a skill, certifies it and certifies it again.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};
use serde_json::json;

use super::{CREATE_SKILL, Session, accounts::LOG_IN, id};
use crate::{
    client::{Endpoint, Request, Shape},
    scenario::UserClass,
};

/// User class `GenesisUser`.
pub static CLASS: UserClass = UserClass {
    description: "creates a skill, certifies it, certifies it again",
    wait: (Duration::from_secs(1), Duration::from_secs(3)),
    checks: &[&LOG_IN],
    start_user: Some(Session::start_as_customer),
    ..UserClass::new("GenesisUser", &[&CREATE_SKILL, &CERTIFY, &CERTIFY_AGAIN], &scenario)
};

static CERTIFY: Endpoint = Endpoint {
    name: "POST /api/v1/genesis/certify",
    expected_statuses: &[200],
    shape: Shape::Object(&["entity_id", "status", "version_hash", "chain_length", "checks"]),
    tags: &["write"],
};

/// Measured separately: the second certification changes nothing and is therefore faster. Mixed
/// with the first, it would lower the percentiles.
static CERTIFY_AGAIN: Endpoint = Endpoint {
    name: "POST /api/v1/genesis/certify (again)",
    expected_statuses: &[200],
    shape: Shape::Object(&["entity_id", "status", "version_hash", "chain_length", "checks"]),
    tags: &["write"],
};

/// Keys of the session values that hold the id of the skill to certify, and to certify again.
const CREATED_SKILL: &str = "created skill";
const CERTIFIED_SKILL: &str = "certified skill";

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(next_step).set_name(CERTIFY.name)))
}

/// Sends the next request of the sequence: one per task, so that the user waits in between. A
/// failed step is retried by the next task.
async fn next_step(user: &mut GooseUser) -> TransactionResult {
    let session = Session::get(user)?;
    if let Some(skill) = session.values.get(CERTIFIED_SKILL) {
        if certify(session, &CERTIFY_AGAIN, skill).await {
            session.values.remove(CERTIFIED_SKILL);
        }
    } else if let Some(skill) = session.values.get(CREATED_SKILL) {
        if certify(session, &CERTIFY, skill).await
            && let Some(skill) = session.values.remove(CREATED_SKILL)
        {
            session.values.insert(CERTIFIED_SKILL, skill);
        }
    } else if let Some(skill) = create(session).await {
        session.values.insert(CREATED_SKILL, skill);
    }
    Ok(())
}

async fn create(session: &Session) -> Option<String> {
    // Practically unique, so that every skill is new and its first certification does the full
    // work.
    let name = format!("Load test skill {:016x}", fastrand::u64(..));
    let skill = json!({ "name": name, "category": "technical" });
    let created =
        session.client.send(Request::post(&CREATE_SKILL, "/api/v1/skills", &skill)).await?;
    id(&created)
}

async fn certify(session: &Session, endpoint: &'static Endpoint, skill: &str) -> bool {
    let body = json!({ "entity_type": "skill", "entity_id": skill });
    let request = Request::post(endpoint, "/api/v1/genesis/certify", &body);
    session.client.send(request).await.is_some()
}
