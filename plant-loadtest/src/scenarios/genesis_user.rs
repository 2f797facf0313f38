//! Seed 000's certification: creates a skill, has it certified, has it certified again.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};
use serde_json::json;

use super::{ActsFor, CREATE_SKILL, Session, UserClass, id};
use crate::client::{Call, Endpoint, Shape};

/// The class.
pub static CLASS: UserClass = UserClass {
    name: "GenesisUser",
    about: "creates a skill, has it certified, has it certified again",
    wait: (Duration::from_secs(1), Duration::from_secs(3)),
    endpoints: &[&CREATE_SKILL, &CERTIFY, &CERTIFY_AGAIN],
    acts_for: ActsFor::Customer,
    needs: &[],
    work: &[],
    scenario,
};

static CERTIFY: Endpoint = Endpoint {
    name: "POST /api/v1/genesis/certify",
    success: &[200],
    shape: Shape::Object(&["entity_id", "status", "version_hash", "chain_length", "checks"]),
};

/// A name of its own: the second certification changes nothing, so it is quicker, and mixed with
/// the first it would flatter the percentiles of both.
static CERTIFY_AGAIN: Endpoint = Endpoint {
    name: "POST /api/v1/genesis/certify (again)",
    success: &[200],
    shape: Shape::Object(&["entity_id", "status", "version_hash", "chain_length", "checks"]),
};

/// What a user notes: the skill that waits for its first, and for its second certification.
const CREATED: &str = "created skill";
const CERTIFIED: &str = "certified skill";

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(next_step).set_name(CERTIFY.name)))
}

/// One request a visit, the user thinks in between. A step that failed is tried again.
async fn next_step(user: &mut GooseUser) -> TransactionResult {
    let session = Session::of(user)?;
    if let Some(skill) = session.notes.get(CERTIFIED) {
        if certify(session, &CERTIFY_AGAIN, skill).await {
            session.notes.remove(CERTIFIED);
        }
    } else if let Some(skill) = session.notes.get(CREATED) {
        if certify(session, &CERTIFY, skill).await
            && let Some(skill) = session.notes.remove(CREATED)
        {
            session.notes.insert(CERTIFIED, skill);
        }
    } else if let Some(skill) = create(session).await {
        session.notes.insert(CREATED, skill);
    }
    Ok(())
}

async fn create(session: &Session) -> Option<String> {
    // As good as never drawn twice, so every skill is new and its certification is a real one.
    let name = format!("Load test skill {:016x}", fastrand::u64(..));
    let skill = json!({ "name": name, "category": "technical" });
    let created = session.client.send(Call::post(&CREATE_SKILL, "/api/v1/skills", &skill)).await?;
    id(&created)
}

async fn certify(session: &Session, endpoint: &'static Endpoint, skill: &str) -> bool {
    let application = json!({ "entity_type": "skill", "entity_id": skill });
    let call = Call::post(endpoint, "/api/v1/genesis/certify", &application);
    session.client.send(call).await.is_some()
}
