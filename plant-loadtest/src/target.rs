//! Is there something to load, is it the right thing, and may it be loaded?

use std::{net::IpAddr, time::Duration};

use reqwest::Url;
use serde_json::Value;
use tokio::{
    net::lookup_host,
    time::{Instant, sleep},
};

use crate::{
    access::{self, Accounts, CUSTOMERS, LoginError},
    scenarios::Need,
};

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The address is none.
    #[error("`{host}` is no address such as http://127.0.0.1:8001: {reason}")]
    NoAddress {
        /// What was given.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address belongs to another machine.
    #[error(
        "{0} is not on this machine. A load test can take a service down; give --allow-remote if \
         that one is yours to load"
    )]
    Remote(String),
    /// Nothing healthy answers.
    #[error(
        "{host} cannot be loaded: {reason}. Start the service (plant-api serve), or say where it is (--host)"
    )]
    Unreachable {
        /// Where it should be.
        host: String,
        /// What happened instead.
        reason: String,
    },
    /// The service demands tokens and gives none.
    #[error("{host} demands tokens, and {reason}")]
    Closed {
        /// Where it is.
        host: String,
        /// What happened instead.
        reason: LoginError,
    },
    /// The service lacks the data that users need.
    #[error(
        "{host} is not seeded: {reason}. Run seed_test_data --agents=100 --skills=50 and try again"
    )]
    Unseeded {
        /// Where it is.
        host: String,
        /// What is missing.
        reason: String,
    },
}

/// Reads the address `host`, and refuses other machines unless `allow_remote`.
///
/// # Errors
/// When it is no address, or not this machine's.
pub async fn address(host: &str, allow_remote: bool) -> Result<String, TargetError> {
    let wrong = |reason: &str| TargetError::NoAddress { host: host.into(), reason: reason.into() };
    let url = Url::parse(host).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it must start with http:// or https://"));
    }
    let name = url.host_str().ok_or_else(|| wrong("it names no host"))?;
    if !allow_remote && !is_loopback(name).await {
        return Err(TargetError::Remote(host.into()));
    }
    Ok(host.trim_end_matches('/').to_owned())
}

async fn is_loopback(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.is_loopback();
    }
    let Ok(addresses) = lookup_host((name, 0)).await else { return name == "localhost" };
    let mut addresses = addresses.peekable();
    addresses.peek().is_some() && addresses.all(|address| address.ip().is_loopback())
}

/// Makes sure that the service at `host` is healthy.
///
/// # Errors
/// A sentence that says what is wrong and what to do about it.
pub async fn check_health(http: &reqwest::Client, host: &str) -> Result<(), TargetError> {
    let healthy = health(http, host).await;
    healthy.map_err(|reason| TargetError::Unreachable { host: host.into(), reason })
}

/// Logs in the accounts that users act for, if the service at `host` demands tokens.
///
/// # Errors
/// When they do not get in.
pub async fn log_in(
    http: &reqwest::Client,
    host: &str,
    password: &str,
) -> Result<Option<Accounts>, TargetError> {
    if !access::is_demanded(http, host).await {
        return Ok(None);
    }
    let accounts = Accounts::log_in(http, host, password).await;
    accounts.map(Some).map_err(|reason| TargetError::Closed { host: host.into(), reason })
}

/// Makes sure that the service at `host` has what users need.
///
/// # Errors
/// A sentence that says what is missing and what to do about it.
pub async fn check(
    http: &reqwest::Client,
    host: &str,
    needs: &[Need],
    accounts: Option<&Accounts>,
) -> Result<(), TargetError> {
    let token = accounts.map(|accounts| accounts.of(0).token());
    for need in needs {
        let (path, what) = match need {
            Need::Agents => ("/api/v1/agents?limit=1".to_owned(), "its catalogue has no agents"),
            Need::HiredAgents => (
                format!("/api/v1/customers/{}/agents", CUSTOMERS[0]),
                "test-customer-001 has no hired agents",
            ),
        };
        let found = get(http, &format!("{host}{path}"), token.as_deref()).await;
        let reason = match found {
            Ok(Value::Array(items)) if !items.is_empty() => continue,
            Ok(_) => what.to_owned(),
            Err(reason) => format!("{what} (GET {path}: {reason})"),
        };
        return Err(TargetError::Unseeded { host: host.into(), reason });
    }
    Ok(())
}

/// Seconds until the service answers `/health`, `None` when it does not within `patience`.
pub async fn seconds_to_healthy(
    http: &reqwest::Client,
    host: &str,
    patience: Duration,
) -> Option<f64> {
    let started = Instant::now();
    while started.elapsed() < patience {
        let left = patience.saturating_sub(started.elapsed());
        let asked = tokio::time::timeout(left, health(http, host)).await;
        if matches!(asked, Ok(Ok(()))) {
            return Some(started.elapsed().as_secs_f64());
        }
        sleep(Duration::from_millis(100).min(left)).await;
    }
    None
}

async fn health(http: &reqwest::Client, host: &str) -> Result<(), String> {
    let told = get(http, &format!("{host}/health"), None).await?;
    match told["status"].as_str() {
        Some("unhealthy") => Err("it says that it is unhealthy".into()),
        Some(_) => Ok(()),
        None => Err("its /health has no `status`, so something else than Plant answers".into()),
    }
}

async fn get(http: &reqwest::Client, url: &str, token: Option<&str>) -> Result<Value, String> {
    let mut request = http.get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.map_err(|error| why(&error))?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("status {}", status.as_u16()));
    }
    let body = response.bytes().await.map_err(|error| why(&error))?;
    serde_json::from_slice(&body).map_err(|_| "an answer that is no JSON".into())
}

fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_this_machine_may_be_loaded_unless_told_otherwise() {
        for host in ["http://127.0.0.1:8001", "http://[::1]:8001/", "http://localhost:8001"] {
            assert!(address(host, false).await.is_ok(), "{host}");
        }
        for host in ["http://192.0.2.1", "http://0.0.0.0:80"] {
            assert!(matches!(address(host, false).await, Err(TargetError::Remote(_))), "{host}");
            assert!(address(host, true).await.is_ok(), "{host}");
        }
    }

    #[tokio::test]
    async fn what_is_no_address_is_refused() {
        for host in ["127.0.0.1:8001", "ftp://127.0.0.1", "", "http://"] {
            let refused = address(host, true).await;
            assert!(matches!(refused, Err(TargetError::NoAddress { .. })), "{host}");
        }
    }
}
