//! The list of hosts to which notes may be posted. A tenant chooses the URL of its service desk, so
//! nothing else is ever contacted.

use std::net::IpAddr;

use axum::http::Uri;
use axum::http::uri::Authority;

use crate::config::{HostPattern, HostRule, is_host_name};
use crate::http_client::Reach;

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
    rules: Vec<HostRule>,
    /// URL of the fake desk; `None` in access mode `required`.
    fake_desk: Option<Uri>,
}

impl AllowList {
    pub fn new(rules: Vec<HostRule>, fake_desk: Option<Uri>) -> Self {
        Self { rules, fake_desk }
    }

    /// Returns where the notes of the service desk with this URL are posted.
    ///
    /// # Errors
    /// When the URL is malformed or its host is not allowed; returns the reason.
    pub fn check(&self, url: &str) -> Result<Target, String> {
        let parsed: Uri = url.parse().map_err(|_| "the service desk's URL is malformed")?;
        let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else {
            return Err("the service desk's URL has no scheme or no host".into());
        };
        let plain_http = match scheme {
            "http" => true,
            "https" => false,
            _ => return Err("the service desk's URL must start with https://".into()),
        };
        if authority.as_str().contains('@') || parsed.query().is_some() || url.contains('#') {
            return Err("the service desk's URL has credentials, a query or a fragment".into());
        }
        let host = authority.host().to_ascii_lowercase();
        let port = port(authority)?;
        let rule = self.rules.iter().find(|rule| rule.allows(plain_http, &host, port));
        let rule = rule.ok_or_else(|| {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            format!(
                "{scheme}://{host}{port} is not in the list of allowed hosts (PLANT_DESK_HOSTS)"
            )
        })?;
        let (base, reach) = match &self.fake_desk {
            Some(fake_desk) if host.ends_with(FAKE_SUFFIX) => (fake_desk.clone(), Reach::Any),
            _ => (parsed.clone(), rule.reach()),
        };
        let host = authority.as_str().to_ascii_lowercase();
        let path = parsed.path().trim_end_matches('/').to_owned();
        Ok(Target { base, host, path, reach })
    }
}

/// Returns the port of an authority, `None` without one. A port that is not one is not an error of
/// [`Uri`].
fn port(authority: &Authority) -> Result<Option<u16>, String> {
    let after_host = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    match authority.port_u16() {
        Some(port) if port > 0 => Ok(Some(port)),
        None if after_host.is_empty() => Ok(None),
        _ => Err("the service desk's URL has an invalid port".into()),
    }
}

impl HostRule {
    fn allows(&self, plain_http: bool, host: &str, port: Option<u16>) -> bool {
        let default_port = if self.plain_http { 80 } else { 443 };
        let same_port = self.port.unwrap_or(default_port) == port.unwrap_or(default_port);
        let same_host = match &self.host {
            HostPattern::Name(name) => name == host,
            HostPattern::Suffix(suffix) => host.ends_with(suffix) && is_host_name(host),
            HostPattern::Address(address) => {
                host.trim_matches(['[', ']']).parse::<IpAddr>() == Ok(*address)
            }
        };
        self.plain_http == plain_http && same_port && same_host
    }

    /// An address that is listed is allowed, inside or not.
    fn reach(&self) -> Reach {
        let listed = self.inside || matches!(self.host, HostPattern::Address(_));
        if listed { Reach::Any } else { Reach::Public }
    }
}
