//! Checks of the service under test before a run: its address, its health, and those of the user
//! classes. In all functions `host` is the base URL of the service, such as `http://127.0.0.1:8080`.

use std::{net::IpAddr, time::Duration};

use reqwest::Url;
use serde_json::Value;
use tokio::{
    net::lookup_host,
    time::{Instant, sleep},
};

use crate::{
    client::root_cause,
    scenario::{CheckContext, UserClass},
    service::{HealthCheck, Service, parse_base_url, parse_url, without_credentials},
};

/// Interval between two health checks while waiting for the service.
const HEALTH_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Error of a check before the run.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The base URL is not valid.
    #[error("`{host}` is not a valid address such as http://127.0.0.1:8080: {reason}")]
    InvalidAddress {
        /// The given URL, without user and password.
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
    #[error("health check of {host} failed: {reason}. {hint}")]
    Unhealthy {
        /// Base URL of the service.
        host: String,
        /// Why the health check failed.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// A check of a user class failed.
    #[error("{host} is not ready: {reason}")]
    NotReady {
        /// Base URL of the service.
        host: String,
        /// Message of the check.
        reason: String,
    },
}

/// Validates the base URL `host` and returns it without a trailing slash. Rejects addresses other
/// than loopback addresses, unless `allow_remote` is set.
///
/// # Errors
/// When the URL is invalid, or its address is rejected.
pub async fn parse_address(host: &str, allow_remote: bool) -> Result<String, TargetError> {
    let url = check_base_url(host)?;
    check_machine(host, &url, allow_remote).await?;
    Ok(host.trim_end_matches('/').to_owned())
}

/// Validates the base URL `host`, on whatever machine it is.
///
/// # Errors
/// When the URL is invalid.
pub fn check_base_url(host: &str) -> Result<Url, TargetError> {
    parse_base_url(host).map_err(|reason| invalid(host, reason))
}

/// Validates the URL of a document like the base URL of a service, but with a query if it has one.
///
/// # Errors
/// When the URL is invalid, or its address is rejected.
pub async fn check_document_url(url: &str, allow_remote: bool) -> Result<(), TargetError> {
    let parsed = parse_url(url).map_err(|reason| invalid(url, reason))?;
    check_machine(url, &parsed, allow_remote).await
}

fn invalid(host: &str, reason: String) -> TargetError {
    TargetError::InvalidAddress { host: without_credentials(host), reason }
}

async fn check_machine(text: &str, url: &Url, allow_remote: bool) -> Result<(), TargetError> {
    let name = url.host_str().unwrap_or_default();
    match allow_remote || is_loopback(name).await {
        true => Ok(()),
        false => Err(TargetError::RemoteAddress(without_credentials(text))),
    }
}

/// Returns what to keep in mind when the service at `host` is on another machine; `None` if it is on this
/// one.
pub async fn remote_notice(host: &str) -> Option<String> {
    let url = Url::parse(host).ok()?;
    if is_loopback(url.host_str()?).await {
        return None;
    }
    Some(format!(
        "{host} is not on this machine. Latency includes the network. CPU and memory of the service are \
         known only if it exports them. The drain time of accepted work compares two clocks. Stop the \
         load with Ctrl-C."
    ))
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

/// Checks that `service` at `host` is healthy. Without a health check nothing is checked.
///
/// # Errors
/// When it cannot be reached or is not healthy.
pub async fn check_health(
    http: &reqwest::Client,
    host: &str,
    service: &Service,
) -> Result<(), TargetError> {
    let Some(check) = &service.health else { return Ok(()) };
    let result = health(http, host, check).await;
    result.map_err(|reason| TargetError::Unhealthy {
        host: host.into(),
        reason,
        hint: service.start_hint.clone(),
    })
}

/// Runs the checks of all `classes`, each once.
///
/// # Errors
/// When a check fails.
pub async fn run_checks(
    classes: impl IntoIterator<Item = &'static UserClass>,
    context: &mut CheckContext,
) -> Result<(), TargetError> {
    let mut done = Vec::new();
    for check in classes.into_iter().flat_map(|class| class.checks) {
        if done.contains(&check.name) {
            continue;
        }
        done.push(check.name);
        let result = (check.run)(context).await;
        result.map_err(|reason| TargetError::NotReady { host: context.host.clone(), reason })?;
    }
    Ok(())
}

/// Waits until the service is healthy and returns how long that took, in seconds. Returns `None` if
/// it is not healthy within `timeout`, or if there is no health check.
pub async fn wait_until_healthy(
    http: &reqwest::Client,
    host: &str,
    service: &Service,
    timeout: Duration,
) -> Option<f64> {
    let check = service.health.as_ref()?;
    let started = Instant::now();
    while started.elapsed() < timeout {
        let left = timeout.saturating_sub(started.elapsed());
        let result = tokio::time::timeout(left, health(http, host, check)).await;
        if matches!(result, Ok(Ok(()))) {
            return Some(started.elapsed().as_secs_f64());
        }
        sleep(HEALTH_POLL_INTERVAL.min(left)).await;
    }
    None
}

async fn health(http: &reqwest::Client, host: &str, check: &HealthCheck) -> Result<(), String> {
    let request = http.get(format!("{host}{}", check.path));
    let response = request.send().await.map_err(|error| root_cause(&error))?;
    let status = response.status();
    let body = response.bytes().await.map_err(|error| root_cause(&error))?;
    check.check(status, &body)
}

/// Sends a `GET` request, with an access token if there is one, and returns the JSON of the response.
///
/// # Errors
/// Returns a message if there is no response, its status is not 2xx, or it is not JSON.
pub async fn get_json(
    http: &reqwest::Client,
    url: &str,
    token: Option<&str>,
) -> Result<Value, String> {
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
            assert!(remote_notice(host).await.is_some(), "{host}");
        }
        assert_eq!(remote_notice("http://localhost:8001").await, None);
    }

    #[tokio::test]
    async fn an_invalid_address_is_rejected() {
        let with_query = "http://127.0.0.1:8001/?x=1";
        for host in ["127.0.0.1:8001", "ftp://127.0.0.1", "", "http://", with_query] {
            let result = parse_address(host, true).await;
            assert!(matches!(result, Err(TargetError::InvalidAddress { .. })), "{host}");
        }
        let error = parse_address("http://user:s3cret@127.0.0.1:8001", true).await.unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("`http://127.0.0.1:8001/` is not a valid"), "{message}");
        assert!(check_document_url(with_query, false).await.is_ok());
        assert!(check_document_url("http://192.0.2.1/?x=1", false).await.is_err());
    }
}
