//! SLAs: sets of thresholds, each a limit for one metric of an endpoint or of the service.
//!
//! An SLA is a TOML file, parsed and validated before the first request. It yields a flat list of
//! [`Threshold`]s, which the verdict compares with an outcome. Limits are written in one notation,
//! such as `p95 < 300ms`, in SLA files, in profiles and on the command line.

mod inline;
mod limit;
mod metric;
mod notation;
mod over_time;
mod read;
mod scope;
mod stored;
mod table;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

pub use inline::check_inline;
pub use limit::{Comparison, Limit};
pub use metric::{Metric, Percentile, Resource, Statuses};
pub use over_time::{DriftLimit, MemoryGrowthLimit, OverTime, RecoveryLimit};
pub use scope::{AllowedNames, Unmeasured};

use crate::built_in::{self, BuiltInFile, FileLoadError, FileText};
use stored::StoredThreshold;

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
#[serde(from = "StoredThreshold")]
pub struct Threshold {
    /// What the threshold applies to.
    pub subject: Subject,
    /// Group of thresholds in reports, as written in the SLA file.
    pub group: String,
    /// The metric that is limited.
    pub metric: Metric,
    /// Limit, in the unit of the metric.
    pub limit: Limit,
    /// A violation of this limit is a failure, of `limit` alone a warning. It is `limit` itself where
    /// every violation is a failure. `None`: every violation is a warning.
    pub fail_limit: Option<Limit>,
    /// The numbers of users for which the threshold applies.
    pub users: UserRange,
    /// The part of the run in which the threshold applies.
    pub during: During,
    /// If set, the threshold must be met in every window of this many seconds, instead of once over
    /// all seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_s: Option<u32>,
    /// Whether the run can be a PASS only if this threshold is met. One that is not required and not
    /// decidable is only counted.
    #[serde(skip_serializing_if = "is_required")]
    pub required: bool,
    /// If set, a violation of `fail_limit` stops the run, but not before this many seconds of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_after_s: Option<u32>,
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
    /// The requests to all endpoints of one user class together, by its name.
    Class(String),
    /// The requests to all endpoints with this tag together.
    Tag(String),
    /// The run as a whole: what its users counted.
    Run,
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
    /// The stages with these names, together.
    #[serde(alias = "stage", deserialize_with = "one_or_several")]
    #[schemars(with = "OneOrSeveral")]
    Stages(Vec<String>),
}

/// Names of stages; up to format version 2 of outcomes a single one.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrSeveral::deserialize(deserializer)? {
        OneOrSeveral::One(name) => vec![name],
        OneOrSeveral::Several(names) => names,
    })
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

    /// Returns the number of thresholds, those on the course of the run included.
    #[must_use]
    pub fn threshold_count(&self) -> usize {
        let OverTime { memory_growth, drift, recovery } = self.over_time;
        let over_time = [memory_growth.is_some(), drift.is_some(), recovery.is_some()];
        self.thresholds.len() + over_time.into_iter().filter(|is_set| *is_set).count()
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
        let mut limit = self.limit;
        if self.metric.unit() == "MiB" {
            // One that was written in MB or bytes.
            limit.value = (limit.value * 100.0).round() / 100.0;
        }
        format!("{limit} {}", self.metric.unit()).trim_end().to_owned()
    }

    /// Returns whether a measured `value` meets the threshold.
    #[must_use]
    pub fn is_met_by(&self, value: f64) -> bool {
        self.limit.is_met_by(value)
    }

    /// Returns whether a violation with a measured `value` is a failure; otherwise it is a warning.
    #[must_use]
    pub fn is_failed_by(&self, value: f64) -> bool {
        self.fail_limit.is_some_and(|limit| !limit.is_met_by(value))
    }

    /// Returns the limit beyond which nothing changes: that of failures, if there is one.
    #[must_use]
    pub fn loosest_limit(&self) -> Limit {
        self.fail_limit.unwrap_or(self.limit)
    }

    /// Returns whether every violation is a failure.
    #[must_use]
    pub fn has_no_warning(&self) -> bool {
        self.fail_limit == Some(self.limit)
    }
}

impl During {
    /// Describes the part of the run after a metric, such as ` in spike`; empty for the judged
    /// stages.
    #[must_use]
    pub fn suffix(&self) -> String {
        match self {
            Self::Judged => String::new(),
            Self::Run => " in the whole run".to_owned(),
            Self::Stages(names) => format!(" in {}", names.join(", ")),
        }
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
            Self::Class(name) => write!(f, "class {name}"),
            Self::Tag(name) => write!(f, "tag {name}"),
            Self::Run => f.write_str("the run"),
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

    fn threshold(metric: Metric, limit: Limit, fail_limit: Option<Limit>) -> Threshold {
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
            abort_after_s: None,
        }
    }

    #[test]
    fn a_violation_of_the_second_limit_is_a_failure_and_of_the_first_alone_a_warning() {
        let below = Limit::below(100.0);
        let p95 = threshold(Metric::P95, below, Some(Limit::at_most(150.0)));
        assert_eq!([99.9, 100.0, 100.1].map(|ms| p95.is_met_by(ms)), [true, false, false]);
        assert_eq!([100.0, 150.0, 150.1].map(|ms| p95.is_failed_by(ms)), [false, false, true]);
        let equal = threshold(Metric::P95, below, Some(below));
        assert!(equal.is_failed_by(100.0) && equal.has_no_warning(), "every violation fails");
        assert!(!threshold(Metric::P99, below, None).is_failed_by(1e9), "never a failure");
        let rate = threshold(Metric::Rate, Limit::at_least(100.0), Some(Limit::at_least(80.0)));
        assert_eq!([99.9, 100.0].map(|value| rate.is_met_by(value)), [false, true]);
        assert_eq!([79.9, 80.0].map(|value| rate.is_failed_by(value)), [true, false]);
    }

    #[test]
    fn thresholds_on_the_course_of_the_run_are_counted_too() {
        let mut sla = Sla::empty();
        assert_eq!(sla.threshold_count(), 0);
        sla.over_time.recovery = Some(RecoveryLimit { within_percent: 10.0 });
        assert_eq!(sla.threshold_count(), 1);
        sla.over_time.drift = Some(DriftLimit { below_percent: 20.0, window_s: 300 });
        let p95 = threshold(Metric::P95, Limit::below(300.0), None);
        sla.thresholds = vec![p95.clone(), p95.clone(), p95];
        assert_eq!(sla.threshold_count(), 5);
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
            threshold(Metric::P95, Limit::below(300.0), None),
            threshold(Metric::Restarts, Limit::at_most(0.0), None),
            threshold(Metric::Resource(Resource::Memory), Limit::below(2048.0), None),
            threshold(Metric::Rate, Limit::at_least(799.2), None),
            // 2 GB.
            threshold(Metric::Resource(Resource::Memory), Limit::below(1_907.348_632), None),
            threshold(Metric::P95, Limit::below(0.125), None),
        ]
        .map(|threshold| threshold.format_limit());
        let expected = [
            "< 300 ms",
            "<= 0",
            "< 2048 MiB",
            ">= 799.2 requests/s",
            "< 1907.35 MiB",
            "< 0.125 ms",
        ];
        assert_eq!(formatted, expected);
        let values = [
            Metric::SecondsToHealthy.format(0.25),
            Metric::SecondsToHealthy.format(1.0),
            Metric::Rate.format(99.96),
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
