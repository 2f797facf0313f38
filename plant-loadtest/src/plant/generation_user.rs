//! Platform load tests: a user of the generation API that creates tasks, lists them and reads one.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};
use serde_json::json;

use super::{
    Session, id,
    own_account::{LOGIN, REGISTER},
};
use crate::{
    client::{Endpoint, Request, Response, Shape},
    scenario::{UserClass, UserLogin},
    work::{AcceptedWork, Pages, WorkKind, WorkList},
};

/// User class `GenerationUser`.
pub static CLASS: UserClass = UserClass {
    description: "requests texts from the model, lists the requests, reads one; each is followed until it ends",
    wait: (Duration::from_secs(1), Duration::from_secs(4)),
    start_user: Some(Session::start),
    work_kinds: &[&GENERATION],
    ..UserClass::new("GenerationUser", &[&CREATE, &LIST, &FIND, &REGISTER, &LOGIN], &scenario)
};

static CREATE: Endpoint = Endpoint {
    name: "POST /api/v1/generation/create",
    expected_statuses: &[202],
    shape: Shape::Object(&["id", "task_id", "status", "created_at"]),
    tags: &["write", "api:generation"],
};

static LIST: Endpoint = Endpoint {
    name: "GET /api/v1/generation/list",
    expected_statuses: &[200],
    shape: Shape::Object(&["items", "next"]),
    tags: &["read", "api:generation"],
};

static FIND: Endpoint = Endpoint {
    name: "GET /api/v1/generation/{id}",
    expected_statuses: &[200],
    shape: Shape::Object(&["id", "status", "result", "error", "attempts"]),
    tags: &["read", "api:generation"],
};

/// Path of the list in which accepted work is found.
const WORK_LIST: &str = "/api/v1/generation/list?limit=500";

static GENERATION: WorkKind = WorkKind {
    name: "generation",
    pages: Pages::After,
    id_field: "id",
    accepted_field: "created_at",
    ended_field: "completed_at",
};

/// Key of the session value that holds the id of the task created last.
const LATEST_TASK: &str = "latest task";

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
    Session::get(user)?.token().await;
    Ok(())
}

async fn create(user: &mut GooseUser) -> TransactionResult {
    create_task(Session::get(user)?).await;
    Ok(())
}

async fn list(user: &mut GooseUser) -> TransactionResult {
    let session = Session::get(user)?;
    if let Some(token) = session.token().await {
        let request = Request::get(&LIST, "/api/v1/generation/list").bearer(&token);
        session.client.send(request).await;
    }
    Ok(())
}

/// Reads the task created last, or creates one if there is none.
async fn find(user: &mut GooseUser) -> TransactionResult {
    let session = Session::get(user)?;
    let Some(id) = session.values.get(LATEST_TASK).cloned() else {
        create_task(session).await;
        return Ok(());
    };
    if let Some(token) = session.token().await {
        let request = Request::get(&FIND, format!("/api/v1/generation/{id}")).bearer(&token);
        session.client.send(request).await;
    }
    Ok(())
}

async fn create_task(session: &mut Session) {
    let Some(token) = session.token().await else { return };
    let task = json!({
        "prompt": format!("Write about plant number {}", fastrand::u32(..)),
        "model": fastrand::choice(MODELS),
        "temperature": 0.7,
        "max_tokens": fastrand::u32(50..=500),
    });
    let request = Request::post(&CREATE, "/api/v1/generation/create", &task).bearer(&token);
    // Work without an id is followed, too: it is not in any list, so it is lost.
    let read = |response: &Response| Ok((id(&response.body).unwrap_or_default(), response.times));
    if let Ok((id, times)) = session.client.send_and_read(request, read).await {
        let login = session.account.as_ref().map(UserLogin::login);
        let list = WorkList { path: WORK_LIST.into(), token: Some(token), login };
        let work = AcceptedWork::new(&GENERATION, id.clone(), list, times);
        session.client.record_accepted(work);
        session.values.insert(LATEST_TASK, id);
    }
}
