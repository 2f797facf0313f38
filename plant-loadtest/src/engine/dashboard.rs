//! Goose's dashboard of a closed run. Goose's own measurements are off, so the requests that
//! clients log are passed on to it.

use std::{net::IpAddr, sync::PoisonError};

use goose::{config::GooseConfiguration, goose::GooseUser};

use crate::client::{RequestLog, RequestLogEntry};

/// Settings for Goose's dashboard.
#[derive(Clone, Debug)]
pub struct Dashboard {
    /// Host name or IP address to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// Access token; `None` if only this machine can connect.
    pub token: Option<String>,
}

impl Dashboard {
    /// Returns settings to listen on `host` and `port`, with a random token unless `host` is a
    /// loopback address.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        let is_local = host == "localhost"
            || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let token =
            (!is_local).then(|| format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)));
        Self { host: host.into(), port, token }
    }

    /// Returns the URL of the dashboard, token included.
    #[must_use]
    pub fn url(&self) -> String {
        let query = self.token.as_ref().map(|token| format!("?token={token}"));
        format!("http://{}:{}/{}", self.host, self.port, query.unwrap_or_default())
    }

    pub(super) fn configure(&self, configuration: &mut GooseConfiguration) {
        configuration.no_metrics = false;
        configuration.no_transaction_metrics = true;
        configuration.no_scenario_metrics = true;
        configuration.dashboard = true;
        configuration.dashboard_control = true;
        configuration.dashboard_host = Some(self.host.clone());
        configuration.dashboard_port = Some(self.port);
        configuration.dashboard_auth_token.clone_from(&self.token);
        configuration.dashboard_no_auth = self.token.is_none();
    }
}

/// Passes all entries of `log` to Goose as requests of `user`, and clears the log.
pub(super) async fn report_requests(user: &mut GooseUser, log: &RequestLog) {
    let entries = std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
    for RequestLogEntry { endpoint, latency, status, error } in entries {
        let (method, path) = endpoint.split_once(' ').unwrap_or(("GET", endpoint));
        // Fails only for names without a method or a path, which no endpoint has.
        let _ = user
            .record_custom_request_duration(
                method,
                path,
                latency,
                error.is_none(),
                status,
                error.as_deref(),
            )
            .await;
    }
}
