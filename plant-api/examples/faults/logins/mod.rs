//! Logging in: whether it tells addresses apart by the time it takes, and under too much load.

pub mod overload;
pub mod timing;

use serde_json::{Value, json};

const LOGIN: &str = "/api/v1/auth/login";

/// What a planted account logs in with, or, with another password, does not.
fn credentials(name: &str, number: usize, password: &str) -> Value {
    json!({"email": format!("{name}_{number}@test.local"), "password": password})
}
