//! Access control: every described operation, requested with every kind of credential.

pub mod rows;
pub mod tokens;

use axum::body::Body;
use axum::http::{Method, Request};
use sqlx::PgPool;

use crate::clock::Clock;
use crate::config::AccessMode;
use crate::http::description;
use crate::testing::{ADMIN_KEY, TestApp, TestResponse, access_policy, json_request};
use crate::token::Role;
use rows::{Fixture, Required, Row};

/// The credential sent with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credential {
    /// No credential.
    Missing,
    /// An invalid or expired token; the text names it.
    Invalid(&'static str),
    /// A token of another customer's account.
    OtherCustomer,
    /// A token of an administrator's account.
    Admin,
    /// The admin key.
    AdminKey,
    /// A token of the account and customer that own the requested data.
    Owner,
}

/// Returns the status that the specification requires.
fn expected_status(
    access_mode: AccessMode,
    required: Required,
    credential: Credential,
    success_status: u16,
) -> u16 {
    match (required, credential) {
        (Required::Nothing, _) => success_status,
        (_, Credential::Invalid(_)) => 401,
        (Required::Account | Required::OwnerAccount, Credential::Missing) => 401,
        (Required::OwnerAccount, Credential::OtherCustomer | Credential::Admin) => 404,
        (Required::Account | Required::OwnerAccount, Credential::AdminKey) => 403,
        // A valid token does not lower rights below an anonymous caller's.
        _ if access_mode == AccessMode::Open => success_status,
        (_, Credential::Missing) => 401,
        (Required::OwnerCustomer, Credential::OtherCustomer) => 404,
        (Required::Admin, Credential::OtherCustomer | Credential::Owner) => 403,
        _ => success_status,
    }
}

/// Returns whether a read returns data that belongs to a customer or an account.
fn is_owned(required: Required) -> bool {
    matches!(required, Required::OwnerCustomer | Required::OwnerAccount | Required::Account)
}

/// Returns whether a read returns the caller's own data.
fn is_filtered(row: &Row) -> bool {
    row.required == Required::Account
}

/// Requests every operation with every credential and compares the statuses.
async fn check_all_operations(pool: PgPool, access_mode: AccessMode) {
    let app = TestApp::with_access_policy(pool, Clock::System, access_policy(access_mode)).await;
    let fixture = Fixture::new(&app).await;
    let owner = fixture.owner.clone();
    let invalid = tokens::invalid(&app, &owner);
    let credentials = {
        let bearer = |credential, token: &str| (credential, Some(format!("Bearer {token}")));
        let mut all = vec![(Credential::Missing, None)];
        all.extend(
            invalid.into_iter().map(|(name, value)| (Credential::Invalid(name), Some(value))),
        );
        all.push(bearer(Credential::OtherCustomer, &tokens::valid(&app, &fixture.other)));
        all.push(bearer(Credential::Owner, &tokens::valid(&app, &owner)));
        let admin = app.insert_account("house", Role::Admin).await;
        all.push(bearer(Credential::Admin, &tokens::valid(&app, &admin)));
        all.push(bearer(Credential::AdminKey, ADMIN_KEY));
        all
    };

    let mut requests = 0;
    let mut failures = Vec::new();
    for (path, item) in &app.api.paths.paths {
        for (method, operation) in description::operations(item) {
            let name = format!("{method} {path}");
            let Some(first) = fixture.row(&name).await else {
                failures.push(format!("{name} has no row in {}", file!()));
                continue;
            };
            let secured = operation.security.is_some();
            if secured == (first.required == Required::Nothing) {
                failures.push(format!("{name} is described as secured: {secured}"));
            }
            let mut unused = Some(first);
            for (credential, value) in &credentials {
                // A refused request has changed nothing, so its row can be used again.
                let row = match unused.take() {
                    Some(row) => row,
                    None => fixture.row(&name).await.unwrap(),
                };
                let expected =
                    expected_status(access_mode, row.required, *credential, row.success_status);
                let response = send(&app, method, &row, value.as_deref()).await;
                requests += 1;
                if response.status.as_u16() != expected {
                    let actual = (response.status.as_u16(), &response.text);
                    failures.push(format!(
                        "{name} with {credential:?}: {expected} expected, {actual:?}"
                    ));
                } else if expected == 401 && response.header("www-authenticate") != Some("Bearer") {
                    failures.push(format!("{name} with {credential:?}: no WWW-Authenticate"));
                }
                let is_shown = row.owned.as_ref().map(|owned| response.text.contains(owned));
                let must_be_shown = match credential {
                    Credential::Owner => Some(true),
                    Credential::OtherCustomer if expected == 404 || is_filtered(&row) => {
                        Some(false)
                    }
                    _ => is_shown,
                };
                if method == "GET" && is_owned(row.required) && is_shown != must_be_shown {
                    failures.push(format!(
                        "{name} with {credential:?}: shows {:?}: {is_shown:?}",
                        row.owned
                    ));
                }
                if expected >= 400 {
                    unused = Some(row);
                }
            }
            if path.starts_with("/api/v1/agents/{id}/") {
                // What belongs to another customer's hired agent is not found under one's own.
                let mut row = fixture.row(&name).await.unwrap();
                row.path = row.path.replace(&fixture.hire.id, &fixture.other_hire);
                let token = format!("Bearer {}", tokens::valid(&app, &fixture.other));
                let response = send(&app, method, &row, Some(&token)).await;
                let is_found = match path.rsplit('/').next() {
                    Some("configuration") => false,
                    Some("goals" | "deliverables") => {
                        row.owned.is_some_and(|owned| response.text.contains(&owned))
                    }
                    _ => response.status != 404,
                };
                if is_found {
                    failures.push(format!("{name} of another hired agent: {}", response.text));
                }
            }
            // The logout operation has revoked the session.
            let restore = sqlx::query("update session set revoked_at = null");
            restore.execute(&app.owner).await.unwrap();
        }
    }
    assert!(failures.is_empty(), "{} of {requests}:\n{}", failures.len(), failures.join("\n"));
    let count = credentials.len();
    println!("{} rows × {count} credentials = {requests} requests", requests / count);
}

pub async fn send(
    app: &TestApp,
    method: &str,
    row: &Row,
    authorization: Option<&str>,
) -> TestResponse {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = match &row.body {
        Some(body) => json_request(method, &row.path, body),
        None => Request::builder().method(method).uri(&row.path).body(Body::empty()).unwrap(),
    };
    for (name, value) in &row.headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    if let Some(value) = authorization {
        request.headers_mut().insert("authorization", value.parse().unwrap());
    }
    app.send(request).await
}

/// What a response grants: that the request succeeded, and that the owner's data is shown.
fn granted(row: &Row, response: &TestResponse) -> (bool, bool) {
    let is_shown = row.owned.as_ref().is_some_and(|owned| response.text.contains(owned));
    (response.status.is_success(), is_shown)
}

#[sqlx::test(migrations = "../migrations")]
async fn with_access_open_no_valid_token_gets_less_than_none(pool: PgPool) {
    let app =
        TestApp::with_access_policy(pool, Clock::System, access_policy(AccessMode::Open)).await;
    let fixture = Fixture::new(&app).await;
    let tokens = [
        tokens::valid(&app, &fixture.other),
        tokens::valid(&app, &fixture.owner),
        tokens::valid(&app, &app.insert_account("orchid", Role::Editor).await),
        tokens::valid(&app, &app.insert_account("house", Role::Admin).await),
        ADMIN_KEY.to_owned(),
    ];
    let (mut operations, mut failures) = (0, Vec::new());
    for (path, item) in &app.api.paths.paths {
        for (method, _) in description::operations(item) {
            let name = format!("{method} {path}");
            let row = fixture.row(&name).await.unwrap();
            let without = granted(&row, &send(&app, method, &row, None).await);
            operations += 1;
            for token in &tokens {
                let row = fixture.row(&name).await.unwrap();
                let response = send(&app, method, &row, Some(&format!("Bearer {token}"))).await;
                if granted(&row, &response) < without {
                    failures.push(format!("{name}: {} with a token", response.status));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(operations >= 80, "{operations}");
}

#[sqlx::test(migrations = "../migrations")]
async fn each_credential_gets_the_specified_status_with_access_required(pool: PgPool) {
    check_all_operations(pool, AccessMode::Required).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn each_credential_gets_the_specified_status_with_access_open(pool: PgPool) {
    check_all_operations(pool, AccessMode::Open).await;
}
