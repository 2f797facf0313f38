//! Seed 003's user of the generation API: asks for texts, lists its tasks, looks at one.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};
use serde_json::json;

use super::{
    ActsFor, Session, UserClass,
    account::{LOGIN, REGISTER},
    id,
};
use crate::{
    client::{Call, Endpoint, Shape},
    completion::Work,
};

/// The class.
pub static CLASS: UserClass = UserClass {
    name: "GenerationUser",
    about: "asks for texts, lists its tasks, looks at one; what it asks for is followed to its end",
    wait: (Duration::from_secs(1), Duration::from_secs(4)),
    endpoints: &[&CREATE, &LIST, &FIND, &REGISTER, &LOGIN],
    acts_for: ActsFor::Itself,
    needs: &[],
    work: &[&GENERATION],
    scenario,
};

static CREATE: Endpoint = Endpoint {
    name: "POST /api/v1/generation/create",
    success: &[202],
    shape: Shape::Object(&["id", "task_id", "status", "created_at"]),
};

static LIST: Endpoint = Endpoint {
    name: "GET /api/v1/generation/list",
    success: &[200],
    shape: Shape::Object(&["items", "next"]),
};

static FIND: Endpoint = Endpoint {
    name: "GET /api/v1/generation/{id}",
    success: &[200],
    shape: Shape::Object(&["id", "status", "result", "error", "attempts"]),
};

static GENERATION: Work = Work {
    name: "generation",
    list: "/api/v1/generation/list?limit=500",
    accepted: "created_at",
    ended: "completed_at",
};

/// What a user notes: the task that it asked for last.
const LATEST: &str = "latest task";

const MODELS: [&str; 3] = ["gpt-4", "gpt-3.5", "claude-3"];

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(log_in).set_name(LOGIN.name).set_on_start())
        .register_transaction(transaction!(create).set_name(CREATE.name).set_weight(7)?)
        .register_transaction(transaction!(list).set_name(LIST.name).set_weight(3)?)
        .register_transaction(transaction!(find).set_name(FIND.name).set_weight(2)?))
}

async fn log_in(user: &mut GooseUser) -> TransactionResult {
    Session::of(user)?.token().await;
    Ok(())
}

async fn create(user: &mut GooseUser) -> TransactionResult {
    ask(Session::of(user)?).await;
    Ok(())
}

async fn list(user: &mut GooseUser) -> TransactionResult {
    let session = Session::of(user)?;
    if let Some(token) = session.token().await {
        let call = Call::get(&LIST, "/api/v1/generation/list").bearer(&token);
        session.client.send(call).await;
    }
    Ok(())
}

/// Looks at its latest task; who has none yet asks for one instead.
async fn find(user: &mut GooseUser) -> TransactionResult {
    let session = Session::of(user)?;
    let Some(task) = session.notes.get(LATEST).cloned() else {
        ask(session).await;
        return Ok(());
    };
    if let Some(token) = session.token().await {
        let call = Call::get(&FIND, format!("/api/v1/generation/{task}")).bearer(&token);
        session.client.send(call).await;
    }
    Ok(())
}

async fn ask(session: &mut Session) {
    let Some(token) = session.token().await else { return };
    let request = json!({
        "prompt": format!("Write about plant number {}", fastrand::u32(..)),
        "model": fastrand::choice(MODELS),
        "temperature": 0.7,
        "max_tokens": fastrand::u32(50..=500),
    });
    let call = Call::post(&CREATE, "/api/v1/generation/create", &request).bearer(&token);
    let task = session.client.send(call).await.and_then(|body| id(&body));
    if let Some(task) = task {
        session.client.accepted(&GENERATION, task.clone(), &token);
        session.notes.insert(LATEST, task);
    }
}
