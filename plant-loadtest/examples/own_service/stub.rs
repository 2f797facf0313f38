//! Responses of the command `stub`, which serves in place of the shop.

use axum::http::{Method, StatusCode, request::Parts};
use plant_loadtest::stub::Responses;
use serde_json::{Value, json};

/// Returns the responses of a shop with this many products.
pub fn responses(items: usize) -> Responses {
    let products: Value = (1..=items).map(product).collect();
    Box::new(move |request: &Parts| {
        let (status, body) = match (&request.method, request.uri.path()) {
            (&Method::GET, "/healthz") => (StatusCode::OK, json!({ "ok": true })),
            (&Method::POST, "/login") => (StatusCode::OK, json!({ "token": "let-me-in" })),
            (&Method::POST, "/orders") => (StatusCode::CREATED, json!({ "id": 1 })),
            (&Method::GET, "/products") => (StatusCode::OK, products.clone()),
            (&Method::GET, path) if path.starts_with("/products/") => (StatusCode::OK, product(1)),
            _ => (StatusCode::NOT_FOUND, Value::Null),
        };
        (status, body.to_string().into())
    })
}

fn product(number: usize) -> Value {
    json!({ "id": format!("p{number}"), "name": "Trowel", "price": 9.5 })
}
