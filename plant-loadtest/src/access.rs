//! Accounts that virtual users share, for services that require authentication. They are logged in
//! before the load. During the load each token is renewed after half of its lifetime, or when the
//! service rejects it.
//!
//! All virtual users of an account share one token, because a login usually costs the service a
//! password hash. These logins are not recorded as requests; the outcome contains their
//! number. Exception: if the service rejects a token, the new login is part of the latency of the
//! request that is sent again.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use reqwest::{StatusCode, header};
use serde_json::Value;
use tokio::time::sleep;

use crate::{login::Login, outcome::LoginSummary};

/// How long the first login of an account is retried while the service is unavailable.
const FIRST_LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay between two login attempts if the response has no `Retry-After` header.
const LOGIN_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Error of a login.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Unknown account or wrong password; services do not distinguish them.
    #[error("login as {account} failed: unknown account or wrong password")]
    InvalidCredentials {
        /// Name of the account.
        account: String,
    },
    /// Any other failure.
    #[error("login as {account} failed: {reason}")]
    Failed {
        /// Name of the account.
        account: String,
        /// Cause, with the status if there was a response.
        reason: String,
        /// Delay before the next attempt; `None` if a retry cannot help.
        retry_after: Option<Duration>,
    },
}

/// An account with its current token, shared by virtual users.
#[derive(Debug)]
pub struct Account {
    http: reqwest::Client,
    host: String,
    login: Login,
    token: Mutex<Token>,
    /// Held during a login, so that concurrent users wait for its token instead of logging in too.
    login_lock: tokio::sync::Mutex<()>,
    logins: AtomicU64,
}

#[derive(Clone, Debug)]
struct Token {
    value: Arc<str>,
    /// When half of the lifetime has passed. From then on a new token is requested in the background.
    renew_at: Instant,
}

impl Account {
    /// Logs in for the first time. Retries for up to 10 s while the service is unavailable. `host` is
    /// the base URL of the service.
    ///
    /// # Errors
    /// When the login fails.
    pub async fn log_in(
        http: reqwest::Client,
        host: &str,
        login: Login,
    ) -> Result<Arc<Self>, LoginError> {
        let deadline = Instant::now() + FIRST_LOGIN_TIMEOUT;
        let token = loop {
            match request_token(&http, host, &login).await {
                Ok(token) => break token,
                Err(LoginError::Failed { retry_after: Some(delay), .. })
                    if Instant::now() + delay < deadline =>
                {
                    sleep(delay).await;
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Arc::new(Self {
            http,
            host: host.to_owned(),
            login,
            token: Mutex::new(token),
            login_lock: tokio::sync::Mutex::default(),
            logins: AtomicU64::new(1),
        }))
    }

    /// Returns the current access token. If half of its lifetime has passed, also starts a
    /// background task that logs in again, unless a login is in progress. If that login fails, the
    /// current token stays, and the next call starts another task.
    pub fn token(self: &Arc<Self>) -> Arc<str> {
        let Token { value, renew_at } = self.lock_token().clone();
        if Instant::now() >= renew_at {
            let (account, stale) = (Arc::clone(self), Arc::clone(&value));
            tokio::spawn(async move {
                if let Ok(_lock) = account.login_lock.try_lock() {
                    account.renew_token(&stale).await;
                }
            });
        }
        value
    }

    /// Returns a new token in place of `rejected`, which the service no longer accepts. Returns
    /// `None` if the login fails.
    pub async fn replace_token(&self, rejected: &Arc<str>) -> Option<Arc<str>> {
        let _lock = self.login_lock.lock().await;
        self.renew_token(rejected).await
    }

    /// Logs in again, unless another task has already replaced the token `old`. Returns the current
    /// token. The caller must hold `login_lock`.
    async fn renew_token(&self, old: &Arc<str>) -> Option<Arc<str>> {
        let current = self.lock_token().clone().value;
        if current != *old {
            return Some(current);
        }
        let token = request_token(&self.http, &self.host, &self.login).await.ok()?;
        self.logins.fetch_add(1, Relaxed);
        *self.lock_token() = token.clone();
        Some(token.value)
    }

    fn lock_token(&self) -> MutexGuard<'_, Token> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the numbers of accounts and of logins, for the outcome; `None` without accounts.
#[must_use]
pub fn summary(accounts: &[Arc<Account>]) -> Option<LoginSummary> {
    let logins = accounts.iter().map(|account| account.logins.load(Relaxed)).sum();
    (!accounts.is_empty()).then_some(LoginSummary { accounts: accounts.len(), logins })
}

/// Logs in to the account of an earlier login and returns a new access token.
///
/// # Errors
/// When the login fails.
pub async fn log_in_again(
    http: &reqwest::Client,
    host: &str,
    login: &Login,
) -> Result<Arc<str>, LoginError> {
    Ok(request_token(http, host, login).await?.value)
}

async fn request_token(
    http: &reqwest::Client,
    host: &str,
    login: &Login,
) -> Result<Token, LoginError> {
    let account = &login.account;
    let failed = |reason: String, retry_after: Option<Duration>| LoginError::Failed {
        account: account.clone(),
        reason,
        retry_after,
    };
    let request = http.post(format!("{host}{}", login.path));
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let sent = request.body(login.body.clone()).send().await;
    let response =
        sent.map_err(|error| failed(error.without_url().to_string(), Some(LOGIN_RETRY_DELAY)))?;
    let status = response.status();
    let retry_after =
        response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let body = response
        .bytes()
        .await
        .map_err(|error| failed(error.to_string(), Some(LOGIN_RETRY_DELAY)))?;
    if status == StatusCode::UNAUTHORIZED {
        return Err(LoginError::InvalidCredentials { account: account.clone() });
    }
    if !status.is_success() {
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("no detail");
        let retry_after = (retry_after.is_some() || status.is_server_error())
            .then_some(retry_after.unwrap_or(LOGIN_RETRY_DELAY));
        return Err(failed(format!("status {} ({detail})", status.as_u16()), retry_after));
    }
    let (value, lifetime) = login
        .read_response(&body)
        .ok_or_else(|| failed("the response contains no access token".into(), None))?;
    Ok(Token { value: value.into(), renew_at: Instant::now() + lifetime / 2 })
}
