//! Names of a service's metrics in the Prometheus text format.

use std::{fmt, str::FromStr};

/// Where the service exports metrics, and which of them the harness monitors. `None`: the service does
/// not export it. Counters and gauges of several series are added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricNames {
    /// Path of the metrics.
    pub path: String,
    /// CPU time of the process, in seconds.
    pub cpu_seconds: Option<Series>,
    /// CPUs that the process may use.
    pub cpus: Option<Series>,
    /// Start of the process, in seconds since 1970.
    pub started_at: Option<Series>,
    /// Resident memory, in bytes.
    pub memory_bytes: Option<Series>,
    /// Open files and sockets.
    pub open_files: Option<Series>,
    /// Connections of the database pool that are in use.
    pub pool_in_use: Option<Series>,
    /// Connections of the database pool that are idle.
    pub pool_idle: Option<Series>,
    /// Maximum size of the database pool.
    pub pool_max: Option<Series>,
    /// Total time spent waiting for a connection of the pool, in seconds.
    pub pool_wait_seconds: Option<Series>,
    /// Connections to the database, from all clients.
    pub database_connections: Option<Series>,
    /// Connections to Redis.
    pub redis_connections: Option<Series>,
    /// Requests in progress.
    pub requests_in_progress: Option<Series>,
    /// Lookups that the cache answered.
    pub cache_hits: Option<Series>,
    /// Lookups that the cache could not answer.
    pub cache_misses: Option<Series>,
    /// Waiting jobs.
    pub queue_depth: Option<Series>,
    /// Logged errors.
    pub logged_errors: Option<Series>,
}

impl Default for MetricNames {
    /// The names that Prometheus client libraries use for the process, at `/metrics`.
    fn default() -> Self {
        let series = |name: &str| Some(Series::new(name, &[]));
        Self {
            path: "/metrics".into(),
            cpu_seconds: series("process_cpu_seconds_total"),
            cpus: None,
            started_at: series("process_start_time_seconds"),
            memory_bytes: series("process_resident_memory_bytes"),
            open_files: series("process_open_fds"),
            pool_in_use: None,
            pool_idle: None,
            pool_max: None,
            pool_wait_seconds: None,
            database_connections: None,
            redis_connections: None,
            requests_in_progress: None,
            cache_hits: None,
            cache_misses: None,
            queue_depth: None,
            logged_errors: None,
        }
    }
}

/// The series of one metric that have certain labels, such as `db_connections{state="idle"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Name of the metric.
    pub name: String,
    /// Labels and their values, which are compared ignoring case.
    pub labels: Vec<(String, String)>,
}

impl Series {
    /// Returns the series of the metric `name` with these `labels`.
    #[must_use]
    pub fn new(name: &str, labels: &[(&str, &str)]) -> Self {
        let labels = labels
            .iter()
            .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
            .collect();
        Self { name: name.to_owned(), labels }
    }
}

impl FromStr for Series {
    type Err = String;

    /// Parses `name` or `name{label="value",…}`.
    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("`{text}` is not a metric such as queue_depth{{queue=\"mail\"}}");
        let (name, labels) = match text.split_once('{') {
            None => (text, ""),
            Some((name, rest)) => (name.trim_end(), rest.strip_suffix('}').ok_or_else(invalid)?),
        };
        let is_name = |name: &str| {
            let mut chars = name.chars();
            chars.next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | ':'))
                && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
        };
        let mut series = Self::new(name, &[]);
        for label in labels.split(',').filter(|label| !label.trim().is_empty()) {
            let (label, value) = label.split_once('=').ok_or_else(invalid)?;
            let value = value.trim().strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            series.labels.push((label.trim().to_owned(), value.ok_or_else(invalid)?.to_owned()));
        }
        let is_valid = is_name(name) && series.labels.iter().all(|(label, _)| is_name(label));
        if is_valid { Ok(series) } else { Err(invalid()) }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.labels.is_empty() {
            return Ok(());
        }
        let labels: Vec<String> =
            self.labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        write!(f, "{{{}}}", labels.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_parsed_as_prometheus_writes_it() {
        for text in ["queue_depth", "a:b{state=\"in_use\",pool=\"main\"}"] {
            assert_eq!(text.parse::<Series>().unwrap().to_string(), text);
        }
        assert_eq!("a {b=\"c\"}".parse::<Series>().unwrap().to_string(), "a{b=\"c\"}");
        for text in ["", "9a", "a b", "a{b}", "a{b=c}", "a{b=\"c\"", "{a=\"b\"}"] {
            assert!(text.parse::<Series>().is_err(), "{text}");
        }
    }
}
