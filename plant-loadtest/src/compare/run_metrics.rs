//! The metrics of one run that comparisons use.

use std::{collections::BTreeMap, path::Path};

use chrono::{DateTime, Utc};

use crate::{
    duration,
    load::{Model, Spacing},
    outcome::{Ended, Outcome},
    report::json::{self, ReadError},
    verdict::{Grade, Verdict},
};

/// Requests needed for the P95 of an endpoint.
const MIN_REQUESTS: u64 = 20;

/// Statuses with which a service rejects load: Too Many Requests and Service Unavailable.
const SHED_STATUSES: [u16; 2] = [429, 503];

/// Metrics of one run for comparisons.
#[derive(Clone, Debug, PartialEq)]
pub struct RunMetrics {
    /// Path of the outcome file.
    pub file: String,
    /// Start time of the run.
    pub started_at: DateTime<Utc>,
    /// Description of the load ([`describe_load`]); only runs of equal loads are compared.
    pub load: String,
    /// Description of the load generator's machine ([`describe_machine`]).
    pub machine: String,
    /// Label values of the service's metric `build_info`, separated by spaces.
    pub build: String,
    /// Whether the measurement is valid: the verdict is not INVALID.
    pub valid: bool,
    /// How the run ended.
    pub ended: Ended,
    /// Grade of the run's verdict.
    pub grade: Grade,
    /// Requests per second in the judged stages.
    pub rate: f64,
    /// Failed requests in the judged stages, in percent.
    pub error_percent: f64,
    /// Requests of the whole run that the service rejected for load (429, 503) or that were never
    /// sent because all users were busy, in percent.
    pub shed_percent: f64,
    /// Successful responses per second in the judged stages.
    pub success_rate: f64,
    /// P95 in milliseconds of each endpoint with at least 20 requests, in the judged stages.
    pub p95_ms: BTreeMap<String, f64>,
}

impl RunMetrics {
    /// Computes the metrics of `outcome`. `file` is the name shown in reports and error messages.
    #[must_use]
    pub fn from_outcome(file: &str, outcome: &Outcome) -> Self {
        let verdict = Verdict::judge(outcome, &outcome.sla);
        let p95_ms = outcome.endpoints.iter().filter_map(|endpoint| {
            let latency = outcome.tally_judged_of(endpoint).latency;
            let p95 = latency.quantile_ms(0.95).filter(|_| latency.len() >= MIN_REQUESTS)?;
            Some((endpoint.name.clone(), p95))
        });
        let judged = outcome.tally_judged();
        let build: Vec<&str> = outcome.target.build.values().map(String::as_str).collect();
        Self {
            file: file.to_owned(),
            started_at: outcome.started_at,
            load: describe_load(outcome),
            machine: describe_machine(outcome),
            build: build.join(" "),
            valid: verdict.grade != Grade::Invalid && verdict.generator.invalid_reason.is_none(),
            ended: outcome.ended,
            grade: verdict.grade,
            rate: crate::report::summary::judged_rate(outcome),
            error_percent: percent(judged.counts.errors(), judged.counts.sent),
            shed_percent: shed_percent(outcome),
            success_rate: crate::report::summary::judged_success_rate(outcome),
            p95_ms: p95_ms.collect(),
        }
    }

    /// Reads the outcome file at `path` and computes its metrics.
    ///
    /// # Errors
    /// When the file cannot be read or is not an outcome.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        Ok(Self::from_outcome(&path.display().to_string(), &json::read(path)?))
    }
}

/// Describes the load: profile, users, and each stage with its duration and target level.
#[must_use]
pub fn describe_load(outcome: &Outcome) -> String {
    let load = &outcome.load;
    let stages: Vec<String> = load
        .stages
        .iter()
        .map(|stage| {
            let level = match load.model {
                Model::Closed => stage.to_users.to_string(),
                Model::Open => format!("{}/s", stage.to_rate),
            };
            let length = duration::format(u64::from(stage.to_s - stage.from_s));
            let from = match load.model {
                Model::Closed if stage.from_users != stage.to_users => {
                    format!(" from {}", stage.from_users)
                }
                Model::Open if (stage.from_rate - stage.to_rate).abs() > f64::EPSILON => {
                    format!(" from {}/s", stage.from_rate)
                }
                _ => String::new(),
            };
            let burst = match stage.burst {
                0 => String::new(),
                burst => format!(" and {burst} at once"),
            };
            let iterations = match stage.iterations {
                0 => String::new(),
                count => format!(" for {count} iterations"),
            };
            let classes = match &stage.classes[..] {
                [] => String::new(),
                names => format!(" of {}", names.join(", ")),
            };
            format!("{} {length}{from} to {level}{burst}{iterations}{classes}", stage.name)
        })
        .collect();
    let classes: Vec<String> = load
        .classes
        .iter()
        .map(|class| format!("{} × {} (wait {} s)", class.weight, class.name, class.mean_wait_s))
        .collect();
    let spacing = if load.spacing == Spacing::Poisson { ", Poisson" } else { "" };
    format!(
        "{}, {} users: {}; {}{spacing}, timeout {} s",
        load.profile,
        load.users,
        stages.join(", "),
        classes.join(", "),
        load.timeout_s
    )
}

/// Describes the load generator's machine: number and model of its CPUs, and operating system. Noise
/// floors are stored under this text.
#[must_use]
pub fn describe_machine(outcome: &Outcome) -> String {
    let generator = &outcome.generator;
    let cpu_model = generator.cpu_model.as_deref().unwrap_or("unknown processor");
    format!("{} × {cpu_model}, {}", generator.cpus, generator.system)
}

fn shed_percent(outcome: &Outcome) -> f64 {
    let statuses = outcome.endpoints.iter().flat_map(|endpoint| &endpoint.statuses);
    let rejected: u64 = statuses
        .filter(|(status, _)| SHED_STATUSES.contains(*status))
        .map(|(_, count)| count)
        .sum();
    let dropped: u64 = outcome.arrivals.iter().map(|cell| cell.dropped).sum();
    percent(rejected + dropped, outcome.tally_all().counts.sent + dropped)
}

/// Checks that no run is given twice: it would count as two observations.
pub(super) fn reject_repeated<'r>(
    runs: impl IntoIterator<Item = &'r RunMetrics>,
) -> Result<(), String> {
    let mut seen: BTreeMap<DateTime<Utc>, &str> = BTreeMap::new();
    for run in runs {
        if let Some(other) = seen.insert(run.started_at, &run.file) {
            return Err(format!("{other} and {} are the same run; give each run once", run.file));
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay below 2^53")]
fn percent(part: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { part as f64 * 100.0 / total as f64 }
}
