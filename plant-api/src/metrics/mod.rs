//! Prometheus metrics of the service.
//!
//! To bound the number of series, `path` labels are route templates, never raw paths, and no label
//! contains the id of a user or an entity. The size of a scrape is limited: see [`RequestMetrics`].

mod process;
mod requests;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use process::ProcessMetrics;
pub use requests::RequestMetrics;

/// Upper bounds of the histogram buckets, in seconds.
const DURATION_BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds of the buckets of enhancements, in seconds.
const ENHANCEMENT_BUCKETS: [f64; 14] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0];

/// Name of the gauge of running jobs, from the source documents. The ending `_count` is that of histograms,
/// which `promtool check metrics` refuses for gauges, so the metric has no type.
const JOBS_RUNNING: &str = "worker_active_count";
const JOBS_RUNNING_HELP: &str = "Running jobs of all processes.";

/// Metrics of the service and their registry. Clones share the state.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// HTTP responses and their durations.
    pub requests: RequestMetrics,
    pub requests_in_progress: IntGauge,
    /// Connections of the database pool by state.
    pub db_connections: IntGaugeVec,
    pub db_pool_max: IntGauge,
    /// Wait for a connection of the database pool, in seconds.
    pub db_pool_wait: Histogram,
    /// Connections of the pool of the Redis heartbeat by state. The shared connection for commands is
    /// not part of a pool and not counted.
    pub redis_connections: IntGaugeVec,
    /// Cache reads by topic and result.
    pub cache_requests: IntCounterVec,
    pub goals_created: IntCounter,
    /// Requests to the payment webhook, by what became of the event.
    pub payment_events: IntCounterVec,
    /// Requests to the webhook of service desks, by what became of the ticket.
    pub enhancement_requests: IntCounterVec,
    /// Time from the acceptance of a ticket to its completion, in seconds.
    pub enhancement_duration: Histogram,
    /// Circuits that are open, by what is called.
    pub circuits_open: IntGaugeVec,
    /// Jobs ready to be claimed, by queue.
    pub queue_depth: IntGaugeVec,
    /// Job attempts finished by this process, by kind and outcome.
    pub jobs: IntCounterVec,
    /// Running jobs of all processes, `worker_active_count`.
    pub jobs_running: IntGauge,
    /// Version of the tunables that this process applies.
    pub tunables_version: IntGauge,
    /// Log events by level.
    pub log_events: IntCounterVec,
    pub pg_backends: IntGauge,
    /// `max_connections` of the database server.
    pub pg_max_connections: IntGauge,
    process: ProcessMetrics,
}

impl Metrics {
    /// Creates and registers all metrics.
    ///
    /// # Errors
    /// Returns an error if two metrics have the same name, which is a bug.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let r = &registry;
        let metrics = Self {
            requests: RequestMetrics::new(r)?,
            requests_in_progress: gauge(
                r,
                "http_requests_in_progress",
                "HTTP requests in progress.",
            )?,
            db_connections: gauges(
                r,
                "db_pool_connections",
                "Connections of the database pool by state.",
                &["state"],
            )?,
            db_pool_max: gauge(r, "db_pool_max", "Maximum size of the database pool.")?,
            db_pool_wait: register(
                r,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "db_pool_wait_seconds",
                        "Wait for a connection of the database pool in seconds.",
                    )
                    .buckets(DURATION_BUCKETS.to_vec()),
                )?,
            )?,
            redis_connections: gauges(
                r,
                "redis_pool_connections",
                "Connections of the pool of the Redis heartbeat by state.",
                &["state"],
            )?,
            cache_requests: counters(
                r,
                "cache_requests_total",
                "Cache reads by topic and result.",
                &["cache", "result"],
            )?,
            goals_created: register(r, IntCounter::new("goals_created_total", "Goals created.")?)?,
            payment_events: counters(
                r,
                "payment_events_total",
                "Requests to the payment webhook, by what became of the event.",
                &["outcome"],
            )?,
            enhancement_requests: counters_from_zero(
                r,
                "enhancement_requests_total",
                "Requests to the webhook of service desks, by what became of the ticket.",
                "status",
                &[
                    "accepted",
                    "duplicate",
                    "unauthenticated",
                    "inactive",
                    "unknown_tenant",
                    "invalid",
                    "error",
                ],
            )?,
            enhancement_duration: register(
                r,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "enhancement_duration_seconds",
                        "Time from the acceptance of a ticket to its completion in seconds.",
                    )
                    .buckets(ENHANCEMENT_BUCKETS.to_vec()),
                )?,
            )?,
            circuits_open: gauges(
                r,
                "circuits_open",
                "Hosts that are not called because they have failed repeatedly, by what they are.",
                &["target"],
            )?,
            queue_depth: gauges(
                r,
                "queue_depth",
                "Jobs ready to be claimed, by queue.",
                &["queue_name"],
            )?,
            jobs: counters(
                r,
                "jobs_total",
                "Job attempts finished by this process, by kind and outcome.",
                &["kind", "outcome"],
            )?,
            jobs_running: IntGauge::new(JOBS_RUNNING, JOBS_RUNNING_HELP)?,
            tunables_version: gauge(
                r,
                "tunables_version",
                "Version of the tunables that this process applies.",
            )?,
            log_events: counters(r, "log_events_total", "Log events by level.", &["level"])?,
            pg_backends: gauge(
                r,
                "pg_stat_database_numbackends",
                "Backends connected to this database.",
            )?,
            pg_max_connections: gauge(
                r,
                "max_connections",
                "max_connections of the database server.",
            )?,
            process: ProcessMetrics::new(r)?,
            registry,
        };
        for level in ["error", "warn", "info", "debug", "trace"] {
            metrics.log_events.with_label_values(&[level]);
        }
        let build_info = gauges(
            &metrics.registry,
            "build_info",
            "Version and commit of the build; the value is always 1.",
            &["version", "commit"],
        )?;
        build_info.with_label_values(&[VERSION, COMMIT]).set(1);
        Ok(metrics)
    }

    /// Updates the process metrics and returns all metrics in Prometheus text format.
    ///
    /// # Errors
    /// Returns an error if the metrics cannot be encoded.
    pub fn encode(&self) -> prometheus::Result<String> {
        // Without procfs these series stay at zero; the scrape must not fail.
        let _ = self.process.update();
        let mut text = String::with_capacity(64 * 1024);
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text)?;
        write_untyped(&mut text, JOBS_RUNNING, JOBS_RUNNING_HELP, self.jobs_running.get());
        Ok(text)
    }
}

/// Appends a metric without a type.
fn write_untyped(text: &mut String, name: &str, help: &str, value: i64) {
    // Writing to a string cannot fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} untyped\n{name} {value}\n");
}

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Git commit of this build, from `PLANT_COMMIT` at build time, or `unknown`.
pub const COMMIT: &str = match option_env!("PLANT_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Converts a count to a gauge value; values above `i64::MAX` become `i64::MAX`.
pub fn gauge_value(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, c: C) -> prometheus::Result<C> {
    registry.register(Box::new(c.clone()))?;
    Ok(c)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    register(registry, IntGauge::new(name, help)?)
}

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntGaugeVec> {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

/// Registers counters by one label. Those of these values are there before the first event, so that a
/// rate over the first one is not missing.
fn counters_from_zero(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    values: &[&str],
) -> prometheus::Result<IntCounterVec> {
    let counters = counters(registry, name, help, &[label])?;
    for value in values {
        counters.with_label_values(&[*value]);
    }
    Ok(counters)
}

impl From<prometheus::Error> for crate::error::Error {
    fn from(source: prometheus::Error) -> Self {
        Self::Internal(Box::new(source))
    }
}
