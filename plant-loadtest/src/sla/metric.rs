//! The metrics that thresholds limit, each with its name in the notation of thresholds and its unit.

use std::fmt;

use strum::VariantArray;

use super::{format_ms, format_percent};
use crate::failure::FailureKind;

/// A metric that a threshold limits. Files and outcomes contain its notation, such as `p95`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Percentile of latency.
    Percentile(Percentile),
    /// Mean latency.
    Mean,
    /// Maximum latency.
    Max,
    /// Percentage of requests that failed with one of these kinds.
    ErrorRate(Vec<FailureKind>),
    /// Percentage of responses with one of these statuses, expected or not.
    StatusShare(Statuses),
    /// Successful responses per second; each counts as
    /// [`EndpointCell::throughput_count`](crate::outcome::EndpointCell::throughput_count) describes.
    Rate,
    /// Value of a custom counter.
    Count(String),
    /// Increase of a custom counter per second.
    CountRate(String),
    /// Resource usage of the service.
    Resource(Resource),
    /// Time until the health check succeeds, in seconds, counted from the end of the load.
    SecondsToHealthy,
    /// Number of restarts of the service during the run.
    Restarts,
    /// Drain time: from the end of the load until the last accepted work was completed, in seconds.
    Drain,
    /// Number of items of accepted work that neither completed nor failed: they are missing from the
    /// service's list, or had not ended when the wait for them timed out.
    NotEnded,
    /// Number of items of accepted work that are in the service's list more than once, or share their id
    /// with another one.
    Doubled,
    /// Number of waiting jobs after the accepted work has ended, or the wait for it has timed out.
    QueueAfter,
    /// Number of actions of the profile that failed.
    FailedActions,
}

/// A percentile, in thousandths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentile(u32);

/// Statuses of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statuses {
    /// One status code.
    Code(u16),
    /// All status codes with this first digit.
    Class(u16),
}

/// A resource that the service uses. The values are those of the part of the run in which the
/// threshold applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantArray)]
pub enum Resource {
    /// Mean CPU time, in percent of all CPUs of the machine.
    Cpu,
    /// Maximum resident memory, in MiB.
    Memory,
    /// Mean CPU time minus that before the first request, in percentage points.
    CpuIncrease,
    /// Resident memory at the end minus that before the first request, in MiB.
    MemoryIncrease,
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

/// What the values of a metric are, and with it the units in which limits can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Time, in milliseconds.
    Milliseconds,
    /// Time, in seconds.
    Seconds,
    /// Share, in percent.
    Percent,
    /// Number of events per second.
    PerSecond,
    /// Memory, in MiB.
    Mebibytes,
    /// Number.
    Count,
}

impl Percentile {
    /// Returns the percentile of `percent`, with up to three decimals; `None` unless it is between 0
    /// and 100.
    pub(super) fn parse(percent: &str) -> Option<Self> {
        let (whole, decimals) = percent.split_once('.').unwrap_or((percent, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || whole.len() > 2 || decimals.len() > 3 {
            return None;
        }
        let thousandths: u32 = format!("{whole}{decimals:0<3}").parse().ok()?;
        (thousandths > 0).then_some(Self(thousandths))
    }

    /// Returns the quantile, from 0 to 1.
    #[must_use]
    pub fn quantile(self) -> f64 {
        f64::from(self.0) / 100_000.0
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / 1000.0)
    }
}

impl Statuses {
    /// Parses a status code such as `404`, or a class such as `5xx`; `None` if the text is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |text: &str| text.parse().ok().filter(|digit| (1..=5).contains(digit));
        match text.strip_suffix("xx") {
            Some(class) => digit(class).map(Self::Class),
            None => text.parse().ok().filter(|code| (100..600).contains(code)).map(Self::Code),
        }
    }

    /// Returns whether `status` is one of these.
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        match self {
            Self::Code(code) => status == code,
            Self::Class(digit) => status / 100 == digit,
        }
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code}"),
            Self::Class(digit) => write!(f, "{digit}xx"),
        }
    }
}

impl Resource {
    /// All variants.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the name in the notation of thresholds.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::CpuIncrease => "cpu_increase",
            Self::MemoryIncrease => "memory_increase",
            Self::DatabaseConnections => "database_connections",
            Self::RedisConnections => "redis_connections",
            Self::OpenFiles => "open_files",
            Self::QueueDepth => "queue_depth",
            Self::LoggedErrors => "logged_errors",
        }
    }

    /// Returns whether it is compared with the time before the first request.
    #[must_use]
    pub fn is_increase(self) -> bool {
        matches!(self, Self::CpuIncrease | Self::MemoryIncrease)
    }
}

impl Metric {
    /// Median latency.
    pub const P50: Self = Self::Percentile(Percentile(50_000));
    /// 95th percentile of latency.
    pub const P95: Self = Self::Percentile(Percentile(95_000));
    /// 99th percentile of latency.
    pub const P99: Self = Self::Percentile(Percentile(99_000));

    /// Returns the share of failed requests, whatever the failure.
    #[must_use]
    pub fn all_errors() -> Self {
        Self::ErrorRate(FailureKind::ALL.to_vec())
    }

    /// Returns the quantile (0 to 1) of a percentile or maximum; `None` for other metrics.
    #[must_use]
    pub fn quantile(&self) -> Option<f64> {
        match self {
            Self::Percentile(percentile) => Some(percentile.quantile()),
            Self::Max => Some(1.0),
            _ => None,
        }
    }

    /// Returns whether its values are latencies.
    #[must_use]
    pub fn is_latency(&self) -> bool {
        matches!(self, Self::Percentile(_) | Self::Mean | Self::Max)
    }

    /// Returns whether it has one value for the whole run only.
    #[must_use]
    pub fn is_of_whole_run(&self) -> bool {
        matches!(self, Self::Restarts) || self.is_known_after_load()
    }

    /// Returns whether it is known only after the load.
    #[must_use]
    pub fn is_known_after_load(&self) -> bool {
        matches!(
            self,
            Self::SecondsToHealthy
                | Self::Drain
                | Self::NotEnded
                | Self::Doubled
                | Self::QueueAfter
                | Self::FailedActions
        )
    }

    /// Returns what its values are.
    pub(super) fn quantity(&self) -> Quantity {
        match self {
            Self::Percentile(_) | Self::Mean | Self::Max => Quantity::Milliseconds,
            Self::SecondsToHealthy | Self::Drain => Quantity::Seconds,
            Self::ErrorRate(_)
            | Self::StatusShare(_)
            | Self::Resource(Resource::Cpu | Resource::CpuIncrease) => Quantity::Percent,
            Self::Rate | Self::CountRate(_) => Quantity::PerSecond,
            Self::Resource(Resource::Memory | Resource::MemoryIncrease) => Quantity::Mebibytes,
            Self::Resource(_)
            | Self::Restarts
            | Self::Count(_)
            | Self::NotEnded
            | Self::Doubled
            | Self::QueueAfter
            | Self::FailedActions => Quantity::Count,
        }
    }

    /// Returns the unit of its values; empty for plain numbers.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self.quantity() {
            Quantity::Milliseconds => "ms",
            Quantity::Seconds => "s",
            Quantity::Percent => "%",
            Quantity::PerSecond if *self == Self::Rate => "requests/s",
            Quantity::PerSecond => "/s",
            Quantity::Mebibytes => "MiB",
            Quantity::Count => "",
        }
    }

    /// Formats a measured `value` with its unit and a suitable number of digits.
    #[must_use]
    pub fn format(&self, value: f64) -> String {
        match self.quantity() {
            Quantity::Milliseconds => format_ms(value),
            Quantity::Seconds if value < 1.0 && *self == Self::SecondsToHealthy => {
                format_ms(value * 1000.0)
            }
            Quantity::Seconds => format!("{value:.1} s"),
            Quantity::Percent if *self == Self::Resource(Resource::Cpu) => format!("{value:.0} %"),
            Quantity::Percent if *self == Self::Resource(Resource::CpuIncrease) => {
                format!("{value:.1} %")
            }
            Quantity::Percent => format_percent(value),
            Quantity::PerSecond => format!("{value:.1} {}", self.unit()),
            Quantity::Mebibytes => format!("{value:.1} MiB"),
            Quantity::Count => format!("{value:.0}"),
        }
    }

    /// Returns its name in the notation of thresholds, such as `p95` or `status(5xx)`.
    #[must_use]
    pub fn notation(&self) -> String {
        match self {
            Self::Percentile(percentile) => format!("p{percentile}"),
            Self::Mean => "avg".into(),
            Self::Max => "max".into(),
            Self::ErrorRate(kinds) if kinds.len() == FailureKind::ALL.len() => "errors".into(),
            Self::ErrorRate(kinds) => format!("errors({})", names(kinds)),
            Self::StatusShare(statuses) => format!("status({statuses})"),
            Self::Rate => "rate".into(),
            Self::Count(name) => format!("count({name})"),
            Self::CountRate(name) => format!("rate({name})"),
            Self::Resource(resource) => resource.name().into(),
            Self::SecondsToHealthy => "healthy_after".into(),
            Self::Restarts => "restarts".into(),
            Self::Drain => "drain".into(),
            Self::NotEnded => "not_ended".into(),
            Self::Doubled => "doubled".into(),
            Self::QueueAfter => "queue_after".into(),
            Self::FailedActions => "failed_actions".into(),
        }
    }
}

fn names(kinds: &[FailureKind]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    names.join(", ")
}

/// The name in reports.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percentile) => write!(f, "P{percentile}"),
            Self::ErrorRate(kinds) if kinds.len() != FailureKind::ALL.len() => {
                write!(f, "errors ({})", names(kinds))
            }
            Self::StatusShare(statuses) => write!(f, "responses {statuses}"),
            Self::CountRate(name) => write!(f, "rate of {name}"),
            Self::Count(name) => f.write_str(name),
            Self::Resource(resource) => f.write_str(match resource {
                Resource::Cpu => "CPU",
                Resource::Memory => "memory",
                Resource::CpuIncrease => "CPU increase",
                Resource::MemoryIncrease => "memory increase",
                Resource::DatabaseConnections => "database connections",
                Resource::RedisConnections => "Redis connections",
                Resource::OpenFiles => "open files",
                Resource::QueueDepth => "queue depth",
                Resource::LoggedErrors => "logged errors",
            }),
            Self::SecondsToHealthy => f.write_str("time to healthy"),
            Self::Drain => f.write_str("drain time"),
            Self::NotEnded => f.write_str("not ended"),
            Self::QueueAfter => f.write_str("queue depth afterwards"),
            Self::FailedActions => f.write_str("failed actions"),
            _ => f.write_str(&self.notation()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_name_in_reports() {
        for (metric, name) in [
            (Metric::P95, "P95"),
            (Metric::Percentile(Percentile::parse("99.9").unwrap()), "P99.9"),
            (Metric::Mean, "avg"),
            (Metric::Max, "max"),
            (Metric::all_errors(), "errors"),
            (Metric::ErrorRate(vec![FailureKind::TimedOut]), "errors (timed-out)"),
            (Metric::StatusShare(Statuses::Class(5)), "responses 5xx"),
            (Metric::Rate, "rate"),
            (Metric::CountRate("orders".into()), "rate of orders"),
            (Metric::Count("orders".into()), "orders"),
            (Metric::Resource(Resource::QueueDepth), "queue depth"),
            (Metric::SecondsToHealthy, "time to healthy"),
            (Metric::Restarts, "restarts"),
            (Metric::Drain, "drain time"),
            (Metric::NotEnded, "not ended"),
            (Metric::QueueAfter, "queue depth afterwards"),
            (Metric::FailedActions, "failed actions"),
        ] {
            assert_eq!(metric.to_string(), name);
        }
        let names: Vec<String> =
            Resource::ALL.iter().map(|resource| Metric::Resource(*resource).to_string()).collect();
        assert!(names.iter().all(|name| !name.contains('_')), "{names:?}");
    }

    #[test]
    fn values_have_the_unit_and_the_digits_of_their_metric() {
        let counter = || "orders".to_owned();
        for (metric, value, text) in [
            (Metric::P95, 12.34, "12.3 ms"),
            (Metric::all_errors(), 0.25, "0.25 %"),
            (Metric::Resource(Resource::Cpu), 69.6, "70 %"),
            (Metric::Rate, 2.0, "2.0 requests/s"),
            (Metric::CountRate(counter()), 2.0, "2.0 /s"),
            (Metric::Count(counter()), 2.0, "2"),
            (Metric::SecondsToHealthy, 0.25, "250 ms"),
            (Metric::Drain, 0.25, "0.2 s"),
        ] {
            assert_eq!(metric.format(value), text, "{metric}");
        }
    }

    #[test]
    fn only_times_of_requests_are_latencies() {
        assert!([Metric::P50, Metric::Mean, Metric::Max].iter().all(Metric::is_latency));
        let others = [Metric::Rate, Metric::all_errors(), Metric::SecondsToHealthy, Metric::Drain];
        assert!(!others.iter().any(Metric::is_latency));
    }

    #[test]
    fn a_percentile_has_up_to_three_decimals() {
        let notation = |percent| Percentile::parse(percent).map(|parsed| parsed.to_string());
        assert_eq!(notation("99.999").as_deref(), Some("99.999"));
        assert_eq!(notation("0.001").as_deref(), Some("0.001"));
        assert_eq!(["99.9999", "0", "0.000", "100", "", "9."].map(notation), [const { None }; 6]);
    }
}
