//! Changes the number of users of a closed run in progress.
//!
//! Goose receives commands from its own dashboard only. That is served at a random port of this machine
//! with a random token, without Goose's metrics, so that it writes no files; nobody else uses it.

use std::{io, net::TcpListener, time::Duration};

use goose::config::GooseConfiguration;
use serde_json::{Value, json};
use uuid::Uuid;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Access to the users of a run.
#[derive(Clone, Debug)]
pub struct UserControl {
    port: u16,
    token: String,
    http: reqwest::Client,
}

impl UserControl {
    /// Returns a control for a run whose users can be changed ([`super::closed::has_adjustable_users`]).
    ///
    /// # Errors
    /// When no port is free, or the HTTP client cannot be initialized.
    pub fn new() -> io::Result<Self> {
        // Goose does not return which port it has bound.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let token = Uuid::new_v4().simple().to_string();
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
        Ok(Self { port, token, http: http.map_err(io::Error::other)? })
    }

    pub(super) fn configure(&self, configuration: &mut GooseConfiguration) {
        configuration.dashboard = true;
        configuration.dashboard_control = true;
        configuration.dashboard_host = Some("127.0.0.1".to_owned());
        configuration.dashboard_port = Some(self.port);
        configuration.dashboard_auth_token = Some(self.token.clone());
    }

    /// Changes the number of users; new ones start at the spawn rate of the run.
    ///
    /// # Errors
    /// Returns why it was not changed.
    pub async fn change(&self, users: u32) -> Result<(), String> {
        let url = format!("http://127.0.0.1:{}/api/v1/control/users", self.port);
        let request = self.http.post(url).bearer_auth(&self.token);
        let request = request.header("content-type", "application/json");
        let response = request.body(json!({ "users": users }).to_string()).send().await;
        let response = response.map_err(|_| "the load is not running".to_owned())?;
        let body = response.text().await.unwrap_or_default();
        let reply: Value = serde_json::from_str(&body).unwrap_or_default();
        match reply["ok"].as_bool() {
            Some(true) => Ok(()),
            _ => Err(reply["message"].as_str().unwrap_or("the users were not changed").to_owned()),
        }
    }
}
