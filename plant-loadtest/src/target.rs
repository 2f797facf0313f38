//! Checks of the service under test before a run: its address, health, authentication and seeded
//! data. In all functions `host` is the base URL of the service, such as `http://127.0.0.1:8001`.

use std::{net::IpAddr, time::Duration};

use reqwest::Url;
use serde_json::Value;
use tokio::{
    net::lookup_host,
    time::{Instant, sleep},
};

use crate::{
    access::{self, Accounts, LoginError, TEST_CUSTOMERS},
    scenarios::SeedData,
};

/// Interval between two health checks while waiting for the service.
const HEALTH_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Error of a check before the run.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The base URL is not valid.
    #[error("`{host}` is not a valid address such as http://127.0.0.1:8001: {reason}")]
    InvalidAddress {
        /// The given base URL.
        host: String,
        /// Why it is invalid.
        reason: String,
    },
    /// The address is not a loopback address.
    #[error(
        "{0} is not on this machine. A load test can take a service down; pass --allow-remote if you \
         are permitted to test it"
    )]
    RemoteAddress(String),
    /// The service is not running or not healthy.
    #[error(
        "health check of {host} failed: {reason}. Start the service (plant-api serve) or set its \
         address (--host)"
    )]
    Unhealthy {
        /// Base URL of the service.
        host: String,
        /// Why the health check failed.
        reason: String,
    },
    /// The service requires authentication and a login failed.
    #[error("{host} requires authentication, but the {reason}")]
    LoginFailed {
        /// Base URL of the service.
        host: String,
        /// The failed login.
        reason: LoginError,
    },
    /// Data that the user classes need is missing.
    #[error(
        "{host} has no test data: {reason}. Run seed_test_data --agents=100 --skills=50 and try again"
    )]
    NotSeeded {
        /// Base URL of the service.
        host: String,
        /// What is missing.
        reason: String,
    },
}

/// Validates the base URL `host` and returns it without a trailing slash. Rejects addresses other
/// than loopback addresses, unless `allow_remote` is set.
///
/// # Errors
/// When the URL is invalid, or its address is rejected.
pub async fn parse_address(host: &str, allow_remote: bool) -> Result<String, TargetError> {
    let invalid =
        |reason: &str| TargetError::InvalidAddress { host: host.into(), reason: reason.into() };
    let url = Url::parse(host).map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("it must start with http:// or https://"));
    }
    let name = url.host_str().ok_or_else(|| invalid("it contains no host"))?;
    if !allow_remote && !is_loopback(name).await {
        return Err(TargetError::RemoteAddress(host.into()));
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

/// Checks that the service at `host` is healthy.
///
/// # Errors
/// When it cannot be reached or is not healthy.
pub async fn check_health(http: &reqwest::Client, host: &str) -> Result<(), TargetError> {
    let result = health(http, host).await;
    result.map_err(|reason| TargetError::Unhealthy { host: host.into(), reason })
}

/// Logs in to the accounts of the test customers if the service at `host` requires authentication.
/// Returns `None` if it does not.
///
/// # Errors
/// When a login fails.
pub async fn log_in(
    http: &reqwest::Client,
    host: &str,
    password: &str,
) -> Result<Option<Accounts>, TargetError> {
    if !access::requires_authentication(http, host).await {
        return Ok(None);
    }
    let accounts = Accounts::log_in(http, host, password).await;
    accounts.map(Some).map_err(|reason| TargetError::LoginFailed { host: host.into(), reason })
}

/// Checks that the service at `host` has the `required` seeded data.
///
/// # Errors
/// When some of it is missing.
pub async fn check_seed_data(
    http: &reqwest::Client,
    host: &str,
    required: &[SeedData],
    accounts: Option<&Accounts>,
) -> Result<(), TargetError> {
    let token = accounts.map(|accounts| accounts.account(0).token());
    for data in required {
        let (path, missing) = match data {
            SeedData::Agents => ("/api/v1/agents?limit=1".to_owned(), "no agents in the catalogue"),
            SeedData::HiredAgents => (
                format!("/api/v1/customers/{}/agents", TEST_CUSTOMERS[0]),
                "no hired agents of test-customer-001",
            ),
        };
        let response = get(http, &format!("{host}{path}"), token.as_deref()).await;
        let reason = match response {
            Ok(Value::Array(items)) if !items.is_empty() => continue,
            Ok(_) => missing.to_owned(),
            Err(reason) => format!("{missing} (GET {path}: {reason})"),
        };
        return Err(TargetError::NotSeeded { host: host.into(), reason });
    }
    Ok(())
}

/// Waits until the service is healthy and returns how long that took, in seconds. Returns `None` if
/// it is not healthy within `timeout`.
pub async fn wait_until_healthy(
    http: &reqwest::Client,
    host: &str,
    timeout: Duration,
) -> Option<f64> {
    let started = Instant::now();
    while started.elapsed() < timeout {
        let left = timeout.saturating_sub(started.elapsed());
        let result = tokio::time::timeout(left, health(http, host)).await;
        if matches!(result, Ok(Ok(()))) {
            return Some(started.elapsed().as_secs_f64());
        }
        sleep(HEALTH_POLL_INTERVAL.min(left)).await;
    }
    None
}

async fn health(http: &reqwest::Client, host: &str) -> Result<(), String> {
    let body = get(http, &format!("{host}/health"), None).await?;
    match body["status"].as_str() {
        Some("unhealthy") => Err("/health returned status `unhealthy`".into()),
        Some(_) => Ok(()),
        None => Err("/health returned no `status`, so the service is not Plant".into()),
    }
}

async fn get(http: &reqwest::Client, url: &str, token: Option<&str>) -> Result<Value, String> {
    let mut request = http.get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.map_err(|error| root_cause(&error))?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("status {}", status.as_u16()));
    }
    let body = response.bytes().await.map_err(|error| root_cause(&error))?;
    serde_json::from_slice(&body).map_err(|_| "response is not JSON".into())
}

fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "request timed out".into();
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
    async fn other_machines_are_rejected_unless_allow_remote() {
        for host in ["http://127.0.0.1:8001", "http://[::1]:8001/", "http://localhost:8001"] {
            assert!(parse_address(host, false).await.is_ok(), "{host}");
        }
        for host in ["http://192.0.2.1", "http://0.0.0.0:80"] {
            assert!(
                matches!(parse_address(host, false).await, Err(TargetError::RemoteAddress(_))),
                "{host}"
            );
            assert!(parse_address(host, true).await.is_ok(), "{host}");
        }
    }

    #[tokio::test]
    async fn an_invalid_address_is_rejected() {
        for host in ["127.0.0.1:8001", "ftp://127.0.0.1", "", "http://"] {
            let result = parse_address(host, true).await;
            assert!(matches!(result, Err(TargetError::InvalidAddress { .. })), "{host}");
        }
    }
}
