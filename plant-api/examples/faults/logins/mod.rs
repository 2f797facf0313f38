//! Login tests: response times of refused logins, and behaviour under overload.

pub mod overload;
pub mod timing;

use serde_json::{Value, json};

const LOGIN: &str = "/api/v1/auth/login";

/// Returns the body of a login request for the seeded account `number` of `name`.
fn credentials(name: &str, number: usize, password: &str) -> Value {
    json!({"email": format!("{name}_{number}@test.local"), "password": password})
}
