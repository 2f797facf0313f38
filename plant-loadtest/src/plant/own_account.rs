//! An account that a virtual user registers for itself. The user logs in when it first needs a
//! token, and again before the token expires.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    Session,
    accounts::{self, LOGIN_PATH, TEST_PASSWORD},
};
use crate::{
    client::{Endpoint, Request, Shape},
    login::Login,
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

/// Account registered by one virtual user.
#[derive(Clone, Debug)]
pub(super) struct OwnAccount {
    login: Arc<Login>,
    /// Access token and the time from which it is renewed.
    token: Option<(Arc<str>, Instant)>,
}

impl OwnAccount {
    /// Returns the login of the account.
    pub(super) fn login(&self) -> Arc<Login> {
        Arc::clone(&self.login)
    }
}

impl Session {
    /// Returns the access token of this user's own account. Registers and logs in first where
    /// necessary, and logs in again if the last response rejected the token. Returns `None` if that
    /// failed; the next call tries again.
    pub(super) async fn token(&mut self) -> Option<Arc<str>> {
        if let Some((token, renew_at)) =
            self.account.as_ref().and_then(|account| account.token.as_ref())
            && Instant::now() < *renew_at
            && !self.client.token_was_rejected()
        {
            return Some(Arc::clone(token));
        }
        if self.account.is_none() {
            self.register().await?;
        }
        self.log_in().await
    }

    /// Logs in with the registered account and returns the access token. Returns `None` if no
    /// account is registered or the login failed.
    pub(super) async fn log_in(&mut self) -> Option<Arc<str>> {
        let login = self.account.as_ref()?.login();
        let request = Request::post_text(&LOGIN, LOGIN_PATH, login.body.clone());
        let response = self.client.send(request).await?;
        let (token, lifetime): (String, Duration) = login.read_response(&response)?;
        let token: Arc<str> = token.into();
        // Renewed at half of its lifetime, so that requests in progress keep a valid token.
        let renew_at = Instant::now() + lifetime / 2;
        self.account = Some(OwnAccount { login, token: Some((Arc::clone(&token), renew_at)) });
        Some(token)
    }

    /// Registers a new account for this user. Returns `None` if that failed.
    pub(super) async fn register(&mut self) -> Option<()> {
        // `seed_test_data --clean` deletes accounts with this prefix.
        let email = format!("loadtest_{:032x}@test.local", fastrand::u128(..));
        let credentials = json!({ "email": email, "password": TEST_PASSWORD });
        self.client.send(Request::post(&REGISTER, "/api/v1/auth/register", &credentials)).await?;
        let login = Arc::new(accounts::login(&email, TEST_PASSWORD));
        self.account = Some(OwnAccount { login, token: None });
        Some(())
    }
}
