//! The metrics that thresholds limit, each with its unit and whether higher values are better.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::VariantArray;

use super::{format_ms, format_percent};
use crate::failure::FailureKind;

/// A metric that a threshold limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Median latency.
    P50,
    /// 95th percentile of latency.
    P95,
    /// 99th percentile of latency.
    P99,
    /// Mean latency.
    Mean,
    /// Maximum latency.
    Max,
    /// Percentage of requests that failed with one of these kinds.
    ErrorRate(Vec<FailureKind>),
    /// Successful responses per second; each counts as
    /// [`EndpointCell::throughput_count`](crate::outcome::EndpointCell::throughput_count) describes.
    Throughput,
    /// Resource usage of the service.
    Resource(Resource),
    /// Time until `/health` responds, in seconds, counted from the end of the load.
    SecondsToHealthy,
    /// Number of restarts of the service during the run.
    Restarts,
    /// Drain time: from the end of the load until the last accepted work was completed, in seconds.
    Drain,
}

/// A resource that the service uses. The values are those of the part of the run in which the
/// threshold applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, VariantArray)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Mean CPU time, in percent of all CPUs of the machine.
    Cpu,
    /// Maximum resident memory, in MiB.
    Memory,
    /// Maximum number of connections to the database, from all clients.
    DatabaseConnections,
    /// Maximum number of connections to Redis.
    RedisConnections,
    /// Maximum number of open files and sockets.
    OpenFiles,
    /// Maximum number of waiting jobs.
    QueueDepth,
    /// Number of errors logged.
    LoggedErrors,
}

impl Resource {
    /// All variants.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the name in SLA files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu-percent",
            Self::Memory => "memory-mib",
            Self::DatabaseConnections => "database-connections",
            Self::RedisConnections => "redis-connections",
            Self::OpenFiles => "open-files",
            Self::QueueDepth => "queue-depth",
            Self::LoggedErrors => "logged-errors",
        }
    }
}

impl Metric {
    /// Returns whether higher values are better. For all other metrics lower values are better.
    #[must_use]
    pub fn higher_is_better(&self) -> bool {
        matches!(self, Self::Throughput)
    }

    /// Returns the quantile (0 to 1) of a percentile or maximum; `None` for other metrics.
    #[must_use]
    pub fn quantile(&self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.50),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            Self::Max => Some(1.0),
            _ => None,
        }
    }

    /// Returns the unit of its values; empty for plain numbers.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self {
            Self::P50 | Self::P95 | Self::P99 | Self::Mean | Self::Max => "ms",
            Self::ErrorRate(_) | Self::Resource(Resource::Cpu) => "%",
            Self::Throughput => "requests/s",
            Self::Resource(Resource::Memory) => "MiB",
            Self::SecondsToHealthy | Self::Drain => "s",
            Self::Resource(_) | Self::Restarts => "",
        }
    }

    /// Formats a measured `value` with its unit and a suitable number of digits.
    #[must_use]
    pub fn format(&self, value: f64) -> String {
        match self {
            Self::P50 | Self::P95 | Self::P99 | Self::Mean | Self::Max => format_ms(value),
            Self::ErrorRate(_) => format_percent(value),
            Self::Throughput => format!("{value:.1} requests/s"),
            Self::Resource(Resource::Cpu) => format!("{value:.0} %"),
            Self::Resource(Resource::Memory) => format!("{value:.1} MiB"),
            Self::SecondsToHealthy if value < 1.0 => format_ms(value * 1000.0),
            Self::SecondsToHealthy | Self::Drain => format!("{value:.1} s"),
            Self::Resource(_) | Self::Restarts => format!("{value:.0}"),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P50 => f.write_str("P50"),
            Self::P95 => f.write_str("P95"),
            Self::P99 => f.write_str("P99"),
            Self::Mean => f.write_str("mean"),
            Self::Max => f.write_str("max"),
            Self::ErrorRate(kinds) if kinds.len() == FailureKind::ALL.len() => {
                f.write_str("errors")
            }
            Self::ErrorRate(kinds) => {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                write!(f, "errors ({})", kinds.join(", "))
            }
            Self::Throughput => f.write_str("throughput"),
            Self::Resource(resource) => f.write_str(match resource {
                Resource::Cpu => "CPU",
                Resource::Memory => "memory",
                Resource::DatabaseConnections => "database connections",
                Resource::RedisConnections => "Redis connections",
                Resource::OpenFiles => "open files",
                Resource::QueueDepth => "queue depth",
                Resource::LoggedErrors => "logged errors",
            }),
            Self::SecondsToHealthy => f.write_str("time to healthy"),
            Self::Restarts => f.write_str("restarts"),
            Self::Drain => f.write_str("drain time"),
        }
    }
}
