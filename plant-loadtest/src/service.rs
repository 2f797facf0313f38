//! What the harness must know of the service under test: its address, health check, metrics and process.

use std::net::IpAddr;

use reqwest::{StatusCode, Url};
use serde_json::Value;

use crate::metric_names::MetricNames;

/// A service under test.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Base URL if none is given on the command line.
    pub host: String,
    /// Health check; `None`: the health is not checked.
    pub health: Option<HealthCheck>,
    /// Metrics; `None`: the service exports none.
    pub metrics: Option<MetricNames>,
    /// The process whose resource usage is monitored, if it runs on this machine and its metrics do not
    /// contain it.
    pub process: ServiceProcess,
    /// What to do if the service is not healthy, as the end of a message.
    pub start_hint: String,
}

/// How to find the process of a service on this machine. Its child processes count with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServiceProcess {
    /// The one that listens on the port of the base URL, if that is a loopback address.
    #[default]
    Listening,
    /// The one with this process id.
    Pid(u32),
    /// The main process of the Docker container with this name or id.
    Container(String),
}

/// Returns whether the host name or IP address `name`, in a URL with brackets, is that of this machine,
/// without resolving it.
#[must_use]
pub fn is_loopback_name(name: &str) -> bool {
    let address = name.trim_matches(['[', ']']).parse();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Parses the base URL of a service: scheme, host, port and a path, to which the paths of requests are
/// appended. The message does not contain the URL, which may have a password.
///
/// # Errors
/// Returns why it is invalid.
pub fn parse_base_url(text: &str) -> Result<Url, String> {
    let url = parse_url(text)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must have no user and password, which reports would show; set the header \
                    `Authorization` instead"
            .into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(
            "it must have no query (`?`) and no fragment (`#`), because the paths of requests are \
                    appended to it"
                .into(),
        );
    }
    Ok(url)
}

/// Parses a URL over HTTP.
///
/// # Errors
/// Returns why it is invalid.
pub fn parse_url(text: &str) -> Result<Url, String> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err("it must start with http:// or https://".into());
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("it must have no spaces".into());
    }
    Url::parse(text).map_err(|error| error.to_string())
}

/// Returns a URL for a message, without user and password.
#[must_use]
pub fn without_credentials(text: &str) -> String {
    let Ok(mut url) = parse_url(text) else {
        // It is not known where a password ends.
        return text.rsplit('@').next().unwrap_or_default().to_owned();
    };
    if url.username().is_empty() && url.password().is_none() {
        return text.to_owned();
    }
    // They fail only for a URL without host, which has neither.
    let _ = url.set_username("").and(url.set_password(None));
    url.into()
}

/// A request whose response shows whether the service is healthy.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// Path of the request.
    pub path: String,
    /// Expected status; `None`: any.
    pub status: Option<u16>,
    /// JSON pointers into the body, each with the values that are allowed there.
    pub json: Vec<(String, Vec<Value>)>,
}

impl Default for Service {
    /// A service on port 8080 of this machine whose health check is that it responds to `GET /`.
    fn default() -> Self {
        Self {
            host: "http://127.0.0.1:8080".into(),
            health: Some(HealthCheck { path: "/".into(), status: None, json: Vec::new() }),
            metrics: Some(MetricNames::default()),
            process: ServiceProcess::default(),
            start_hint: "Start the service or set its address (--host)".into(),
        }
    }
}

impl HealthCheck {
    /// Checks a response.
    ///
    /// # Errors
    /// Returns a message that says what is wrong.
    pub fn check(&self, status: StatusCode, body: &[u8]) -> Result<(), String> {
        let path = &self.path;
        if self.status.is_some_and(|expected| expected != status.as_u16()) {
            return Err(format!("GET {path}: status {}", status.as_u16()));
        }
        if self.json.is_empty() {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(body)
            .map_err(|_| format!("GET {path}: the response is not JSON"))?;
        for (pointer, allowed) in &self.json {
            match body.pointer(pointer) {
                Some(value) if allowed.contains(value) => {}
                Some(value) => return Err(format!("GET {path}: `{pointer}` is {value}")),
                None => return Err(format!("GET {path}: the response has no `{pointer}`")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_base_url_is_what_paths_can_be_appended_to() {
        for valid in ["http://127.0.0.1:8080", "https://x.test/base/", "http://[::1]:80/@a"] {
            assert!(parse_base_url(valid).is_ok(), "{valid}");
        }
        for (invalid, reason) in [
            ("http://x.test/?x=1", "no query"),
            ("http://x.test?", "no query"),
            ("http://x.test/#", "no fragment"),
            ("http://user:s3cret@x.test", "no user and password"),
            ("http://user@x.test", "no user and password"),
            ("http://:s3cret@x.test", "no user and password"),
            ("http://", "empty host"),
            ("http://x.test:99999", "port"),
            ("http://x.test ", "no spaces"),
            ("x.test", "must start with"),
            ("ftp://x.test", "must start with"),
            ("HTTP://x.test", "must start with"),
        ] {
            let error = parse_base_url(invalid).unwrap_err();
            assert!(error.contains(reason) && !error.contains("s3cret"), "{invalid}: {error}");
        }
    }

    #[test]
    fn a_message_has_no_password() {
        for (text, shown) in [
            ("http://user:s3cret@x.test/a", "http://x.test/a"),
            ("http://user:s3/cr@et@x.test", "x.test"),
            ("http://x.test/@a", "http://x.test/@a"),
            ("user:s3cret@x.test", "x.test"),
            ("x.test", "x.test"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }

    #[test]
    fn a_health_check_compares_status_and_values() {
        let check = HealthCheck {
            path: "/health".into(),
            status: Some(200),
            json: vec![("/status".into(), vec![json!("healthy"), json!("degraded")])],
        };
        let result = |status, body: &[u8]| check.check(status, body);
        assert_eq!(result(StatusCode::OK, br#"{"status":"degraded"}"#), Ok(()));
        for (status, body, error) in [
            (StatusCode::SERVICE_UNAVAILABLE, "{}", "GET /health: status 503"),
            (StatusCode::OK, "ok", "GET /health: the response is not JSON"),
            (StatusCode::OK, "{}", "GET /health: the response has no `/status`"),
            (StatusCode::OK, r#"{"status":"down"}"#, "GET /health: `/status` is \"down\""),
        ] {
            assert_eq!(result(status, body.as_bytes()), Err(error.to_owned()));
        }
        let any = HealthCheck { path: "/".into(), status: None, json: Vec::new() };
        assert_eq!(any.check(StatusCode::NOT_FOUND, b""), Ok(()));
    }
}
