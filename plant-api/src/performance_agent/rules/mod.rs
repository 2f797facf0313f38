//! Rules as data: which metric of a snapshot becomes a finding, how severe it is, and which changes
//! are planned for it. A rule set is a TOML file for one kind of target; it also names the metrics of
//! that kind. `plant.toml` is built in.

pub mod change;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::exposition::selector::Selector;
use crate::tunables::Tunable;

use change::ChangeRule;
pub use read::InvalidRules;

/// The built-in rules, for this service.
const BUILT_IN: &str = include_str!("plant.toml");

/// Name of the built-in rules.
pub const DEFAULT: &str = "plant";

/// How far a value is beyond the threshold.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::EnumIter,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[schema(as = FindingSeverity)]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

/// Which values are a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    Above,
    Below,
}

impl Comparison {
    /// Returns the severity of a value: critical at twice the threshold, high at 1.5 times, medium at
    /// 1.2 times, otherwise low. For `below` the threshold is compared with the value in the same way.
    /// `None` if the value is not beyond the threshold.
    pub fn severity(self, value: f64, threshold: f64) -> Option<Severity> {
        let (larger, smaller) = match self {
            Self::Above => (value, threshold),
            Self::Below => (threshold, value),
        };
        if larger <= smaller || larger.is_nan() || smaller.is_nan() {
            return None;
        }
        // 0.6 / 0.4 is a little less than 1.5.
        let times = self.times(value, threshold) * (1.0 + 1e-9);
        Some(match times {
            _ if times >= 2.0 => Severity::Critical,
            _ if times >= 1.5 => Severity::High,
            _ if times >= 1.2 => Severity::Medium,
            _ => Severity::Low,
        })
    }

    /// Returns how many times as far as the threshold a value is; infinite for a value of zero or less that
    /// is below it.
    pub fn times(self, value: f64, threshold: f64) -> f64 {
        match self {
            Self::Above => value / threshold,
            Self::Below if value <= 0.0 => f64::INFINITY,
            Self::Below => threshold / value,
        }
    }
}

/// A threshold of a metric. As a service level objective it is also reported when it is met.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Unique within the rule set.
    pub name: String,
    /// Type of the finding, such as `latency_over_slo`.
    pub finding: String,
    /// Name of the metric.
    pub metric: String,
    /// Only this route, table, index or queue; `None`: all for which no other rule of the metric is.
    pub subject: Option<String>,
    pub comparison: Comparison,
    pub threshold: f64,
    /// Minimum number of samples that the value is computed from, so that an idle service has no
    /// findings.
    pub min_samples: u64,
    /// The severity is at most this.
    pub max_severity: Severity,
    /// Advice, with `{subject}`, `{value}` and `{threshold}`.
    pub recommendation: String,
    /// Names of the changes that may help, the best first.
    pub changes: Vec<String>,
    /// Whether this is a service level objective.
    pub is_slo: bool,
}

/// A metric that a rule file defines by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum CustomMetric {
    /// The sum of the selected series.
    Gauge(Selector),
    /// The increase per second of the selected counters.
    Rate(Selector),
}

/// Names of the metrics of a kind of target. Those that it does not have are left out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricNames {
    /// Counter of responses.
    pub requests: Option<Selector>,
    /// Label with the status of a response.
    pub status_label: Option<String>,
    /// Histogram of the duration of requests in seconds.
    pub duration: Option<Selector>,
    /// Labels that identify a route, such as method and path.
    pub route_labels: Vec<String>,
    /// Histogram of the wait for a database connection in seconds.
    pub pool_wait: Option<Selector>,
    /// Connections of the database pool in use.
    pub pool_in_use: Option<Selector>,
    /// Maximum size of the database pool.
    pub pool_max: Option<Selector>,
    /// Counter of cache reads.
    pub cache_reads: Option<Selector>,
    /// Counter of cache reads that were answered from the cache.
    pub cache_hits: Option<Selector>,
    /// Jobs that wait.
    pub queue_depth: Option<Selector>,
    /// Label with the name of a queue.
    pub queue_label: Option<String>,
    /// Jobs that run.
    pub jobs_running: Option<Selector>,
    /// Counter of the CPU time of the process in seconds.
    pub cpu_seconds: Option<Selector>,
    /// CPUs that the process may use.
    pub available_cpus: Option<Selector>,
    /// Resident memory of the process in bytes.
    pub memory_bytes: Option<Selector>,
    /// Start of the process in seconds since the Unix epoch.
    pub start_time: Option<Selector>,
    /// Connections to the database server.
    pub connections: Option<Selector>,
    /// Maximum number of connections to the database server.
    pub max_connections: Option<Selector>,
}

/// The rules for one kind of target.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSet {
    pub name: String,
    pub metric_names: MetricNames,
    pub custom_metrics: BTreeMap<String, CustomMetric>,
    pub rules: Vec<Rule>,
    pub changes: Vec<ChangeRule>,
}

impl RuleSet {
    /// Returns the change with this name.
    pub fn change(&self, name: &str) -> Option<&ChangeRule> {
        self.changes.iter().find(|change| change.name == name)
    }

    /// Returns the service level objectives.
    pub fn slos(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.is_slo)
    }
}

/// All rule sets of the service. Clones share them.
#[derive(Debug, Clone)]
pub struct RuleSets(Arc<Vec<RuleSet>>);

/// Rule files that cannot be used: every problem, with file and line.
#[derive(Debug, thiserror::Error)]
#[error("invalid rules of the performance agent:\n{0}")]
pub struct InvalidRuleFiles(String);

impl RuleSets {
    /// Reads rule files, in addition to the built-in rules, unless one has their name. Their changes must
    /// be possible with these tunables.
    ///
    /// # Errors
    /// [`InvalidRuleFiles`].
    pub fn load(files: &[PathBuf], tunables: &[Tunable]) -> Result<Self, InvalidRuleFiles> {
        let (mut sets, mut problems) = (Vec::<RuleSet>::new(), Vec::new());
        for file in files {
            let name = file.display();
            match fs::read_to_string(file).map(|text| RuleSet::read(&text, tunables)) {
                Err(error) => problems.push(format!("  - {name}: {error}")),
                Ok(Err(InvalidRules(found))) => problems.extend(
                    found.iter().map(|(line, message)| format!("  - {name}:{line}: {message}")),
                ),
                Ok(Ok(set)) if sets.iter().any(|other| other.name == set.name) => {
                    problems.push(format!(
                        "  - {name}:1: another file has the rule set `{}`",
                        set.name
                    ));
                }
                Ok(Ok(set)) => sets.push(set),
            }
        }
        if sets.iter().all(|set| set.name != DEFAULT) {
            sets.insert(0, built_in());
        }
        if problems.is_empty() {
            Ok(Self(Arc::new(sets)))
        } else {
            Err(InvalidRuleFiles(problems.join("\n")))
        }
    }

    /// Returns the rule set with this name.
    pub fn find(&self, name: &str) -> Option<&RuleSet> {
        self.0.iter().find(|set| set.name == name)
    }

    /// Returns all rule sets.
    pub fn iter(&self) -> impl Iterator<Item = &RuleSet> {
        self.0.iter()
    }

    /// Returns the names of all rule sets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|set| set.name.as_str())
    }

    /// Creates rule sets from this one.
    #[cfg(test)]
    pub fn of(set: RuleSet) -> Self {
        Self(Arc::new(vec![set]))
    }
}

/// Returns the built-in rules.
fn built_in() -> RuleSet {
    // A test parses them.
    BUILT_IN.parse().unwrap_or_else(|problems| unreachable!("built-in rules: {problems}"))
}

impl Default for RuleSets {
    fn default() -> Self {
        Self(Arc::new(vec![built_in()]))
    }
}
