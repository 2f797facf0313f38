//! Services that demand tokens: the accounts that users act for are logged in before the load, and
//! again while it lasts, before or when their tokens expire.
//!
//! There is one account for each customer, however many users act for it. They share its token,
//! so that a thousand users do not have a thousand passwords hashed. None of these logins is
//! part of the load: they are neither timed nor counted as requests, but told in the outcome.

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

use crate::outcome::Access;

/// The customers whose accounts users act for: those that every seeding plants.
pub const CUSTOMERS: [&str; 5] = [
    "test-customer-001",
    "test-customer-002",
    "test-customer-003",
    "test-customer-004",
    "test-customer-005",
];

/// The password that `seed_test_data --users` gives to all accounts; it guards nothing.
pub const PASSWORD: &str = "load-test-password";

/// How long the first login of an account is tried when the service is too busy for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two tries, where the service does not say for how long.
const PAUSE: Duration = Duration::from_secs(1);

/// Why an account is not logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// It is not there, or its password is another one; services do not say which.
    #[error(
        "{email} cannot log in: no such account, or another password. Run seed_test_data \
         --users=5, or give the password that its accounts have (--password)"
    )]
    Refused {
        /// The account.
        email: String,
    },
    /// Not now.
    #[error("{email} cannot log in: {reason}")]
    Failed {
        /// The account.
        email: String,
        /// What happened instead.
        reason: String,
        /// When to try again, if it may help.
        again: Option<Duration>,
    },
}

/// The accounts that users act for, logged in.
#[derive(Debug)]
pub struct Accounts(Vec<Arc<Account>>);

/// One of them.
#[derive(Debug)]
pub struct Account {
    http: reqwest::Client,
    url: String,
    email: String,
    password: String,
    token: Mutex<Token>,
    /// Held by whoever logs in, so that the others wait for that instead of doing the same.
    turn: tokio::sync::Mutex<()>,
    logins: AtomicU64,
}

#[derive(Clone, Debug)]
struct Token {
    bearer: Arc<str>,
    /// From then on it is used and a new one is fetched, so that nobody has to wait for that.
    renew_at: Instant,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    expires_in: u64,
}

impl Accounts {
    /// Logs in the accounts of all [`CUSTOMERS`] to the service at `host`.
    ///
    /// # Errors
    /// When one of them does not get in.
    pub async fn log_in(
        http: &reqwest::Client,
        host: &str,
        password: &str,
    ) -> Result<Self, LoginError> {
        let mut accounts = Vec::new();
        for number in 1..=CUSTOMERS.len() {
            let email = format!("loadtest_{number}@test.local");
            accounts.push(Arc::new(Account::enter(http.clone(), host, email, password).await?));
        }
        Ok(Self(accounts))
    }

    /// The account that belongs to the customer at this place of [`CUSTOMERS`].
    #[must_use]
    pub fn of(&self, place: usize) -> Arc<Account> {
        Arc::clone(&self.0[place])
    }

    /// How often was logged in, for the outcome.
    #[must_use]
    pub fn told(&self) -> Access {
        let logins = self.0.iter().map(|account| account.logins.load(Relaxed)).sum();
        Access { accounts: self.0.len(), logins }
    }
}

impl Account {
    /// Logs in for the first time.
    async fn enter(
        http: reqwest::Client,
        host: &str,
        email: String,
        password: &str,
    ) -> Result<Self, LoginError> {
        let url = format!("{host}/api/v1/auth/login");
        let until = Instant::now() + PATIENCE;
        let token = loop {
            match log_in(&http, &url, &email, password).await {
                Ok(token) => break token,
                Err(LoginError::Failed { again: Some(pause), .. })
                    if Instant::now() + pause < until =>
                {
                    sleep(pause).await;
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
            turn: tokio::sync::Mutex::default(),
            logins: AtomicU64::new(1),
        })
    }

    /// Its access token. In the second half of its life a new one is fetched beside, by one of
    /// those who ask; who does not get one tries again when next asked.
    pub fn token(self: &Arc<Self>) -> Arc<str> {
        let Token { bearer, renew_at } = self.held().clone();
        if Instant::now() >= renew_at {
            let (account, stale) = (Arc::clone(self), Arc::clone(&bearer));
            tokio::spawn(async move {
                if let Ok(_turn) = account.turn.try_lock() {
                    account.log_in_again(&stale).await;
                }
            });
        }
        bearer
    }

    /// Another token than `refused`, which the service does not take any more. `None`: it gives
    /// none.
    pub async fn instead_of(&self, refused: &Arc<str>) -> Option<Arc<str>> {
        let _turn = self.turn.lock().await;
        self.log_in_again(refused).await
    }

    /// A new token, unless somebody else has already fetched one in place of `old`. For those who
    /// have the turn.
    async fn log_in_again(&self, old: &Arc<str>) -> Option<Arc<str>> {
        let held = self.held().clone().bearer;
        if held != *old {
            return Some(held);
        }
        let token = log_in(&self.http, &self.url, &self.email, &self.password).await.ok()?;
        self.logins.fetch_add(1, Relaxed);
        *self.held() = token.clone();
        Some(token.bearer)
    }

    fn held(&self) -> MutexGuard<'_, Token> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the service at `host` wants to know who asks for a customer's things.
pub async fn is_demanded(http: &reqwest::Client, host: &str) -> bool {
    let url = format!("{host}/api/v1/customers/{}/agents", CUSTOMERS[0]);
    // What else may be wrong with the service is told by those who look for it.
    let answer = http.get(url).send().await;
    answer.is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED)
}

async fn log_in(
    http: &reqwest::Client,
    url: &str,
    email: &str,
    password: &str,
) -> Result<Token, LoginError> {
    let failed = |reason: String, again: Option<Duration>| LoginError::Failed {
        email: email.to_owned(),
        reason,
        again,
    };
    let person = json!({ "email": email, "password": password });
    let request = http.post(url).header(header::CONTENT_TYPE, "application/json");
    let sent = request.body(person.to_string()).send().await;
    let answer = sent.map_err(|error| failed(error.without_url().to_string(), Some(PAUSE)))?;
    let status = answer.status();
    let after = answer.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok());
    let after = after.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let body = answer.bytes().await.map_err(|error| failed(error.to_string(), Some(PAUSE)))?;
    if status == StatusCode::UNAUTHORIZED {
        return Err(LoginError::Refused { email: email.to_owned() });
    }
    if !status.is_success() {
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("no reason given");
        let again = (after.is_some() || status.is_server_error()).then_some(after.unwrap_or(PAUSE));
        return Err(failed(format!("{} ({detail})", status.as_u16()), again));
    }
    let tokens: Tokens = serde_json::from_slice(&body)
        .map_err(|_| failed("the answer has no access token".into(), None))?;
    let renew_at = Instant::now() + Duration::from_secs(tokens.expires_in) / 2;
    Ok(Token { bearer: tokens.access_token.into(), renew_at })
}
