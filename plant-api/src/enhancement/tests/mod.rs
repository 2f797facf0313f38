//! Tests of tickets on a real database.

mod admin;
mod deliveries;
mod history;
mod isolation;
mod queue;
mod senders;
mod webhook;
mod worker;

use axum::body::Body;
use axum::http::{Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::PgPool;
use uuid::Uuid;

use super::signature::{
    SIGNATURE_HEADER, STANDARD_ID_HEADER, STANDARD_SIGNATURE_HEADER, STANDARD_TIMESTAMP_HEADER,
};
use crate::clock::Clock;
use crate::testing::{ADMIN_KEY, TestApp, TestResponse};

const SECRET: &str = "signing-secret-of-acme";
const API_KEY: &str = "api-key-of-acme";

/// A service with access mode `required` and the tenant `acme`.
async fn app_with_tenant(pool: PgPool) -> TestApp {
    let app = TestApp::with_required_access(pool, Clock::System).await;
    create_tenant(&app, "acme").await;
    app
}

fn new_tenant(id: &str) -> Value {
    json!({
        "tenant_id": id, "name": "Acme", "servicedesk_url": "https://acme.servicedesk.local",
        "servicedesk_api_key": API_KEY, "webhook_signing_secret": SECRET,
    })
}

async fn create_tenant(app: &TestApp, id: &str) -> Value {
    app.with_token(ADMIN_KEY).post("/admin/tenants", new_tenant(id)).await.expect(201)
}

async fn change_tenant(app: &TestApp, id: &str, changes: Value) -> Value {
    let path = format!("/admin/tenants/{id}");
    app.with_token(ADMIN_KEY).patch(&path, changes).await.expect(200)
}

fn ticket(id: &str) -> Value {
    json!({
        "event": "ticket_created", "ticket_id": id, "description": "The mail server is slow",
        "priority": "high", "created_at": "2026-01-02T03:04:05+02:00",
    })
}

fn hmac(secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    parts.iter().fold(mac, Mac::chain_update).finalize().into_bytes().to_vec()
}

fn sign(body: &[u8], secret: &str) -> String {
    hex::encode(hmac(secret.as_bytes(), &[body]))
}

/// Headers in the form of Standard Webhooks.
fn standard(id: &str, seconds: i64, body: &[u8], secret: &[u8]) -> Vec<(&'static str, String)> {
    let signed = format!("{id}.{seconds}.");
    let mac = BASE64.encode(hmac(secret, &[signed.as_bytes(), body]));
    vec![
        (STANDARD_ID_HEADER, id.to_owned()),
        (STANDARD_TIMESTAMP_HEADER, seconds.to_string()),
        (STANDARD_SIGNATURE_HEADER, format!("v1,{mac}")),
    ]
}

async fn post_with(
    app: &TestApp,
    tenant: &str,
    body: &[u8],
    headers: &[(&'static str, String)],
) -> TestResponse {
    let mut request = Request::post(format!("/webhooks/servicedesk/{tenant}"))
        .header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    app.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

/// Posts a ticket that is signed with this secret.
async fn post_signed(app: &TestApp, tenant: &str, ticket: &Value, secret: &str) -> TestResponse {
    let body = ticket.to_string().into_bytes();
    post_with(app, tenant, &body, &[(SIGNATURE_HEADER, sign(&body, secret))]).await
}

/// Posts a ticket to `acme` and returns the id of its job.
async fn accept(app: &TestApp, ticket: &Value) -> Uuid {
    let accepted = post_signed(app, "acme", ticket, SECRET).await.expect(202);
    accepted["job_id"].as_str().unwrap().parse().unwrap()
}

/// Returns the numbers of tickets and of jobs.
async fn counts(app: &TestApp) -> (i64, i64) {
    sqlx::query_as(
        "select (select count(*) from enhancement_history),
            (select count(*) from job where kind = 'enhancement')",
    )
    .fetch_one(&app.owner)
    .await
    .unwrap()
}
