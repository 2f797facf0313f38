//! What can be promised: each figure declares its unit, and which direction is good, once.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, milliseconds, percent};
use crate::outcome::FailureKind;

/// A figure, with its unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// The median latency.
    P50,
    /// The 95th percentile of latency.
    P95,
    /// The 99th percentile of latency.
    P99,
    /// The mean latency.
    Mean,
    /// The longest latency.
    Max,
    /// The share of requests that failed in one of these ways.
    ErrorRate(Vec<FailureKind>),
    /// How many requests a second were answered rightly, by when their answers came.
    Throughput,
    /// What the service used.
    Resource(Resource),
    /// How long the service takes to answer `/health` once the load is gone.
    SecondsToHealthy,
    /// How often the service was started anew during the run.
    Restarts,
    /// How long after the load the last accepted work was done.
    Drain,
}

/// Something that the service uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Mean processor time, in percent of all processors of the machine.
    Cpu,
    /// Most memory resident, in MiB.
    Memory,
    /// Most connections to the database, whoever holds them.
    DatabaseConnections,
    /// Most connections to Redis.
    RedisConnections,
    /// Most open files and sockets.
    OpenFiles,
    /// Most jobs waiting.
    QueueDepth,
    /// Errors logged.
    LoggedErrors,
}

impl Resource {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Cpu,
        Self::Memory,
        Self::DatabaseConnections,
        Self::RedisConnections,
        Self::OpenFiles,
        Self::QueueDepth,
        Self::LoggedErrors,
    ];

    /// As SLA files spell it.
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

impl Figure {
    /// What kind of promises it is made for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::P50 | Self::P95 | Self::P99 | Self::Mean | Self::Max => Kind::Latency,
            Self::ErrorRate(_) => Kind::Errors,
            Self::Throughput => Kind::Throughput,
            Self::Resource(_) => Kind::Resources,
            Self::SecondsToHealthy | Self::Restarts => Kind::Survival,
            Self::Drain => Kind::Completion,
        }
    }

    /// Whether more of it is good; of all others less is.
    #[must_use]
    pub fn more_is_better(&self) -> bool {
        matches!(self, Self::Throughput)
    }

    /// The share of samples that may not exceed a percentile's value.
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

    /// What it is measured in.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self {
            Self::P50 | Self::P95 | Self::P99 | Self::Mean | Self::Max => "ms",
            Self::ErrorRate(_) | Self::Resource(Resource::Cpu) => "%",
            Self::Throughput => "a second",
            Self::Resource(Resource::Memory) => "MiB",
            Self::SecondsToHealthy | Self::Drain => "s",
            Self::Resource(_) | Self::Restarts => "",
        }
    }

    /// A measured `value`, with as many digits as it deserves and its unit.
    #[must_use]
    pub fn display(&self, value: f64) -> String {
        match self {
            Self::P50 | Self::P95 | Self::P99 | Self::Mean | Self::Max => milliseconds(value),
            Self::ErrorRate(_) => percent(value),
            Self::Throughput => format!("{value:.1} a second"),
            Self::Resource(Resource::Cpu) => format!("{value:.0} %"),
            Self::Resource(Resource::Memory) => format!("{value:.1} MiB"),
            Self::SecondsToHealthy if value < 1.0 => milliseconds(value * 1000.0),
            Self::SecondsToHealthy | Self::Drain => format!("{value:.1} s"),
            Self::Resource(_) | Self::Restarts => format!("{value:.0}"),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P50 => f.write_str("P50"),
            Self::P95 => f.write_str("P95"),
            Self::P99 => f.write_str("P99"),
            Self::Mean => f.write_str("mean"),
            Self::Max => f.write_str("longest"),
            Self::ErrorRate(kinds) if kinds.len() == FailureKind::ALL.len() => {
                f.write_str("errors")
            }
            Self::ErrorRate(kinds) => {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                write!(f, "errors ({})", kinds.join(", "))
            }
            Self::Throughput => f.write_str("answered"),
            Self::Resource(resource) => f.write_str(match resource {
                Resource::Cpu => "CPU",
                Resource::Memory => "memory",
                Resource::DatabaseConnections => "database connections",
                Resource::RedisConnections => "Redis connections",
                Resource::OpenFiles => "open files",
                Resource::QueueDepth => "queue depth",
                Resource::LoggedErrors => "errors logged",
            }),
            Self::SecondsToHealthy => f.write_str("time to healthy"),
            Self::Restarts => f.write_str("restarts"),
            Self::Drain => f.write_str("done after the load"),
        }
    }
}
