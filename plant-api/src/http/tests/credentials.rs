//! Responses with credentials are not to be stored.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;
use sqlx::PgPool;

use super::matrix::rows::Fixture;
use crate::http::description;
use crate::testing::{ADMIN_KEY, TestApp, TestResponse, json_request};

/// The operations that answer a password or return tokens. Secrets of tenants are sealed and never returned.
const WITH_CREDENTIALS: [&str; 3] =
    ["POST /api/v1/auth/login", "POST /api/v1/auth/refresh", "POST /api/v1/auth/register"];

/// Returns whether a response must not be stored.
fn is_no_store(response: &TestResponse) -> bool {
    response.header("cache-control") == Some("no-store")
}

/// Keys of JSON fields that contain credentials.
const CREDENTIAL_KEYS: [&str; 6] =
    ["_token\":", "_secret\":", "_api_key\":", "password\":", "admin_key\":", "private_key\":"];

#[sqlx::test(migrations = "../migrations")]
async fn exactly_the_responses_with_credentials_are_not_to_be_stored(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let fixture = Fixture::new(&app).await;
    let owner = super::matrix::tokens::valid(&app, &fixture.owner);
    let mut found = Vec::new();
    for (path, item) in &app.api.paths.paths {
        for (method, _) in description::operations(item) {
            let name = format!("{method} {path}");
            if name == "POST /api/v1/auth/logout" {
                continue; // It has no body, and would end the session of the others.
            }
            let row = fixture.row(&name).await.unwrap();
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let mut request = match &row.body {
                Some(body) => json_request(method, &row.path, body),
                None => {
                    Request::builder().method(method).uri(&row.path).body(Body::empty()).unwrap()
                }
            };
            for (header, value) in &row.headers {
                request.headers_mut().insert(*header, value.parse().unwrap());
            }
            let response = app.with_token(&owner).send(request).await;
            assert_eq!(response.status.as_u16(), row.success_status, "{name}: {}", response.text);
            let has_credentials = response.text.contains("\"access_token\":");
            assert!(!has_credentials || is_no_store(&response), "{name}");
            if is_no_store(&response) {
                found.push(name);
                continue;
            }
            for key in CREDENTIAL_KEYS {
                for (_, value) in response.text.match_indices(key).map(|(at, key)| {
                    (at, response.text[at + key.len()..].split([',', '}']).next().unwrap())
                }) {
                    let is_masked = value == "null" || value.contains("***");
                    assert!(is_masked, "{name} shows a credential: {key} {value}");
                }
            }
        }
    }
    found.sort_unstable();
    assert_eq!(found, WITH_CREDENTIALS);
}

#[sqlx::test(migrations = "../migrations")]
async fn refusals_and_replays_of_credentials_are_not_to_be_stored_either(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let asha = json!({"email": "asha@lotus.example", "password": "eleven green apples"});
    for _ in 0..2 {
        let registered = app.post_idempotent("k1", "/api/v1/auth/register", &asha).await;
        assert!(is_no_store(&registered));
        registered.expect(201);
    }
    let wrong = json!({"email": "asha@lotus.example", "password": "eleven red apples"});
    let refused = app.post("/api/v1/auth/login", wrong).await;
    assert!(is_no_store(&refused));
    refused.expect(401);
    let refused = app.post("/api/v1/auth/refresh", json!({"refresh_token": "x"})).await;
    assert!(is_no_store(&refused));
    refused.expect(401);
    let wrong_method = app.get("/api/v1/auth/login").await;
    assert!(is_no_store(&wrong_method));
    wrong_method.expect(405);
    assert!(!is_no_store(&app.with_token(ADMIN_KEY).get("/api/v1/agents").await));
}
