//! A visitor of the shop.

use std::{sync::Arc, time::Duration};

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};
use plant_loadtest::{
    client::{Endpoint, Request, Shape},
    scenario::{Session, UserClass},
};
use serde_json::{Value, json};

/// User class `Visitor`.
pub static CLASS: UserClass = UserClass {
    description: "browses the products, orders one now and then",
    wait: (Duration::from_millis(100), Duration::from_millis(300)),
    ..UserClass::new("Visitor", &[&LOG_IN, &LIST, &READ, &ORDER], &scenario)
};

static LOG_IN: Endpoint = Endpoint::new("POST /login", &[200], Shape::Object(&["token"]));
static LIST: Endpoint =
    Endpoint::new("GET /products", &[200], Shape::NonEmptyArray(&["id", "name", "price"]));
static READ: Endpoint =
    Endpoint::new("GET /products/{id}", &[200], Shape::Object(&["id", "name", "price"]));
static ORDER: Endpoint = Endpoint::new("POST /orders", &[201], Shape::Object(&["id"]));

/// What a visitor keeps between its tasks.
#[derive(Clone, Default)]
struct Visitor {
    token: Option<Arc<str>>,
    products: Vec<String>,
}

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(CLASS.wait.0, CLASS.wait.1)?
        .register_transaction(transaction!(log_in).set_name(LOG_IN.name).set_on_start())
        .register_transaction(transaction!(list).set_name(LIST.name).set_weight(5)?)
        .register_transaction(transaction!(read).set_name(READ.name).set_weight(3)?)
        .register_transaction(transaction!(order).set_name(ORDER.name).set_weight(1)?))
}

async fn log_in(user: &mut GooseUser) -> TransactionResult {
    fetch_token(Session::get(user)?).await;
    Ok(())
}

async fn list(user: &mut GooseUser) -> TransactionResult {
    fetch_products(Session::get(user)?).await;
    Ok(())
}

async fn read(user: &mut GooseUser) -> TransactionResult {
    let session = Session::get(user)?;
    match product(session) {
        Some(id) => {
            session.client.send(Request::get(&READ, format!("/products/{id}"))).await;
        }
        None => fetch_products(session).await,
    }
    Ok(())
}

async fn order(user: &mut GooseUser) -> TransactionResult {
    let session = Session::get(user)?;
    let Some(product) = product(session) else {
        fetch_products(session).await;
        return Ok(());
    };
    let Some(token) = visitor(session).token.clone() else {
        fetch_token(session).await;
        return Ok(());
    };
    let order = json!({ "product": product, "quantity": fastrand::u32(1..=3) });
    session.client.send(Request::post(&ORDER, "/orders", &order).bearer(&token)).await;
    Ok(())
}

async fn fetch_token(session: &mut Session) {
    let request = Request::post(&LOG_IN, "/login", &json!({ "name": "ada" }));
    let Some(response) = session.client.send(request).await else { return };
    let response: Value = serde_json::from_slice(&response).unwrap_or_default();
    visitor(session).token = response["token"].as_str().map(Into::into);
}

async fn fetch_products(session: &mut Session) {
    let Some(list) = session.client.send(Request::get(&LIST, "/products")).await else { return };
    let list: Vec<Value> = serde_json::from_slice(&list).unwrap_or_default();
    let ids = list.iter().filter_map(|product| product["id"].as_str());
    visitor(session).products = ids.map(str::to_owned).collect();
}

/// Returns the id of a random product that the visitor has seen.
fn product(session: &mut Session) -> Option<String> {
    fastrand::choice(&visitor(session).products).cloned()
}

fn visitor(session: &mut Session) -> &mut Visitor {
    session.extensions.get_or_insert_default()
}
