//! What of one run is compared.

use std::{collections::BTreeMap, path::Path};

use chrono::{DateTime, Utc};

use crate::{
    outcome::{Model, Outcome},
    report::json::{self, ReadError},
    timespan,
    verdict::{Grade, Verdict},
};

/// A run with fewer requests to an endpoint has no P95 of it.
const LEAST_REQUESTS: u64 = 20;

/// One run, as far as comparisons care.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFigures {
    /// Where it was read from.
    pub file: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// What was run, in words: only equal loads are compared.
    pub load: String,
    /// Where the load came from, in words.
    pub machine: String,
    /// The service's `build_info`, in words.
    pub build: String,
    /// Whether the measurement can be trusted.
    pub valid: bool,
    /// How the run was judged.
    pub grade: Grade,
    /// Requests a second in the judged seconds.
    pub rate: f64,
    /// Errors in the judged seconds, in percent.
    pub error_percent: f64,
    /// P95 in milliseconds of every endpoint with enough requests.
    pub p95_ms: BTreeMap<String, f64>,
}

impl RunFigures {
    /// Takes what is needed from `outcome`, known as `file`.
    #[must_use]
    pub fn of(file: &str, outcome: &Outcome) -> Self {
        let verdict = Verdict::of(outcome, &outcome.sla);
        let p95_ms = outcome.endpoints.iter().filter_map(|endpoint| {
            let latency = outcome.judged_of(endpoint).latency;
            let p95 = latency.quantile_ms(0.95).filter(|_| latency.len() >= LEAST_REQUESTS)?;
            Some((endpoint.name.clone(), p95))
        });
        let judged = outcome.judged();
        let build: Vec<&str> = outcome.target.build.values().map(String::as_str).collect();
        Self {
            file: file.to_owned(),
            started_at: outcome.started_at,
            load: load(outcome),
            machine: machine(outcome),
            build: build.join(" "),
            valid: verdict.grade != Grade::Invalid,
            grade: verdict.grade,
            rate: crate::report::summary::judged_rate(outcome),
            error_percent: percent(judged.counts.errors(), judged.counts.sent),
            p95_ms: p95_ms.collect(),
        }
    }

    /// Reads a run from the file that it wrote.
    ///
    /// # Errors
    /// When the file is no outcome.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        Ok(Self::of(&path.display().to_string(), &json::read(path)?))
    }
}

/// The load in words: profile, users, and every stage with its level and length.
#[must_use]
pub fn load(outcome: &Outcome) -> String {
    let load = &outcome.load;
    let stages: Vec<String> = load
        .stages
        .iter()
        .map(|stage| {
            let level = match load.model {
                Model::Closed => stage.to_users.to_string(),
                Model::Open => format!("{}/s", stage.to_rate),
            };
            let length = timespan::display(u64::from(stage.to_s - stage.from_s));
            format!("{} {length} to {level}", stage.name)
        })
        .collect();
    format!("{}, {} users: {}", load.profile, load.users, stages.join(", "))
}

/// The machine in words.
#[must_use]
pub fn machine(outcome: &Outcome) -> String {
    let generator = &outcome.generator;
    let processor = generator.processor.as_deref().unwrap_or("unknown processor");
    format!("{} × {processor}, {}", generator.cpus, generator.system)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay below 2^53")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}
