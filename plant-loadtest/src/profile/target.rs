//! The table `[target]` of a profile: the service under test, and how requests are sent to it.

use std::ops::Range;

use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;
use toml::de::DeValue;

use crate::{
    client::HttpOptions,
    json_pointer::Pointer,
    metric_names::{MetricNames, Series},
    placeholder,
    scenario::data::read_headers,
    service::{HealthCheck, Service, ServiceProcess, parse_base_url},
    toml_source::{self, Source, Table},
    trace::TraceHeader,
};

/// What a profile says of the service under test.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetOptions {
    /// Base URL, if none is given on the command line.
    pub host: Option<String>,
    /// Health check, instead of that of the service; `Some(None)`: none.
    pub health: Option<Option<HealthCheck>>,
    /// Metrics, instead of those of the service; `Some(None)`: none.
    pub metrics: Option<Option<MetricNames>>,
    /// How to find the process on this machine.
    pub process: Option<ServiceProcess>,
    /// How requests are sent.
    pub http: HttpOptions,
}

impl TargetOptions {
    /// Returns `service` with what the profile says of it.
    pub(super) fn apply_to(&self, mut service: Service) -> Service {
        if let Some(host) = &self.host {
            service.host.clone_from(host);
        }
        if let Some(health) = &self.health {
            service.health.clone_from(health);
        }
        if let Some(metrics) = &self.metrics {
            service.metrics.clone_from(metrics);
        }
        if let Some(process) = &self.process {
            service.process.clone_from(process);
        }
        service
    }
}

/// Reads the table `[target]`.
pub(super) fn read<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> TargetOptions {
    let mut options = TargetOptions::default();
    let Some(mut table) = root.table(source, "target") else { return options };
    options.host = host(source, &mut table);
    options.health = health(source, &mut table);
    options.metrics = metrics(source, &mut table);
    options.process = process(source, &mut table);
    if let Some(headers) = table.table(source, "headers") {
        options.http.headers = header_map(source, headers);
    }
    options.http.http2 = table.optional_bool(source, "http2").unwrap_or(false);
    options.http.cookies = table.optional_bool(source, "cookies").unwrap_or(true);
    options.http.traces = traces(source, &mut table);
    table.report_unknown_keys(source);
    options
}

/// Reads `traces`: the share of requests with the sampled flag, or `false`.
fn traces<'a>(source: &mut Source<'a>, table: &mut Table<'a>) -> TraceHeader {
    let Some(value) = table.take("traces") else { return TraceHeader::default() };
    let share = toml_source::number(value.get_ref());
    match (value.get_ref(), share) {
        (DeValue::Boolean(false), _) => TraceHeader::Off,
        (_, Some(share)) if (0.0..=1.0).contains(&share) => TraceHeader::Sampled(share),
        _ => {
            source.add_error(value.span(), "`traces` must be a number from 0 to 1, or false");
            TraceHeader::default()
        }
    }
}

fn host<'a>(source: &mut Source<'a>, table: &mut Table<'a>) -> Option<String> {
    let (host, at) = table.optional_string(source, "host")?;
    let host = literal(source, &host, &at)?;
    if let Err(reason) = parse_base_url(&host) {
        source.add_error(at, format!("`host` is not a valid address: {reason}"));
    }
    Some(host)
}

/// Reads `health`: a path, a table, or `false`.
fn health<'a>(source: &mut Source<'a>, table: &mut Table<'a>) -> Option<Option<HealthCheck>> {
    let value = table.take("health")?;
    let at = value.span();
    match value.get_ref() {
        DeValue::Boolean(false) => return Some(None),
        DeValue::String(path) => {
            let path = checked_path(source, path, at);
            return Some(Some(HealthCheck { path, status: Some(200), json: Vec::new() }));
        }
        _ => {}
    }
    let Some(mut table) = Table::from_value(value) else {
        source.add_error(at, "`health` must be a path, a table or false");
        return None;
    };
    let (path, path_at) = table.string(source, "path")?;
    let path = checked_path(source, &path, path_at);
    let status = table.take("status").map_or(Some(200), |value| {
        let status = toml_source::status_code(value.get_ref());
        if status.is_none() {
            source.add_error(value.span(), "`status` must be a status code (100 to 599)");
        }
        status
    });
    let json = table.table(source, "json").map(|json| expected_values(source, json));
    table.report_unknown_keys(source);
    Some(Some(HealthCheck { path, status, json: json.unwrap_or_default() }))
}

/// Reads `metrics`: a table of the names of metrics, or `false`. Metrics that it does not name have the
/// standard names.
fn metrics<'a>(source: &mut Source<'a>, table: &mut Table<'a>) -> Option<Option<MetricNames>> {
    let value = table.take("metrics")?;
    let at = value.span();
    if matches!(value.get_ref(), DeValue::Boolean(false)) {
        return Some(None);
    }
    let Some(mut table) = Table::from_value(value) else {
        source.add_error(at, "`metrics` must be a table or false");
        return None;
    };
    let mut names = MetricNames::default();
    if let Some((path, at)) = table.optional_string(source, "path") {
        names.path = checked_path(source, &path, at);
    }
    for (key, series) in [
        ("cpu_seconds", &mut names.cpu_seconds),
        ("cpus", &mut names.cpus),
        ("started_at", &mut names.started_at),
        ("memory_bytes", &mut names.memory_bytes),
        ("open_files", &mut names.open_files),
        ("pool_in_use", &mut names.pool_in_use),
        ("pool_idle", &mut names.pool_idle),
        ("pool_max", &mut names.pool_max),
        ("pool_wait_seconds", &mut names.pool_wait_seconds),
        ("database_connections", &mut names.database_connections),
        ("redis_connections", &mut names.redis_connections),
        ("requests_in_progress", &mut names.requests_in_progress),
        ("cache_hits", &mut names.cache_hits),
        ("cache_misses", &mut names.cache_misses),
        ("queue_depth", &mut names.queue_depth),
        ("logged_errors", &mut names.logged_errors),
    ] {
        if let Some((text, at)) = table.optional_string(source, key) {
            match text.parse::<Series>() {
                Ok(parsed) => *series = Some(parsed),
                Err(message) => source.add_error(at, message),
            }
        }
    }
    table.report_unknown_keys(source);
    Some(Some(names))
}

/// Reads `process`: a table with `pid` or `container`.
fn process<'a>(source: &mut Source<'a>, table: &mut Table<'a>) -> Option<ServiceProcess> {
    let mut table = table.table(source, "process")?;
    let at = table.span.clone();
    let pid = table.optional_positive_integer(source, "pid");
    let container = table.optional_string(source, "container");
    table.report_unknown_keys(source);
    match (pid, container) {
        (Some(pid), None) => Some(ServiceProcess::Pid(pid)),
        (None, Some((container, _))) => Some(ServiceProcess::Container(container)),
        _ => {
            source.add_error(at, "`process` needs either `pid` or `container`");
            None
        }
    }
}

/// Checks a path and returns it.
fn checked_path(source: &mut Source<'_>, path: &str, at: Range<usize>) -> String {
    let is_allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '#';
    if !path.starts_with('/') || !path.chars().all(is_allowed) {
        let message =
            format!("`{path}` is not a path: it must start with `/` and have no spaces and no `#`");
        source.add_error(at.clone(), message);
    }
    literal(source, path, &at).unwrap_or_default()
}

/// Returns a text of `[target]`, where no placeholder is replaced.
fn literal(source: &mut Source<'_>, text: &str, at: &Range<usize>) -> Option<String> {
    let literal = placeholder::literal(text).map_err(|name| {
        format!(
            "`{{{name}}}` is not replaced in [target], which is the same for all users: headers of a \
             user class can have placeholders; the text `{{{name}}}` is written `{{{{{name}}}}}`"
        )
    });
    literal.map_err(|message| source.add_error(at.clone(), message)).ok()
}

fn expected_values<'a>(source: &mut Source<'a>, table: Table<'a>) -> Vec<(String, Vec<Value>)> {
    let mut values = Vec::new();
    for entry in table.into_entries() {
        if let Err(message) = Pointer::parse(&entry.key) {
            source.add_error(entry.key_at, message);
            continue;
        }
        match toml_source::to_json(entry.value.get_ref()) {
            Ok(value) => values.push((entry.key, vec![value])),
            Err(message) => source.add_error(entry.value.span(), message),
        }
    }
    values
}

fn header_map<'a>(source: &mut Source<'a>, table: Table<'a>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for draft in read_headers(source, table) {
        let text = literal(source, &draft.text, &draft.at);
        // A text without braces that a header can have is still one.
        if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(draft.name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_text(text: &str) -> Result<TargetOptions, Vec<String>> {
        let mut source = Source::new("x.toml", text);
        let mut root = source.root();
        let options = read(&mut source, &mut root);
        let errors = source.into_errors();
        match errors.is_empty() {
            true => Ok(options),
            false => Err(errors.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn every_key_is_applied_to_the_service() {
        let options = read_text(
            "[target]\nhost = \"http://x.test/base\"\nhttp2 = true\ncookies = false\ntraces = 1\n\
             headers = { \"X-Version\" = \"2\" }\n\
             health = { path = \"/up\", status = 204, json = { \"/a\" = 1 } }\n\
             metrics = { path = \"/m\", cpu_seconds = \"cpu{kind=\\\"user\\\"}\" }\n\
             process = { container = \"shop\" }\n",
        )
        .unwrap();
        let service = options.apply_to(Service::default());
        assert_eq!(service.host, "http://x.test/base");
        let health = service.health.unwrap();
        assert_eq!((health.path.as_str(), health.status), ("/up", Some(204)));
        assert_eq!(health.json, [("/a".to_owned(), vec![json!(1)])]);
        let metrics = service.metrics.unwrap();
        assert_eq!(metrics.path, "/m");
        assert_eq!(metrics.cpu_seconds.unwrap().to_string(), "cpu{kind=\"user\"}");
        assert!(metrics.memory_bytes.is_some(), "the standard name stays");
        assert_eq!(service.process, ServiceProcess::Container("shop".into()));
        assert!(options.http.http2 && !options.http.cookies);
        assert_eq!(options.http.traces, TraceHeader::Sampled(1.0));
        assert_eq!(options.http.headers["x-version"], "2");
    }

    #[test]
    fn health_and_metrics_can_be_switched_off() {
        let options = read_text("[target]\nhealth = false\nmetrics = false\n").unwrap();
        let service = options.apply_to(Service::default());
        assert_eq!((service.health, service.metrics), (None, None));
        let short = read_text("[target]\nhealth = \"/health\"\n").unwrap();
        assert_eq!(short.apply_to(Service::default()).health.unwrap().status, Some(200));
        let traces = |text| read_text(text).unwrap().http.traces;
        assert_eq!(traces("[target]\ntraces = false\n"), TraceHeader::Off);
        assert_eq!(traces("[target]\n"), TraceHeader::default());
        let process = read_text("[target]\nprocess = { pid = 42 }\n").unwrap();
        assert_eq!(process.apply_to(Service::default()).process, ServiceProcess::Pid(42));
        assert_eq!(read_text("").unwrap(), TargetOptions::default());
    }

    #[test]
    fn mistakes_are_reported_with_their_lines() {
        for (line, message) in [
            ("host = \"http://\"", "`host` is not a valid address: empty host"),
            ("host = \"http://x.test/?a=1\"", "no query"),
            ("host = \"http://x.test/#a\"", "no fragment"),
            ("host = \"http://me:s3cret@x.test\"", "no user and password"),
            ("host = \"http://x.test/{user}\"", "`{user}` is not replaced in [target]"),
            ("headers = { Authorization = \"Bearer {token}\" }", "`{token}` is not replaced"),
            ("headers = { Content-Length = \"1\" }", "the HTTP client sets"),
            ("health = \"up\"", "must start with `/`"),
            ("health = \"/a b\"", "no spaces"),
            ("metrics = { path = \"/a#b\" }", "no `#`"),
            ("health = \"/up/{id}\"", "`{id}` is not replaced"),
            ("metrics = { path = \"/{id}\" }", "`{id}` is not replaced"),
            ("traces = 1.5", "`traces` must be a number from 0 to 1, or false"),
            ("traces = true", "`traces` must be a number from 0 to 1, or false"),
            ("health = { path = \"/\", status = 70000 }", "(100 to 599)"),
            ("health = { path = \"/\", status = 700 }", "(100 to 599)"),
            ("health = { path = \"/\", status = \"200\" }", "(100 to 599)"),
        ] {
            let errors = read_text(&format!("[target]\n{line}\n")).expect_err(line);
            assert_eq!(errors.len(), 1, "{errors:?}");
            let error = &errors[0];
            assert!(error.starts_with("x.toml:2: ") && error.contains(message), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        let escaped = read_text("[target]\nheaders = { a = \"{{b}} {c-d}\" }\n").unwrap();
        assert_eq!(escaped.http.headers["a"], "{b} {c-d}");
        let errors = read_text(
            "[target]\nhost = \"x.test\"\nhealth = 1\nmetrics = { cpus = \"a b\", colour = \"c\" }\n\
             process = { pid = 1, container = \"a\" }\nheaders = { \"a b\" = \"c\" }\nspeed = 1\n",
        )
        .unwrap_err();
        let starts =
            ["x.toml:2: `host`", "x.toml:3: `health`", "x.toml:4: `a b`", "x.toml:4: unknown"];
        let rest = ["x.toml:5: `process`", "x.toml:6: `a b`", "x.toml:7: unknown key `speed`"];
        for (error, start) in errors.iter().zip(starts.iter().chain(&rest)) {
            assert!(error.starts_with(start), "{start}: {error}");
        }
        assert_eq!(errors.len(), 7, "{errors:?}");
    }
}
