//! Entries of the lists of hosts that the service may contact.

use std::net::IpAddr;
use std::str::FromStr;

/// An entry of the list of allowed hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule {
    /// Whether the entry is for `http://` instead of `https://`.
    pub plain_http: bool,
    pub host: HostPattern,
    /// `None`: that of the scheme.
    pub port: Option<u16>,
    /// Whether the name may resolve to addresses that are not public.
    pub inside: bool,
}

/// Hosts that an entry allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This name in lower case.
    Name(String),
    /// All names that end with this suffix, which begins with a dot.
    Suffix(String),
    Address(IpAddr),
}

/// Parses a comma-separated list of hosts; `name` is the setting in the problems.
pub(super) fn parse_rules(name: &str, list: &str, problems: &mut Vec<String>) -> Vec<HostRule> {
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let mut hosts = Vec::new();
    for entry in entries {
        match entry.parse() {
            Ok(rule) => hosts.push(rule),
            Err(problem) => problems.push(format!("{name}: `{entry}` {problem}")),
        }
    }
    hosts
}

impl FromStr for HostRule {
    type Err = &'static str;

    /// Parses `[http://|https://]host[:port][+inside]`.
    fn from_str(entry: &str) -> Result<Self, Self::Err> {
        parse_rule(entry)
            .ok_or("is not a host such as desk.example.com, *.example.com or http://10.0.0.5:8080")
    }
}

fn parse_rule(entry: &str) -> Option<HostRule> {
    let (plain_http, rest) = match entry.strip_prefix("http://") {
        Some(rest) => (true, rest),
        None => (false, entry.strip_prefix("https://").unwrap_or(entry)),
    };
    let (rest, inside) = match rest.strip_suffix("+inside") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let (host, port) = split_port(rest)?;
    let host = host.to_ascii_lowercase();
    let host = if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        HostPattern::Address(address)
    } else if let Some(suffix) = host.strip_prefix('*') {
        is_host_name(suffix.strip_prefix('.')?).then(|| HostPattern::Suffix(suffix.to_owned()))?
    } else {
        is_host_name(&host).then_some(HostPattern::Name(host))?
    };
    Some(HostRule { plain_http, host, port, inside })
}

/// Splits `host:port` or `[IPv6]:port`; the port is optional.
pub(super) fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let host_end = text.rfind(']').map_or(0, |bracket| bracket + 1);
    match text[host_end..].find(':') {
        None => Some((text, None)),
        Some(colon) => {
            let (host, port) = text.split_at(host_end + colon);
            let port = port[1..].parse().ok().filter(|port| *port > 0)?;
            Some((host, Some(port)))
        }
    }
}

/// Returns whether `name` is a name in lower case by which no address can be written: not a number in
/// its last label, and no empty label.
pub fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let is_inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(b);
        !bytes.is_empty() && bytes.len() <= 63 && bytes.iter().all(is_inner)
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let starts_with_letter = last.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    name.len() <= 253 && name.split('.').all(is_label) && starts_with_letter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(host: &str) -> HostRule {
        let host = HostPattern::Name(host.into());
        HostRule { plain_http: false, host, port: None, inside: false }
    }

    #[test]
    fn entries_name_hosts_schemes_ports_and_inside_addresses() {
        let desk = name("desk.example.com");
        let address = |text: &str| HostPattern::Address(text.parse().unwrap());
        for (entry, expected) in [
            ("desk.example.com", desk.clone()),
            ("https://DESK.example.com", desk.clone()),
            ("desk.example.com:8443", HostRule { port: Some(8443), ..desk.clone() }),
            (
                "http://desk.example.com:8080+inside",
                HostRule { plain_http: true, port: Some(8080), inside: true, ..desk.clone() },
            ),
            (
                "*.example.com",
                HostRule { host: HostPattern::Suffix(".example.com".into()), ..desk.clone() },
            ),
            ("10.0.0.5", HostRule { host: address("10.0.0.5"), ..desk.clone() }),
            ("[::1]:9", HostRule { host: address("::1"), port: Some(9), ..desk }),
        ] {
            assert_eq!(parse_rule(entry), Some(expected), "{entry}");
        }
    }

    #[test]
    fn other_entries_are_refused() {
        for entry in [
            "*",
            "*.",
            "*com",
            "a..b",
            "desk.example.com.",
            "desk:0",
            "desk:x",
            "ftp://desk",
            "desk/path",
            "user@desk",
            "127.1",
            "0x7f000001",
            "2130706433",
            "desk.example.com:",
            "http://",
            "dësk",
        ] {
            assert_eq!(parse_rule(entry), None, "{entry}");
        }
    }
}
