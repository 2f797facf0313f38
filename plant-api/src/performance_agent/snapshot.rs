//! A snapshot: the metrics of a target in a short interval. What the target does not report, or what
//! has no data in the interval, is null.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::database::DatabaseMetrics;

/// Name of this service as a target.
pub const OWN_TARGET: &str = "self";

/// Metrics of a target at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PerformanceSnapshot)]
pub struct Snapshot {
    /// Id of the snapshot, for `POST /api/v1/analysis`.
    pub id: Uuid,
    /// `self`, or the URL of a Prometheus endpoint.
    #[schema(example = "self")]
    pub target: String,
    /// Name of the rule set, which names the metrics of the target.
    #[schema(example = "plant")]
    pub rules: String,
    /// Time of the second reading.
    pub collected_at: DateTime<Utc>,
    /// Seconds between the two readings; rates and quantiles are of this time.
    #[schema(example = 1.002)]
    pub interval_seconds: f64,
    /// Requests per second.
    #[schema(example = 412.5)]
    pub request_rate: Option<f64>,
    /// Share of requests that were answered with a 5xx status; null without requests.
    #[schema(example = 0.0)]
    pub error_rate: Option<f64>,
    /// Routes with requests in the interval, the busiest first.
    pub routes: Vec<RouteMetrics>,
    /// Metrics of the process that was read.
    pub process: ProcessMetrics,
    /// Connection pool of the database.
    pub pool: PoolMetrics,
    /// Response cache.
    pub cache: CacheMetrics,
    /// Queues with the jobs that wait.
    pub queues: Vec<QueueMetrics>,
    /// Jobs that ran at the end of the interval.
    #[schema(example = 4.0)]
    pub jobs_running: Option<f64>,
    /// Metrics that the rule file defines.
    pub custom: BTreeMap<String, f64>,
    /// Metrics of PostgreSQL; null for other targets than `self`, and if it is unavailable.
    pub database: Option<DatabaseMetrics>,
    /// What was not collected, and why.
    pub notes: Vec<String>,
}

impl Snapshot {
    /// Returns whether it is of this service.
    pub fn is_of_own_service(&self) -> bool {
        self.target == OWN_TARGET
    }
}

/// Metrics of a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RouteMetrics {
    /// Method and route template.
    #[schema(example = "GET /api/v1/agents")]
    pub route: String,
    /// Requests in the interval.
    #[schema(example = 120)]
    pub requests: u64,
    /// Requests in the interval that were answered with a 5xx status.
    #[schema(example = 0)]
    pub errors: u64,
    /// Durations in the interval, from the buckets of a histogram.
    #[serde(flatten)]
    pub latency: Quantiles,
}

/// Quantiles of durations in milliseconds; null without data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Quantiles {
    #[schema(example = 1.8)]
    pub p50_ms: Option<f64>,
    #[schema(example = 4.6)]
    pub p95_ms: Option<f64>,
    #[schema(example = 9.2)]
    pub p99_ms: Option<f64>,
}

/// Metrics of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SnapshotProcess)]
pub struct ProcessMetrics {
    /// CPU time per second.
    #[schema(example = 0.42)]
    pub cpu_seconds_per_second: Option<f64>,
    /// CPUs that the process may use.
    #[schema(example = 2.0)]
    pub available_cpus: Option<f64>,
    /// Resident memory in bytes.
    #[schema(example = 68_157_440.0)]
    pub memory_bytes: Option<f64>,
    /// Start of the process in seconds since the Unix epoch.
    #[schema(example = 1_768_000_000.0)]
    pub start_time: Option<f64>,
    /// Id of the process; null for other targets than `self`.
    pub id: Option<Uuid>,
}

/// Metrics of the connection pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SnapshotPool)]
pub struct PoolMetrics {
    /// Connections in use: the smaller number of the two readings.
    #[schema(example = 3.0)]
    pub in_use: Option<f64>,
    /// Maximum size of the pool.
    #[schema(example = 14.0)]
    pub max: Option<f64>,
    /// Connections that were acquired in the interval.
    #[schema(example = 230)]
    pub acquired: u64,
    /// Waits for a connection in the interval.
    pub wait: Quantiles,
}

/// Metrics of the response cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SnapshotCache)]
pub struct CacheMetrics {
    /// Reads in the interval.
    #[schema(example = 200)]
    pub reads: u64,
    /// Reads in the interval that were answered from the cache.
    #[schema(example = 188)]
    pub hits: u64,
    /// Share of the reads that were hits; null without reads.
    #[schema(example = 0.94)]
    pub hit_ratio: Option<f64>,
}

/// Metrics of a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SnapshotQueue)]
pub struct QueueMetrics {
    /// Name of the queue.
    #[schema(example = "generation_queue")]
    pub queue: String,
    /// Jobs that waited at the beginning of the interval.
    #[schema(example = 0.0)]
    pub depth_before: f64,
    /// Jobs that waited at its end.
    #[schema(example = 0.0)]
    pub depth: f64,
}
