//! Thresholds as outcomes contain them. Up to format version 2 a limit was a number whose comparison
//! followed from the metric, and metrics had other names.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{During, Limit, Metric, Resource, Subject, Threshold, UserRange, notation};
use crate::failure::FailureKind;

/// A threshold of any format version.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Threshold")]
pub(super) struct StoredThreshold {
    /// What the threshold applies to.
    subject: Subject,
    /// Group of thresholds in reports, as written in the SLA file.
    #[serde(alias = "class")]
    group: String,
    /// The metric that is limited, such as `p95`.
    #[serde(alias = "figure")]
    metric: Metric,
    /// Limit, in the unit of the metric.
    #[serde(alias = "below")]
    limit: StoredLimit,
    /// A violation of this limit is a failure, of `limit` alone a warning. Absent: every violation is
    /// a warning.
    #[serde(alias = "fail_over")]
    fail_limit: Option<StoredLimit>,
    /// The numbers of users for which the threshold applies.
    users: UserRange,
    /// The part of the run in which the threshold applies.
    during: During,
    /// If set, the threshold must be met in every window of this many seconds, instead of once over
    /// all seconds.
    #[serde(default, alias = "every_s")]
    window_s: Option<u32>,
    /// Whether the run can be a PASS only if this threshold is met. One that is not required and not
    /// decidable is only counted.
    #[serde(default = "yes")]
    required: bool,
    /// If set, a violation of `fail_limit` stops the run, but not before this many seconds of it.
    #[serde(default)]
    abort_after_s: Option<u32>,
}

fn yes() -> bool {
    true
}

/// A limit of any format version.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
enum StoredLimit {
    /// The limit.
    Limit(Limit),
    /// Its value, in format versions 1 and 2.
    Value(f64),
}

impl From<StoredThreshold> for Threshold {
    fn from(stored: StoredThreshold) -> Self {
        let is_lower = stored.metric == Metric::Rate;
        let limit = match stored.limit {
            StoredLimit::Limit(limit) => limit,
            StoredLimit::Value(value) if is_lower => Limit::at_least(value),
            StoredLimit::Value(value) if value > 0.0 => Limit::below(value),
            StoredLimit::Value(value) => Limit::at_most(value),
        };
        let fail_limit = stored.fail_limit.map(|fail_limit| match fail_limit {
            StoredLimit::Limit(limit) => limit,
            StoredLimit::Value(value) if is_lower => Limit::at_least(value),
            // If the two were equal, every violation was a failure.
            StoredLimit::Value(value) if value <= limit.value => limit,
            StoredLimit::Value(value) => Limit::at_most(value),
        });
        Self {
            subject: stored.subject,
            group: stored.group,
            metric: stored.metric,
            limit,
            fail_limit,
            users: stored.users,
            during: stored.during,
            window_s: stored.window_s,
            required: stored.required,
            abort_after_s: stored.abort_after_s,
        }
    }
}

/// A metric of any format version.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum StoredMetric {
    /// A metric of format versions 1 and 2.
    Old(OldMetric),
    /// Notation of the metric, such as `p95` or `errors(connection, timed-out)`.
    Notation(String),
}

/// The metrics of format versions 1 and 2.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum OldMetric {
    Mean,
    ErrorRate(Vec<FailureKind>),
    Throughput,
    Resource(OldResource),
    SecondsToHealthy,
}

/// The resources of format versions 1 and 2.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum OldResource {
    Cpu,
    Memory,
    DatabaseConnections,
    RedisConnections,
    OpenFiles,
    QueueDepth,
    LoggedErrors,
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.notation())
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StoredMetric::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

impl JsonSchema for Metric {
    fn schema_name() -> Cow<'static, str> {
        "Metric".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        StoredMetric::json_schema(generator)
    }
}

impl TryFrom<StoredMetric> for Metric {
    type Error = String;

    fn try_from(stored: StoredMetric) -> Result<Self, String> {
        match stored {
            StoredMetric::Notation(text) => notation::parse_metric(&text),
            StoredMetric::Old(old) => Ok(match old {
                OldMetric::Mean => Self::Mean,
                OldMetric::ErrorRate(mut kinds) => {
                    kinds.sort_unstable();
                    Self::ErrorRate(kinds)
                }
                OldMetric::Throughput => Self::Rate,
                OldMetric::SecondsToHealthy => Self::SecondsToHealthy,
                OldMetric::Resource(resource) => Self::Resource(match resource {
                    OldResource::Cpu => Resource::Cpu,
                    OldResource::Memory => Resource::Memory,
                    OldResource::DatabaseConnections => Resource::DatabaseConnections,
                    OldResource::RedisConnections => Resource::RedisConnections,
                    OldResource::OpenFiles => Resource::OpenFiles,
                    OldResource::QueueDepth => Resource::QueueDepth,
                    OldResource::LoggedErrors => Resource::LoggedErrors,
                }),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(metric: &str, limits: &str) -> (Metric, Limit, Option<Limit>) {
        let text = format!(
            "{{\"subject\":\"service\",\"class\":\"\",\"metric\":{metric},{limits},\
             \"users\":{{\"from\":0,\"to\":9}},\"during\":{{\"stage\":\"a\"}},\"every_s\":60}}"
        );
        let threshold: Threshold = serde_json::from_str(&text).unwrap();
        assert_eq!(threshold.during, During::Stages(vec!["a".into()]));
        assert_eq!((threshold.window_s, threshold.required), (Some(60), true));
        (threshold.metric, threshold.limit, threshold.fail_limit)
    }

    #[test]
    fn limits_of_format_version_2_keep_their_meaning() {
        let p95 = read("\"p95\"", "\"limit\":100,\"fail_limit\":150");
        assert_eq!(p95, (Metric::P95, Limit::below(100.0), Some(Limit::at_most(150.0))));
        let equal = read("\"p99\"", "\"limit\":100,\"fail_limit\":100.0");
        assert_eq!(equal, (Metric::P99, Limit::below(100.0), Some(Limit::below(100.0))));
        let none = read("\"restarts\"", "\"limit\":0,\"fail_limit\":0");
        assert_eq!(none, (Metric::Restarts, Limit::at_most(0.0), Some(Limit::at_most(0.0))));
        let warning = read("\"mean\"", "\"below\":5,\"fail_over\":null");
        assert_eq!(warning, (Metric::Mean, Limit::below(5.0), None));
        let rate = read("\"throughput\"", "\"limit\":10,\"fail_limit\":8");
        assert_eq!(rate, (Metric::Rate, Limit::at_least(10.0), Some(Limit::at_least(8.0))));
        let memory = read("{\"resource\":\"open-files\"}", "\"limit\":10,\"fail_limit\":10");
        assert_eq!(memory.0, Metric::Resource(Resource::OpenFiles));
        let errors = read("{\"error-rate\":[\"timed-out\"]}", "\"limit\":10,\"fail_limit\":null");
        assert_eq!(errors.0, Metric::ErrorRate(vec![FailureKind::TimedOut]));
        assert_eq!(read("\"seconds-to-healthy\"", "\"limit\":1").0, Metric::SecondsToHealthy);
    }

    #[test]
    fn a_written_threshold_reads_back_unchanged() {
        for notation in ["p99.9 <= 1s", "status(5xx) < 1%", "count(orders) >= 5", "memory < 1GiB"] {
            let (metric, limit) = match notation::parse(notation).unwrap() {
                notation::Parsed::Limit(metric, limit) => (metric, limit),
                other => panic!("{other:?}"),
            };
            let threshold = Threshold {
                subject: Subject::Tag("read".into()),
                group: "g".into(),
                metric,
                limit,
                fail_limit: None,
                users: UserRange::ANY,
                during: During::Stages(vec!["a".into(), "b".into()]),
                window_s: Some(5),
                required: false,
                abort_after_s: Some(3),
            };
            let text = serde_json::to_string(&threshold).unwrap();
            assert!(text.contains("\"required\":false"), "{text}");
            let required = Threshold { required: true, ..threshold.clone() };
            let required = serde_json::to_string(&required).unwrap();
            assert!(!required.contains("\"required\""), "{required}");
            assert_eq!(serde_json::from_str::<Threshold>(&text).unwrap(), threshold, "{text}");
        }
    }
}
