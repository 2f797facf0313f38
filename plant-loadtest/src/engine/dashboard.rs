//! Goose's dashboard beside a closed run: what users measured is told to Goose as well.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use goose::{config::GooseConfiguration, goose::GooseUser};

/// Where the dashboard listens.
#[derive(Clone, Debug)]
pub struct Dashboard {
    /// The address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What whoever is not on this machine must know to look and to steer; `None` on this machine.
    pub token: Option<String>,
}

impl Dashboard {
    /// A dashboard at `host` and `port`; if others than this machine can reach it, it gets a token.
    #[must_use]
    pub fn at(host: &str, port: u16) -> Self {
        let private = host == "localhost"
            || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let token =
            (!private).then(|| format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)));
        Self { host: host.into(), port, token }
    }

    /// Where to point a browser.
    #[must_use]
    pub fn url(&self) -> String {
        let token = self.token.as_ref().map(|token| format!("?token={token}"));
        format!("http://{}:{}/{}", self.host, self.port, token.unwrap_or_default())
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

/// A request as Goose wants to hear of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// Method and route template.
    pub endpoint: &'static str,
    /// How long it took.
    pub latency: Duration,
    /// The answer's status.
    pub status: Option<u16>,
    /// What was wrong, `None` for a success.
    pub error: Option<String>,
}

/// What a user has to tell, request by request.
pub type Diary = Arc<Mutex<Vec<Told>>>;

/// Tells Goose what `user` has noted since the last time.
pub(super) async fn tell(user: &mut GooseUser, diary: &Diary) {
    let notes = std::mem::take(&mut *diary.lock().unwrap_or_else(PoisonError::into_inner));
    for Told { endpoint, latency, status, error } in notes {
        let (method, path) = endpoint.split_once(' ').unwrap_or(("GET", endpoint));
        // It only fails for names without a method or a path, which no endpoint has.
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
