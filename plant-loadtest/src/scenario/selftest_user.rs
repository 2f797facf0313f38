//! A user of the servers of known truth that `selftest` starts.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};
use serde_json::json;

use super::{Session, UserClass};
use crate::client::{Endpoint, Request, Shape};

/// User class `SelftestUser`.
pub static CLASS: UserClass = UserClass {
    description: "requests the servers of known truth that `selftest` starts",
    counters: &[CREATED],
    wait: (Duration::from_millis(50), Duration::from_millis(150)),
    ..UserClass::new("SelftestUser", &[&PING, &LIST, &READ, &CREATE], &scenario)
};

/// Counter of the items that were created.
const CREATED: &str = "created";

/// `GET /ping`.
pub(super) static PING: Endpoint = Endpoint {
    name: "GET /ping",
    expected_statuses: &[200],
    shape: Shape::Object(&["pong"]),
    tags: &[],
};

static LIST: Endpoint = Endpoint {
    name: "GET /items",
    expected_statuses: &[200],
    shape: Shape::NonEmptyArray(&["id", "name"]),
    tags: &["read"],
};

static READ: Endpoint = Endpoint {
    name: "GET /items/{id}",
    expected_statuses: &[200],
    shape: Shape::Object(&["id", "name"]),
    tags: &["read"],
};

static CREATE: Endpoint = Endpoint {
    name: "POST /items",
    expected_statuses: &[201],
    shape: Shape::Object(&["id", "name"]),
    tags: &["write"],
};

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(ping).set_name(PING.name))
        .register_transaction(transaction!(list).set_name(LIST.name))
        .register_transaction(transaction!(read).set_name(READ.name))
        .register_transaction(transaction!(create).set_name(CREATE.name)))
}

async fn ping(user: &mut GooseUser) -> TransactionResult {
    Session::get(user)?.client.send(Request::get(&PING, "/ping")).await;
    Ok(())
}

async fn list(user: &mut GooseUser) -> TransactionResult {
    Session::get(user)?.client.send(Request::get(&LIST, "/items")).await;
    Ok(())
}

async fn read(user: &mut GooseUser) -> TransactionResult {
    let path = format!("/items/{}", fastrand::u32(1..=1000));
    Session::get(user)?.client.send(Request::get(&READ, path)).await;
    Ok(())
}

async fn create(user: &mut GooseUser) -> TransactionResult {
    let request = Request::post(&CREATE, "/items", &json!({ "name": "x" }));
    let client = &Session::get(user)?.client;
    if client.send(request).await.is_some() {
        client.count(CREATED, 1);
    }
    Ok(())
}
