//! An account of one virtual user, with its access token.

use std::{sync::Arc, time::Instant};

use crate::{
    client::{Client, Endpoint, Request},
    login::Login,
};

/// An account of one virtual user. The user logs in when it first needs a token, and again before the
/// token expires. Its logins are part of the load.
#[derive(Clone, Debug)]
pub struct UserLogin {
    endpoint: &'static Endpoint,
    login: Arc<Login>,
    /// Access token and the time from which it is renewed.
    token: Option<(Arc<str>, Instant)>,
}

impl UserLogin {
    /// Returns an account without a token. Its logins are requests to `endpoint`.
    #[must_use]
    pub fn new(endpoint: &'static Endpoint, login: Login) -> Self {
        Self { endpoint, login: Arc::new(login), token: None }
    }

    /// Returns the login of the account.
    #[must_use]
    pub fn login(&self) -> Arc<Login> {
        Arc::clone(&self.login)
    }

    /// Returns the access token. Logs in first if there is none, after half of its lifetime, and if the
    /// last response rejected it. Returns `None` if that failed; the next call tries again.
    pub async fn token(&mut self, client: &Client) -> Option<Arc<str>> {
        if let Some((token, renew_at)) = &self.token
            && Instant::now() < *renew_at
            && !client.token_was_rejected()
        {
            return Some(Arc::clone(token));
        }
        self.log_in(client).await
    }

    /// Logs in and returns the access token. Returns `None` if that failed.
    pub async fn log_in(&mut self, client: &Client) -> Option<Arc<str>> {
        let request = Request::post_text(self.endpoint, self.login.path, self.login.body.clone());
        let (token, lifetime) = self.login.read_response(&client.send(request).await?)?;
        let token: Arc<str> = token.into();
        // Renewed at half of its lifetime, so that requests in progress keep a valid token.
        self.token = Some((Arc::clone(&token), Instant::now() + lifetime / 2));
        Some(token)
    }
}
