//! Every figure the service tells about itself, in one registry of its own.
//!
//! `path` labels are route templates, never raw paths; no user's or entity's id is a label.

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Upper bounds in seconds of the request duration buckets.
const DURATIONS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The service's metrics. Clones share everything.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// Answers by method, route template and status.
    pub requests: IntCounterVec,
    /// Seconds from headers read to answer ready, by method and route template.
    pub durations: HistogramVec,
    /// Requests being served.
    pub in_progress: IntGauge,
    /// Database connections by state.
    pub db_connections: IntGaugeVec,
    /// Most database connections of this process.
    pub db_max: IntGauge,
    /// Seconds that checkouts of a database connection waited.
    pub db_waits: Histogram,
    /// Redis connections by state.
    pub redis_connections: IntGaugeVec,
    /// Cached reads by cache and result.
    pub cache_requests: IntCounterVec,
    /// Goals created.
    pub goals_created: IntCounter,
    /// Jobs that a worker could claim, by the list that shows them.
    pub queue_depth: IntGaugeVec,
    /// Attempts of jobs that this process has ended, by kind and outcome.
    pub jobs: IntCounterVec,
    /// Jobs being run, by whichever process.
    pub workers_active: IntGauge,
    /// Lines logged, by level.
    pub log_events: IntCounterVec,
    /// Backends of the database server on this database.
    pub pg_backends: IntGauge,
    /// Connections that the database server allows.
    pub pg_max_connections: IntGauge,
    process: ProcessMetrics,
}

/// What the operating system says about this process.
#[derive(Clone)]
struct ProcessMetrics {
    cpu_seconds: Gauge,
    resident_bytes: IntGauge,
    open_fds: IntGauge,
    start_time: Gauge,
}

impl Metrics {
    /// All metrics, registered, at zero.
    ///
    /// # Errors
    /// When two metrics share a name, which is a bug.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let r = &registry;
        let metrics = Self {
            requests: counters(
                r,
                "http_requests_total",
                "Answers by method, route and status.",
                &["method", "path", "status"],
            )?,
            durations: register(
                r,
                HistogramVec::new(
                    HistogramOpts::new(
                        "http_request_duration_seconds",
                        "Seconds a request took, by method and route.",
                    )
                    .buckets(DURATIONS.to_vec()),
                    &["method", "path"],
                )?,
            )?,
            in_progress: gauge(r, "http_requests_in_progress", "Requests being served.")?,
            db_connections: gauges(
                r,
                "db_pool_connections",
                "Database connections by state.",
                &["state"],
            )?,
            db_max: gauge(r, "db_pool_max", "Most database connections of this process.")?,
            db_waits: register(
                r,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "db_pool_wait_seconds",
                        "Seconds that a checkout of a database connection waited.",
                    )
                    .buckets(DURATIONS.to_vec()),
                )?,
            )?,
            redis_connections: gauges(
                r,
                "redis_pool_connections",
                "Redis connections by state.",
                &["state"],
            )?,
            cache_requests: counters(
                r,
                "cache_requests_total",
                "Cached reads by cache and result.",
                &["cache", "result"],
            )?,
            goals_created: register(r, IntCounter::new("goals_created_total", "Goals created.")?)?,
            queue_depth: gauges(
                r,
                "queue_depth",
                "Jobs that a worker could claim, by queue.",
                &["queue_name"],
            )?,
            jobs: counters(
                r,
                "jobs_total",
                "Attempts of jobs that this process has ended, by kind and outcome.",
                &["kind", "outcome"],
            )?,
            workers_active: gauge(
                r,
                "worker_active_count",
                "Jobs being run, by all processes together.",
            )?,
            log_events: counters(r, "log_events_total", "Lines logged, by level.", &["level"])?,
            pg_backends: gauge(
                r,
                "pg_stat_database_numbackends",
                "Backends of the database server on this database.",
            )?,
            pg_max_connections: gauge(
                r,
                "max_connections",
                "Connections that the database server allows.",
            )?,
            process: ProcessMetrics {
                cpu_seconds: register(
                    r,
                    Gauge::new("process_cpu_seconds_total", "CPU time used, in seconds.")?,
                )?,
                resident_bytes: gauge(
                    r,
                    "process_resident_memory_bytes",
                    "Resident memory in bytes.",
                )?,
                open_fds: gauge(r, "process_open_fds", "Open file descriptors.")?,
                start_time: register(
                    r,
                    Gauge::new("process_start_time_seconds", "Start, in Unix seconds.")?,
                )?,
            },
            registry,
        };
        for level in ["error", "warn", "info", "debug", "trace"] {
            metrics.log_events.with_label_values(&[level]);
        }
        let build =
            gauges(&metrics.registry, "build_info", "Which build.", &["version", "commit"])?;
        build.with_label_values(&[VERSION, COMMIT]).set(1);
        Ok(metrics)
    }

    /// The Prometheus text of everything, the process's own figures read now.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn text(&self) -> prometheus::Result<String> {
        // Where there is no procfs the series stay at zero rather than fail the scrape.
        let _ = self.process.read();
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|e| prometheus::Error::Msg(e.to_string()))
    }
}

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit of this build; the build scripts set it.
pub const COMMIT: &str = match option_env!("PLANT_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

impl ProcessMetrics {
    fn read(&self) -> Result<(), procfs::ProcError> {
        let this = procfs::process::Process::myself()?;
        let stat = this.stat()?;
        let ticks = (stat.utime + stat.stime) as f64;
        self.cpu_seconds.set(ticks / procfs::ticks_per_second() as f64);
        self.resident_bytes.set(clamp(stat.rss * procfs::page_size()));
        self.open_fds.set(clamp(this.fd_count()? as u64));
        let started = procfs::boot_time_secs()? as f64
            + stat.starttime as f64 / procfs::ticks_per_second() as f64;
        self.start_time.set(started);
        Ok(())
    }
}

/// A gauge's value from a count.
pub fn clamp(value: u64) -> i64 {
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
