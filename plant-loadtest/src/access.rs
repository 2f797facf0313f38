//! Access tokens for services that require authentication. The accounts of the test customers are
//! logged in before the load. During the load each token is renewed after half of its lifetime, or
//! when the service rejects it.
//!
//! All virtual users of a customer share one account and one token, because every login costs the
//! service a password hash. These logins are not recorded as requests; the outcome contains their
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
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{outcome::LoginSummary, work::Login};

/// Test customers that the program `seed_test_data` always creates. Virtual users send requests as
/// these.
pub const TEST_CUSTOMERS: [&str; 5] = [
    "test-customer-001",
    "test-customer-002",
    "test-customer-003",
    "test-customer-004",
    "test-customer-005",
];

/// Password of all accounts that the program `seed_test_data` creates (`--users`). Not a secret.
pub const TEST_PASSWORD: &str = "load-test-password";

/// How long the first login of an account is retried while the service is unavailable.
const FIRST_LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay between two login attempts if the response has no `Retry-After` header.
const LOGIN_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Error of a login.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Unknown email or wrong password; the service does not distinguish them.
    #[error(
        "login as {email} failed: unknown email or wrong password. Run seed_test_data --users=5, or \
         set the password of the accounts with --password"
    )]
    InvalidCredentials {
        /// Email of the account.
        email: String,
    },
    /// Any other failure.
    #[error("login as {email} failed: {reason}")]
    Failed {
        /// Email of the account.
        email: String,
        /// Cause, with the status if there was a response.
        reason: String,
        /// Delay before the next attempt; `None` if a retry cannot help.
        retry_after: Option<Duration>,
    },
}

/// Accounts of all [`TEST_CUSTOMERS`], logged in.
#[derive(Debug)]
pub struct Accounts(Vec<Arc<Account>>);

/// Account of one test customer, shared by its virtual users.
#[derive(Debug)]
pub struct Account {
    http: reqwest::Client,
    url: String,
    email: String,
    password: String,
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

#[derive(Deserialize)]
struct LoginResponse {
    access_token: String,
    expires_in: u64,
}

impl Accounts {
    /// Logs in to the accounts of all [`TEST_CUSTOMERS`]. `host` is the base URL of the service.
    ///
    /// # Errors
    /// When a login fails.
    pub async fn log_in(
        http: &reqwest::Client,
        host: &str,
        password: &str,
    ) -> Result<Self, LoginError> {
        let mut accounts = Vec::new();
        for number in 1..=TEST_CUSTOMERS.len() {
            let email = format!("loadtest_{number}@test.local");
            accounts.push(Arc::new(Account::log_in(http.clone(), host, email, password).await?));
        }
        Ok(Self(accounts))
    }

    /// Returns the account of the customer at `index` in [`TEST_CUSTOMERS`]. Panics if there is none.
    #[must_use]
    pub fn account(&self, index: usize) -> Arc<Account> {
        Arc::clone(&self.0[index])
    }

    /// Returns the numbers of accounts and of logins, for the outcome.
    #[must_use]
    pub fn summary(&self) -> LoginSummary {
        let logins = self.0.iter().map(|account| account.logins.load(Relaxed)).sum();
        LoginSummary { accounts: self.0.len(), logins }
    }
}

impl Account {
    /// Logs in for the first time. Retries while the service is unavailable.
    async fn log_in(
        http: reqwest::Client,
        host: &str,
        email: String,
        password: &str,
    ) -> Result<Self, LoginError> {
        let url = format!("{host}/api/v1/auth/login");
        let deadline = Instant::now() + FIRST_LOGIN_TIMEOUT;
        let token = loop {
            match request_token(&http, &url, &email, password).await {
                Ok(token) => break token,
                Err(LoginError::Failed { retry_after: Some(delay), .. })
                    if Instant::now() + delay < deadline =>
                {
                    sleep(delay).await;
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Self {
            http,
            url,
            email,
            password: password.to_owned(),
            token: Mutex::new(token),
            login_lock: tokio::sync::Mutex::default(),
            logins: AtomicU64::new(1),
        })
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
        let token = request_token(&self.http, &self.url, &self.email, &self.password).await.ok()?;
        self.logins.fetch_add(1, Relaxed);
        *self.lock_token() = token.clone();
        Some(token.value)
    }

    fn lock_token(&self) -> MutexGuard<'_, Token> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether the service with the base URL `host` requires authentication for the data of a
/// customer: whether a request without a token gets a 401. Returns false if it fails otherwise.
pub async fn requires_authentication(http: &reqwest::Client, host: &str) -> bool {
    let url = format!("{host}/api/v1/customers/{}/agents", TEST_CUSTOMERS[0]);
    // Other failures are reported by the health check and the seed-data check.
    let response = http.get(url).send().await;
    response.is_ok_and(|response| response.status() == StatusCode::UNAUTHORIZED)
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
    let url = format!("{host}/api/v1/auth/login");
    Ok(request_token(http, &url, &login.email, &login.password).await?.value)
}

async fn request_token(
    http: &reqwest::Client,
    url: &str,
    email: &str,
    password: &str,
) -> Result<Token, LoginError> {
    let failed = |reason: String, retry_after: Option<Duration>| LoginError::Failed {
        email: email.to_owned(),
        reason,
        retry_after,
    };
    let credentials = json!({ "email": email, "password": password });
    let request = http.post(url).header(header::CONTENT_TYPE, "application/json");
    let sent = request.body(credentials.to_string()).send().await;
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
        return Err(LoginError::InvalidCredentials { email: email.to_owned() });
    }
    if !status.is_success() {
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("no detail");
        let retry_after = (retry_after.is_some() || status.is_server_error())
            .then_some(retry_after.unwrap_or(LOGIN_RETRY_DELAY));
        return Err(failed(format!("status {} ({detail})", status.as_u16()), retry_after));
    }
    let login: LoginResponse = serde_json::from_slice(&body)
        .map_err(|_| failed("the response contains no access token".into(), None))?;
    let renew_at = Instant::now() + Duration::from_secs(login.expires_in) / 2;
    Ok(Token { value: login.access_token.into(), renew_at })
}
