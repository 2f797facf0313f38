//! An account of a user's own: registered and logged in to when first needed, and again before its
//! token expires.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::json;

use super::Session;
use crate::{
    access::PASSWORD,
    client::{Call, Endpoint, Shape},
};

/// `POST /api/v1/auth/register`.
pub static REGISTER: Endpoint = Endpoint {
    name: "POST /api/v1/auth/register",
    success: &[201],
    shape: Shape::Object(&["user"]),
};

/// `POST /api/v1/auth/login`.
pub static LOGIN: Endpoint = Endpoint {
    name: "POST /api/v1/auth/login",
    success: &[200],
    shape: Shape::Object(&["access_token", "refresh_token", "expires_in"]),
};

/// An account that a user has logged in to.
#[derive(Clone, Debug)]
pub struct Account {
    email: String,
    /// The access token, and until when it is used.
    token: Option<(Arc<str>, Instant)>,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    expires_in: u64,
}

impl Session {
    /// The access token of this user's own account, another one when the last answer refused it.
    /// `None`: it did not get one, and tries again
    /// when next asked.
    pub async fn token(&mut self) -> Option<Arc<str>> {
        if let Some((token, until)) = self.account.as_ref().and_then(|own| own.token.as_ref())
            && Instant::now() < *until
            && !self.client.was_refused()
        {
            return Some(Arc::clone(token));
        }
        if self.account.is_none() {
            self.register().await?;
        }
        self.log_in().await
    }

    /// Logs in with its own account, which it must have registered; the access token.
    pub async fn log_in(&mut self) -> Option<Arc<str>> {
        let email = self.account.as_ref()?.email.clone();
        let person = json!({ "email": email, "password": PASSWORD });
        let call = Call::post(&LOGIN, "/api/v1/auth/login", &person);
        let tokens: Tokens = serde_json::from_slice(&self.client.send(call).await?).ok()?;
        let token: Arc<str> = tokens.access_token.into();
        // Half of its time is left for whatever is under way.
        let until = Instant::now() + Duration::from_secs(tokens.expires_in / 2);
        self.account = Some(Account { email, token: Some((Arc::clone(&token), until)) });
        Some(token)
    }

    /// Registers an account, which is this user's own from then on. `None`: it did not get one.
    pub async fn register(&mut self) -> Option<()> {
        // `seed_test_data --clean` removes what begins like this.
        let email = format!("loadtest_{:032x}@test.local", fastrand::u128(..));
        let person = json!({ "email": email, "password": PASSWORD });
        self.client.send(Call::post(&REGISTER, "/api/v1/auth/register", &person)).await?;
        self.account = Some(Account { email, token: None });
        Some(())
    }
}
