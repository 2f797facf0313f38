//! Lists of hosts that may be contacted. A host is compared as text, with the scheme and the port of
//! the entry: an address in another notation is none of the entries.

use std::net::IpAddr;

use axum::http::Uri;
use axum::http::uri::Authority;

use super::Reach;
use crate::config::{HostPattern, HostRule, is_host_name};

/// Hosts that may be contacted.
#[derive(Debug, Clone)]
pub struct AllowedHosts {
    rules: Vec<HostRule>,
    /// What the URLs are, in messages, such as `the service desk's URL`.
    noun: &'static str,
    /// Environment variable of the list, for messages.
    setting: &'static str,
}

/// The URL of an allowed host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedUrl {
    pub url: Uri,
    /// Name or address of the host in lower case, without its port.
    pub host: String,
    pub reach: Reach,
}

/// Reason why a URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedUrl {
    /// It is no URL, or has parts that are not supported.
    #[error("{0}")]
    Malformed(String),
    /// Its host is not in the list.
    #[error("{0}")]
    NotAllowed(String),
}

impl AllowedHosts {
    pub fn new(rules: Vec<HostRule>, noun: &'static str, setting: &'static str) -> Self {
        Self { rules, noun, setting }
    }

    /// Checks a URL.
    ///
    /// # Errors
    /// [`RefusedUrl`].
    pub fn check(&self, url: &str) -> Result<AllowedUrl, RefusedUrl> {
        let noun = self.noun;
        let malformed = |what: &str| RefusedUrl::Malformed(format!("{noun} {what}"));
        let parsed: Uri = url.parse().map_err(|_| malformed("is malformed"))?;
        let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else {
            return Err(malformed("has no scheme or no host"));
        };
        let plain_http = match scheme {
            "http" => true,
            "https" => false,
            _ => return Err(malformed("must start with https://")),
        };
        if authority.as_str().contains('@') || parsed.query().is_some() || url.contains('#') {
            return Err(malformed("has credentials, a query or a fragment"));
        }
        let host = authority.host().to_ascii_lowercase();
        let port = port(authority).ok_or_else(|| malformed("has an invalid port"))?;
        let rule = self.rules.iter().find(|rule| rule.allows(plain_http, &host, port));
        let rule = rule.ok_or_else(|| {
            let (setting, port) = (self.setting, port.map(|port| format!(":{port}")));
            let port = port.unwrap_or_default();
            RefusedUrl::NotAllowed(format!(
                "{scheme}://{host}{port} is not in the list of allowed hosts ({setting})"
            ))
        })?;
        Ok(AllowedUrl { reach: rule.reach(), host, url: parsed })
    }
}

/// Returns the port of an authority, `Some(None)` without one, `None` if it is invalid, which is not an
/// error of [`Uri`].
fn port(authority: &Authority) -> Option<Option<u16>> {
    let after_host = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    match authority.port_u16() {
        Some(port) if port > 0 => Some(Some(port)),
        None if after_host.is_empty() => Some(None),
        _ => None,
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
