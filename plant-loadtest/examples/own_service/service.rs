//! The shop: a log-in, a list of products, single products, orders.

#![expect(
    clippy::disallowed_types,
    reason = "the extractors of Plant are not those of this service"
)]

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    routing::{get, post},
};
use serde_json::{Value, json};

const TOKEN: &str = "let-me-in";
const PRODUCTS: [(&str, &str, f64); 3] =
    [("p1", "Trowel", 9.5), ("p2", "Watering can", 19.0), ("p3", "Seeds", 2.25)];

type Orders = Arc<AtomicU64>;

/// Serves at `address` until the process is killed.
pub fn serve(address: &str) -> ExitCode {
    let router = Router::new()
        .route("/healthz", get(async || Json(json!({ "ok": true }))))
        .route("/login", post(log_in))
        .route("/products", get(list))
        .route("/products/{id}", get(read))
        .route("/orders", post(order))
        .with_state(Orders::default());
    let serving = async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        println!("http://{}", listener.local_addr()?);
        axum::serve(listener, router).await
    };
    let result = tokio::runtime::Runtime::new().and_then(|runtime| runtime.block_on(serving));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("own_service: cannot serve at {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn log_in(Json(body): Json<Value>) -> Result<Json<Value>, StatusCode> {
    match body["name"].as_str() {
        Some(name) if !name.is_empty() => Ok(Json(json!({ "token": TOKEN, "name": name }))),
        _ => Err(StatusCode::UNPROCESSABLE_ENTITY),
    }
}

async fn list() -> Json<Value> {
    Json(PRODUCTS.iter().map(product).collect())
}

async fn read(Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    let found = PRODUCTS.iter().find(|(product, ..)| *product == id);
    found.map(|found| Json(product(found))).ok_or(StatusCode::NOT_FOUND)
}

fn product((id, name, price): &(&str, &str, f64)) -> Value {
    json!({ "id": id, "name": name, "price": price })
}

async fn order(
    State(orders): State<Orders>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<(StatusCode, Json<Value>), StatusCode> {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if sent != Some(&format!("Bearer {TOKEN}")) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let is_known = PRODUCTS.iter().any(|(id, ..)| body["product"] == *id);
    if !is_known || body["quantity"].as_u64().is_none_or(|quantity| quantity == 0) {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let number = orders.fetch_add(1, Relaxed) + 1;
    Ok((StatusCode::CREATED, Json(json!({ "id": number, "product": body["product"] }))))
}
