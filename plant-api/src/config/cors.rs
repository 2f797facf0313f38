//! The origins whose pages may call the API (`PLANT_CORS_ORIGINS`).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Environment;
use super::hosts::{is_host_name, split_port};

/// Origins whose pages may read responses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Only that of the service itself, which needs no permission.
    #[default]
    None,
    /// Those of this machine: `localhost`, `127.0.0.1` and `[::1]`, with any port.
    Loopback,
    All,
    /// These, as browsers send them.
    List(Vec<String>),
}

impl CorsOrigins {
    /// Returns whether pages of `origin`, the value of the header `Origin`, may read responses.
    pub fn allow(&self, origin: &[u8]) -> bool {
        match self {
            Self::None => false,
            Self::Loopback => std::str::from_utf8(origin).is_ok_and(is_loopback),
            Self::All => true,
            Self::List(origins) => origins.iter().any(|allowed| allowed.as_bytes() == origin),
        }
    }
}

/// Parses `text`: `*`, `none`, a list of origins, or empty for the default of the environment.
pub(super) fn parse(
    text: &str,
    environment: Environment,
    problems: &mut Vec<String>,
) -> CorsOrigins {
    match (text.trim(), environment) {
        ("", Environment::Development) => return CorsOrigins::Loopback,
        ("", Environment::Production) | ("none", _) => return CorsOrigins::None,
        ("*", _) => return CorsOrigins::All,
        _ => {}
    }
    let mut origins = Vec::new();
    for entry in text.split(',').map(str::trim) {
        match parse_origin(entry) {
            Some(origin) => origins.push(origin),
            None => problems.push(format!(
                "PLANT_CORS_ORIGINS: `{entry}` is not an origin such as https://app.example.com"
            )),
        }
    }
    CorsOrigins::List(origins)
}

/// Returns the origin as browsers send it: in lower case, without the default port of its scheme.
fn parse_origin(entry: &str) -> Option<String> {
    let entry = entry.to_ascii_lowercase();
    let (scheme, host, port) = split_origin(&entry)?;
    let default_port = if scheme == "http" { 80 } else { 443 };
    Some(match port {
        Some(port) if port != default_port => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

fn is_loopback(origin: &str) -> bool {
    split_origin(origin)
        .is_some_and(|(_, host, _)| ["localhost", "127.0.0.1", "[::1]"].contains(&host))
}

/// Splits `scheme://host[:port]`, in lower case.
fn split_origin(origin: &str) -> Option<(&str, &str, Option<u16>)> {
    let (scheme @ ("http" | "https"), rest) = origin.split_once("://")? else { return None };
    let (host, port) = split_port(rest)?;
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_host_name(host) || host.parse::<Ipv4Addr>().is_ok(),
    };
    is_host.then_some((scheme, host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, environment: Environment) -> Result<CorsOrigins, Vec<String>> {
        let mut problems = Vec::new();
        let origins = parse(text, environment, &mut problems);
        if problems.is_empty() { Ok(origins) } else { Err(problems) }
    }

    #[test]
    fn only_development_has_origins_by_default() {
        let development = parsed("", Environment::Development).unwrap();
        for allowed in [
            "http://localhost:5173",
            "https://localhost",
            "http://127.0.0.1:80",
            "http://[::1]:3000",
        ] {
            assert!(development.allow(allowed.as_bytes()), "{allowed}");
        }
        for refused in [
            "http://localhost.example.com",
            "http://127.0.0.2",
            "null",
            "file://",
            "http://localhost:x",
            "http://localhost/",
            "ftp://localhost",
            "localhost",
            "",
        ] {
            assert!(!development.allow(refused.as_bytes()), "{refused}");
        }
        let production = parsed("", Environment::Production).unwrap();
        assert_eq!(production, CorsOrigins::None);
        assert!(!production.allow(b"http://localhost"));
    }

    #[test]
    fn origins_are_listed_as_browsers_send_them() {
        let text = " https://App.example.com:443, http://10.0.0.5:8080,http://[::1] ";
        let list = parsed(text, Environment::Production).unwrap();
        for allowed in ["https://app.example.com", "http://10.0.0.5:8080", "http://[::1]"] {
            assert!(list.allow(allowed.as_bytes()), "{allowed}");
        }
        for refused in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.",
            "http://localhost",
        ] {
            assert!(!list.allow(refused.as_bytes()), "{refused}");
        }
    }

    #[test]
    fn all_and_no_origins_can_be_set() {
        for environment in [Environment::Development, Environment::Production] {
            assert_eq!(parsed("*", environment), Ok(CorsOrigins::All));
            assert_eq!(parsed("none", environment), Ok(CorsOrigins::None));
        }
    }

    #[test]
    fn invalid_origins_are_named() {
        for invalid in [
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://user@app.example.com",
            "https://*.example.com",
            "https://",
            "https://app.example.com:0",
            "null",
            "*,https://app.example.com",
            "https://app.example.com,",
        ] {
            let problems = parsed(invalid, Environment::Production).unwrap_err();
            assert!(problems[0].starts_with("PLANT_CORS_ORIGINS: `"), "{problems:?}");
        }
    }
}
