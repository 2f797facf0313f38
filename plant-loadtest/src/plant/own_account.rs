//! An account that a virtual user registers for itself. The user logs in when it first needs a
//! token, and again before the token expires.

use std::sync::Arc;

use serde_json::json;

use super::{
    Session,
    accounts::{self, TEST_PASSWORD},
};
use crate::{
    client::{Endpoint, Request, Shape},
    scenario::UserLogin,
};

/// `POST /api/v1/auth/register`.
pub(super) static REGISTER: Endpoint = Endpoint {
    name: "POST /api/v1/auth/register",
    expected_statuses: &[201],
    shape: Shape::Object(&["user"]),
    tags: &["api:auth"],
};

/// `POST /api/v1/auth/login`.
pub(super) static LOGIN: Endpoint = Endpoint {
    name: "POST /api/v1/auth/login",
    expected_statuses: &[200],
    shape: Shape::Object(&["access_token", "refresh_token", "expires_in"]),
    tags: &["api:auth"],
};

impl Session {
    /// Returns the access token of this user's own account. Registers and logs in first where
    /// necessary, and logs in again if the last response rejected the token. Returns `None` if that
    /// failed; the next call tries again.
    pub(super) async fn token(&mut self) -> Option<Arc<str>> {
        if self.account.is_none() {
            self.register().await?;
        }
        self.account.as_mut()?.token(&self.client).await
    }

    /// Logs in with the registered account and returns the access token. Returns `None` if no
    /// account is registered or the login failed.
    pub(super) async fn log_in(&mut self) -> Option<Arc<str>> {
        self.account.as_mut()?.log_in(&self.client).await
    }

    /// Registers a new account for this user. Returns `None` if that failed.
    pub(super) async fn register(&mut self) -> Option<()> {
        // `seed_test_data --clean` deletes accounts with this prefix.
        let email = format!("loadtest_{:032x}@test.local", fastrand::u128(..));
        let credentials = json!({ "email": email, "password": TEST_PASSWORD });
        self.client.send(Request::post(&REGISTER, "/api/v1/auth/register", &credentials)).await?;
        self.account = Some(UserLogin::new(&LOGIN, accounts::login(&email, TEST_PASSWORD)));
        Some(())
    }
}
