//! SLAs: sets of thresholds, each a limit for one metric of an endpoint or of the service.
//!
//! An SLA is a TOML file, parsed and validated before the first request. It yields a flat list of
//! [`Threshold`]s, which the verdict compares with an outcome.

mod metric;
mod over_time;
mod read;
mod scope;
mod usage;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use metric::{Metric, Resource};
pub use over_time::{DriftLimit, MemoryGrowthLimit, OverTime, RecoveryLimit};
pub use scope::AllowedNames;

use crate::built_in::{self, BuiltInFile, FileLoadError, FileText};

/// The thresholds of an SLA file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sla {
    /// Name of the SLA, as written in the file.
    pub name: String,
    /// How percentiles and error rates are judged.
    #[serde(default)]
    pub judging: Judging,
    /// The thresholds, in the order of the file.
    #[serde(alias = "promises")]
    pub thresholds: Vec<Threshold>,
    /// Thresholds on the course of the run.
    #[serde(default, skip_serializing_if = "OverTime::is_empty")]
    pub over_time: OverTime,
}

/// How percentiles, means and error rates are compared with their limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Judging {
    /// The measured value alone is compared.
    Point,
    /// The confidence interval is compared. A threshold is met or violated only if the whole interval
    /// is on one side of the limit; otherwise it is not decidable.
    Interval {
        /// Confidence, from 0 to 1.
        confidence: f64,
    },
}

impl Default for Judging {
    fn default() -> Self {
        Self::Interval { confidence: 0.95 }
    }
}

/// A limit for one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Threshold {
    /// What the threshold applies to.
    pub subject: Subject,
    /// Group of thresholds in reports, as written in the SLA file.
    #[serde(alias = "class")]
    pub group: String,
    /// The metric that is limited.
    #[serde(alias = "figure")]
    pub metric: Metric,
    /// Limit, in the unit of the metric. The value must be below it, or equal if the limit is 0.
    /// For metrics of which higher values are better, the value must be at least the limit.
    #[serde(alias = "below")]
    pub limit: f64,
    /// A violation beyond this value is a failure, up to it a warning. `None`: every violation is a
    /// warning.
    #[serde(alias = "fail_over")]
    pub fail_limit: Option<f64>,
    /// The numbers of users for which the threshold applies.
    pub users: UserRange,
    /// The part of the run in which the threshold applies.
    pub during: During,
    /// If set, the threshold must be met in every window of this many seconds, instead of once over
    /// all seconds.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "every_s")]
    pub window_s: Option<u32>,
    /// Whether the run can be a PASS only if this threshold is met. One that is not required and not
    /// decidable is only counted.
    #[serde(default = "required", skip_serializing_if = "is_required")]
    pub required: bool,
}

fn required() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_required(required: &bool) -> bool {
    *required
}

/// What a threshold applies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// One endpoint, by name.
    Endpoint(String),
    /// All requests together.
    AllRequests,
    /// The service as a whole.
    Service,
    /// One kind of accepted work, by name.
    Work(String),
}

/// An inclusive range of numbers of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserRange {
    /// Minimum number of users.
    pub from: u32,
    /// Maximum number of users.
    pub to: u32,
}

/// The part of a run in which a threshold applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum During {
    /// The judged stages: all but ramps and warm-ups, unless the profile says otherwise.
    Judged,
    /// The whole run, from the first request to the last.
    Run,
    /// The stage with this name.
    Stage(String),
}

impl Sla {
    /// Returns an SLA without thresholds: the run is measured, but gets no verdict.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            name: "none (this load has no thresholds)".into(),
            judging: Judging::default(),
            thresholds: Vec::new(),
            over_time: OverTime::default(),
        }
    }

    /// Reads the SLA called `name`: that of one of the `built_in` files, or the path of a TOML file.
    /// Endpoints, work and stages in it must be among the `allowed` ones.
    ///
    /// # Errors
    /// Returns an error if there is no such file or it is invalid.
    pub fn find(
        built_in: &[BuiltInFile],
        name: &str,
        allowed: &AllowedNames<'_>,
    ) -> Result<Self, FileLoadError> {
        let FileText { file, text } = built_in::read_sla(built_in, name)?;
        read::parse(&file, &text, allowed)
    }
}

impl Threshold {
    /// Formats the limit with its unit, such as `< 300 ms`.
    #[must_use]
    pub fn format_limit(&self) -> String {
        let (limit, unit) = (self.limit, self.metric.unit());
        let text = if self.metric.higher_is_better() {
            format!("at least {limit} {unit}")
        } else if limit == 0.0 {
            format!("0 {unit}")
        } else {
            format!("< {limit} {unit}")
        };
        text.trim_end().to_owned()
    }

    /// Returns whether a measured `value` meets the threshold.
    #[must_use]
    pub fn is_met_by(&self, value: f64) -> bool {
        if self.metric.higher_is_better() {
            return value >= self.limit;
        }
        value < self.limit || (self.limit == 0.0 && value <= 0.0)
    }

    /// Returns whether a violation with a measured `value` is a failure; otherwise it is a warning.
    #[must_use]
    pub fn is_failed_by(&self, value: f64) -> bool {
        let Some(fail_limit) = self.fail_limit else { return false };
        if self.metric.higher_is_better() {
            return value < fail_limit;
        }
        // If the two limits are equal, every violation is a failure.
        value > fail_limit || fail_limit <= self.limit
    }
}

/// Formats a latency in milliseconds. Greater values have fewer decimals.
#[must_use]
pub fn format_ms(value: f64) -> String {
    let digits = usize::from(value < 99.95) + usize::from(value < 9.995);
    format!("{value:.digits$} ms")
}

/// Formats a percentage. A value above 0 is never shown as 0.
#[must_use]
pub fn format_percent(value: f64) -> String {
    if value == 0.0 || value >= 0.995 {
        let digits = if value.fract() == 0.0 { 0 } else { 2 };
        return format!("{value:.digits$} %");
    }
    format!("{:.2} %", value.max(0.01))
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(name) => f.write_str(name),
            Self::AllRequests => f.write_str("all requests"),
            Self::Service => f.write_str("the service"),
            Self::Work(name) => write!(f, "accepted work: {name}"),
        }
    }
}

impl UserRange {
    /// Any number of users.
    pub const ANY: Self = Self { from: 0, to: u32::MAX };

    /// Returns whether `users` is in the range.
    #[must_use]
    pub fn contains(self, users: u32) -> bool {
        (self.from..=self.to).contains(&users)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_above_zero_is_never_shown_as_zero() {
        assert_eq!(format_percent(0.0), "0 %");
        assert_eq!(format_percent(0.0004), "0.01 %");
        assert_eq!(format_percent(0.5), "0.50 %");
        assert_eq!(format_percent(5.0), "5 %");
        assert_eq!(format_percent(1.25), "1.25 %");
    }

    fn threshold(metric: Metric, limit: f64, fail_limit: Option<f64>) -> Threshold {
        Threshold {
            subject: Subject::AllRequests,
            group: String::new(),
            metric,
            limit,
            fail_limit,
            users: UserRange { from: 2, to: 4 },
            during: During::Judged,
            window_s: None,
            required: true,
        }
    }

    #[test]
    fn a_value_at_the_limit_violates_it_unless_the_limit_is_zero() {
        let p95 = threshold(Metric::P95, 100.0, Some(150.0));
        assert_eq!([99.9, 100.0, 100.1].map(|ms| p95.is_met_by(ms)), [true, false, false]);
        assert_eq!([100.0, 150.0, 150.1].map(|ms| p95.is_failed_by(ms)), [false, false, true]);
        let none = threshold(Metric::Restarts, 0.0, Some(0.0));
        assert_eq!([0.0, 1.0].map(|count| none.is_met_by(count)), [true, false]);
        let equal = threshold(Metric::P95, 100.0, Some(100.0));
        assert!(equal.is_failed_by(100.0), "every violation is a failure");
        assert!(!threshold(Metric::P99, 100.0, None).is_failed_by(1e9), "never a failure");
    }

    #[test]
    fn a_rate_at_the_limit_meets_it() {
        let rate = threshold(Metric::Throughput, 100.0, Some(80.0));
        assert_eq!([99.9, 100.0].map(|value| rate.is_met_by(value)), [false, true]);
        assert_eq!([79.9, 80.0].map(|value| rate.is_failed_by(value)), [true, false]);
        assert_eq!(rate.format_limit(), "at least 100 requests/s");
    }

    #[test]
    fn percentiles_have_quantiles_and_other_metrics_have_none() {
        let metrics = [Metric::P50, Metric::P95, Metric::P99, Metric::Max, Metric::Mean];
        let quantiles = metrics.map(|metric| metric.quantile());
        assert_eq!(quantiles, [Some(0.5), Some(0.95), Some(0.99), Some(1.0), None]);
    }

    #[test]
    fn both_ends_of_a_range_of_users_belong_to_it() {
        let range = UserRange { from: 2, to: 4 };
        assert_eq!([1, 2, 4, 5].map(|users| range.contains(users)), [false, true, true, false]);
        assert!(UserRange::ANY.contains(0) && UserRange::ANY.contains(u32::MAX));
    }

    #[test]
    fn limits_and_values_have_units() {
        let formatted = [
            threshold(Metric::P95, 300.0, None),
            threshold(Metric::Restarts, 0.0, None),
            threshold(Metric::Resource(Resource::Memory), 2048.0, None),
            threshold(Metric::Resource(Resource::OpenFiles), 20.0, None),
        ]
        .map(|threshold| threshold.format_limit());
        assert_eq!(formatted, ["< 300 ms", "0", "< 2048 MiB", "< 20"]);
        let values = [
            Metric::SecondsToHealthy.format(0.25),
            Metric::SecondsToHealthy.format(1.0),
            Metric::Throughput.format(99.96),
            Metric::Resource(Resource::Cpu).format(69.6),
            Metric::Resource(Resource::Memory).format(50.26),
            Metric::Restarts.format(2.0),
        ];
        assert_eq!(values, ["250 ms", "1.0 s", "100.0 requests/s", "70 %", "50.3 MiB", "2"]);
    }

    #[test]
    fn greater_latencies_have_fewer_decimals() {
        assert_eq!(format_ms(1.234), "1.23 ms");
        assert_eq!(format_ms(12.34), "12.3 ms");
        assert_eq!(format_ms(300.0), "300 ms");
        assert_eq!(
            [9.994, 9.995, 99.94, 99.95].map(format_ms),
            ["9.99 ms", "10.0 ms", "99.9 ms", "100 ms"]
        );
    }
}
