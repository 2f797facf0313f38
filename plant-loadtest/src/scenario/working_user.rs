//! A user that hands in work to the servers of known truth that `selftest` starts.

use std::{sync::Arc, time::Duration};

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};
use serde::Deserialize;
use serde_json::json;

use super::{Session, UserClass, UserLogin};
use crate::{
    access::Account,
    client::{Endpoint, Request, Response, Shape},
    login::Login,
    work::{AcceptedWork, Pages, WorkKind, WorkList},
};

/// User class `WorkingUser`.
pub static CLASS: UserClass = UserClass {
    description: "hands in work to the servers of known truth that `selftest` starts",
    wait: (Duration::from_millis(50), Duration::from_millis(150)),
    start_user: Some(start),
    work_kinds: &[&WORK],
    ..UserClass::new("WorkingUser", &[&LOG_IN, &HAND_IN], &scenario)
};

static LOG_IN: Endpoint = Endpoint {
    name: "POST /login",
    expected_statuses: &[200],
    shape: Shape::Object(&["token"]),
    tags: &["auth"],
};

static HAND_IN: Endpoint = Endpoint {
    name: "POST /work",
    expected_statuses: &[202],
    shape: Shape::Object(&["id"]),
    tags: &["write"],
};

static WORK: WorkKind = WorkKind {
    name: "work",
    pages: Pages::After,
    id_field: "id",
    accepted_field: "created_at",
    ended_field: "completed_at",
};

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(log_in).set_name(LOG_IN.name).set_on_start())
        .register_transaction(transaction!(hand_in).set_name(HAND_IN.name)))
}

fn start(session: &mut Session, _: &[Arc<Account>]) {
    let name = format!("{:016x}", fastrand::u64(..));
    let login = Login {
        body: json!({ "name": name }).to_string(),
        account: name,
        path: "/login",
        token: "/token",
        lifetime: "/expires_in",
    };
    session.extensions.insert(UserLogin::new(&LOG_IN, login));
}

async fn log_in(user: &mut GooseUser) -> TransactionResult {
    token(Session::get(user)?).await;
    Ok(())
}

async fn hand_in(user: &mut GooseUser) -> TransactionResult {
    let session = Session::get(user)?;
    let Some((token, login)) = token(session).await else { return Ok(()) };
    let request = Request::post(&HAND_IN, "/work", &json!({})).bearer(&token);
    let read = |response: &Response| Ok((response.body.clone(), response.times));
    if let Ok((body, times)) = session.client.send_and_read(request, read).await {
        let id = serde_json::from_slice(&body).map(|accepted: Accepted| accepted.id);
        let list =
            WorkList { path: "/work?limit=500".into(), token: Some(token), login: Some(login) };
        let work = AcceptedWork::new(&WORK, id.unwrap_or_default(), list, times);
        session.client.record_accepted(work);
    }
    Ok(())
}

/// Returns the user's token and its login.
async fn token(session: &mut Session) -> Option<(Arc<str>, Arc<Login>)> {
    let account = session.extensions.get_mut::<UserLogin>()?;
    Some((account.token(&session.client).await?, account.login()))
}
