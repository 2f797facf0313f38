//! The list of hosts to which notes may be posted. A tenant chooses the URL of its service desk, so
//! nothing else is ever contacted.

use axum::http::Uri;
use axum::http::uri::Authority;

use crate::config::HostRule;
use crate::http_client::{AllowedHosts, Reach};

/// Hosts that the fake desk stands in for.
const FAKE_SUFFIX: &str = ".servicedesk.local";

/// Where the notes of a tenant are posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Scheme, host and port.
    pub base: Uri,
    /// Name and port of the service desk, for the `Host` header and the circuit.
    pub host: String,
    /// Path of the service desk's URL, without a slash at its end.
    pub path: String,
    pub reach: Reach,
}

/// Allowed hosts, and the fake desk.
#[derive(Debug, Clone)]
pub struct AllowList {
    hosts: AllowedHosts,
    /// URL of the fake desk; `None` in access mode `required`.
    fake_desk: Option<Uri>,
}

impl AllowList {
    pub fn new(rules: Vec<HostRule>, fake_desk: Option<Uri>) -> Self {
        let hosts = AllowedHosts::new(rules, "the service desk's URL", "PLANT_DESK_HOSTS");
        Self { hosts, fake_desk }
    }

    /// Returns where the notes of the service desk with this URL are posted.
    ///
    /// # Errors
    /// When the URL is malformed or its host is not allowed; returns the reason.
    pub fn check(&self, url: &str) -> Result<Target, String> {
        let allowed = self.hosts.check(url).map_err(|refused| refused.to_string())?;
        let authority = allowed.url.authority().map(Authority::as_str);
        let host = authority.unwrap_or_default().to_ascii_lowercase();
        let path = allowed.url.path().trim_end_matches('/').to_owned();
        let (base, reach) = match &self.fake_desk {
            Some(fake_desk) if allowed.host.ends_with(FAKE_SUFFIX) => {
                (fake_desk.clone(), Reach::Any)
            }
            _ => (allowed.url, allowed.reach),
        };
        Ok(Target { base, host, path, reach })
    }
}
