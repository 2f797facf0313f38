//! Prometheus metrics of the service.
//!
//! To bound the number of series, `path` labels are route templates, never raw paths, and no label
//! contains the id of a user or an entity.

use std::thread::available_parallelism;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Upper bounds of the histogram buckets, in seconds.
const DURATION_BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds of the buckets of enhancements, in seconds.
const ENHANCEMENT_BUCKETS: [f64; 14] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0];

/// Metrics of the service and their registry. Clones share the state.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// HTTP responses by method, route template and status.
    pub requests: IntCounterVec,
    /// Request duration in seconds, from request headers read to response ready, by method and
    /// route template.
    pub request_duration: HistogramVec,
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
    /// Running jobs of all processes.
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

/// Metrics of this process, read from procfs.
#[derive(Clone)]
struct ProcessMetrics {
    cpu_seconds: Gauge,
    available_cpus: IntGauge,
    resident_bytes: IntGauge,
    open_fds: IntGauge,
    start_time: Gauge,
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
            requests: counters(
                r,
                "http_requests_total",
                "HTTP responses by method, route template and status.",
                &["method", "path", "status"],
            )?,
            request_duration: register(
                r,
                HistogramVec::new(
                    HistogramOpts::new(
                        "http_request_duration_seconds",
                        "Duration of HTTP requests in seconds, by method and route template.",
                    )
                    .buckets(DURATION_BUCKETS.to_vec()),
                    &["method", "path"],
                )?,
            )?,
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
            enhancement_requests: counters(
                r,
                "enhancement_requests_total",
                "Requests to the webhook of service desks, by what became of the ticket.",
                &["status"],
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
            jobs_running: gauge(r, "worker_active_count", "Running jobs of all processes.")?,
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
            process: ProcessMetrics {
                cpu_seconds: register(
                    r,
                    Gauge::new(
                        "process_cpu_seconds_total",
                        "User and system CPU time in seconds.",
                    )?,
                )?,
                available_cpus: gauge(
                    r,
                    "process_available_cpus",
                    "CPUs that the process may use, by affinity and control group.",
                )?,
                resident_bytes: gauge(
                    r,
                    "process_resident_memory_bytes",
                    "Resident memory in bytes.",
                )?,
                open_fds: gauge(r, "process_open_fds", "Open file descriptors.")?,
                start_time: register(
                    r,
                    Gauge::new(
                        "process_start_time_seconds",
                        "Start time of the process in seconds since the Unix epoch.",
                    )?,
                )?,
            },
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
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|e| prometheus::Error::Msg(e.to_string()))
    }
}

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Git commit of this build, from `PLANT_COMMIT` at build time, or `unknown`.
pub const COMMIT: &str = match option_env!("PLANT_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

impl ProcessMetrics {
    fn update(&self) -> Result<(), procfs::ProcError> {
        let process = procfs::process::Process::myself()?;
        let stat = process.stat()?;
        let ticks = (stat.utime + stat.stime) as f64;
        self.cpu_seconds.set(ticks / procfs::ticks_per_second() as f64);
        let cpus = available_parallelism().map_or(0, |cpus| cpus.get() as u64);
        self.available_cpus.set(gauge_value(cpus));
        self.resident_bytes.set(gauge_value(stat.rss * procfs::page_size()));
        self.open_fds.set(gauge_value(process.fd_count()? as u64));
        let started = procfs::boot_time_secs()? as f64
            + stat.starttime as f64 / procfs::ticks_per_second() as f64;
        self.start_time.set(started);
        Ok(())
    }
}

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

impl From<prometheus::Error> for crate::error::Error {
    fn from(source: prometheus::Error) -> Self {
        Self::Internal(Box::new(source))
    }
}
