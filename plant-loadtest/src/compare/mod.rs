//! Compares runs of the same load: is the service slower, faster or unchanged?
//!
//! One run is one observation, not one request: the requests of a run share the same noise, so they
//! are not independent. Each run gives one P95 per endpoint. These are compared by rank. Shifts up to
//! the *margin* are tolerated; it comes from the *noise floor*: how much identical runs differ on this
//! machine.

pub mod history;
pub mod load_change;
pub mod noise_floor;
pub mod report;
pub mod run_metrics;
pub mod simulation;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use self::{
    load_change::LoadChange,
    noise_floor::Margins,
    run_metrics::{RunMetrics, reject_repeated},
};
use crate::{
    outcome::Ended,
    statistics::{as_f64, median, multiple_testing, rank_tests},
};

/// Lowest value of [`runs_needed`]: runs per side that a comparison of few endpoints needs.
pub const MIN_RUNS: usize = 5;

/// Highest adjusted p-value that counts as significant. Of the results that are significant by one
/// test, the expected fraction of false positives is at most this (Benjamini and Hochberg, 1995).
pub const FALSE_DISCOVERY_RATE: f64 = 0.05;

/// Change of the latency from the base runs to the new ones, ordered by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Change {
    /// Significantly within the margin.
    #[default]
    Equivalent,
    /// Significantly faster, and the estimated shift is beyond the margin.
    Improved,
    /// None of the other results is significant.
    Inconclusive,
    /// Significantly slower, and the estimated shift is beyond the margin.
    Regressed,
}

impl Change {
    /// Returns the name that reports print.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Equivalent => "EQUIVALENT",
            Self::Improved => "IMPROVED",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Regressed => "REGRESSED",
        }
    }
}

/// Comparison of one endpoint's P95.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointChange {
    /// Method and route template.
    pub name: String,
    /// Result for this endpoint.
    pub change: Change,
    /// Number of valid base runs with enough requests for a P95.
    pub base_runs: usize,
    /// Number of valid new runs with enough requests for a P95.
    pub new_runs: usize,
    /// Median P95 of the base runs, in milliseconds.
    pub base_p95_ms: Option<f64>,
    /// Median P95 of the new runs, in milliseconds.
    pub new_p95_ms: Option<f64>,
    /// Hodges–Lehmann shift from base to new, in percent of the base.
    pub shift_percent: Option<f64>,
    /// The margin in percent, from the noise floor; smaller shifts occur between identical runs too.
    pub margin_percent: f64,
    /// Whether identical runs differ so much on this machine that it cannot show that nothing
    /// changed.
    pub too_noisy: bool,
    /// P-value of the Mann–Whitney test with the alternative hypothesis that the new runs are slower,
    /// by however little. Adjusted for the number of endpoints by Benjamini and Hochberg's method,
    /// like the other p-values.
    pub p_slower: f64,
    /// P-value with the alternative hypothesis that the new runs are faster, by however little.
    pub p_faster: f64,
    /// P-value with the alternative hypothesis that the shift is within the margin: the greater one
    /// of two Mann–Whitney tests, against a shift of the margin up and down.
    #[serde(rename = "p_equal")]
    pub p_equivalent: f64,
}

/// Comparison of all endpoints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Overall result: the most severe one of any endpoint, or of a metric of the whole run.
    pub change: Change,
    /// Whether a side has fewer than `runs_needed` valid runs. Results are then judged by the shift
    /// alone, not by p-values, and prove nothing.
    pub advisory: bool,
    /// Result of [`runs_needed`] for this number of endpoints.
    pub runs_needed: usize,
    /// Description of the load, the same for both sides.
    pub load: String,
    /// Comparison of each endpoint.
    pub endpoints: Vec<EndpointChange>,
    /// Comparison of errors, shed load and achieved rate.
    pub run: Vec<LoadChange>,
    /// Notes that qualify the result.
    pub notes: Vec<String>,
}

/// Returns the number of runs per side needed to detect a regression of one of `endpoints`: at least
/// [`MIN_RUNS`], and so many that complete separation of the sides is significant. A comparison with
/// fewer runs is advisory.
#[must_use]
pub fn runs_needed(endpoints: usize) -> usize {
    let alpha = FALSE_DISCOVERY_RATE / as_f64(endpoints.max(1));
    (MIN_RUNS..).find(|runs| rank_tests::min_p_value(*runs) <= alpha).unwrap_or(MIN_RUNS)
}

impl Comparison {
    /// Compares the valid runs of both sides by `margins`.
    ///
    /// # Errors
    /// When a side has no valid run, when a run was killed or interrupted or is given twice, or when
    /// the runs are not of the same load.
    pub fn new(base: &[RunMetrics], new: &[RunMetrics], margins: &Margins) -> Result<Self, String> {
        let load = same_load(base, new)?;
        if let Some(run) = base.iter().chain(new).find(|run| run.ended != Ended::AsPlanned) {
            return Err(format!(
                "{} was killed or interrupted, so it cannot be compared; run it again",
                run.file
            ));
        }
        reject_repeated(base.iter().chain(new))?;
        let mut notes = notes(base, new, margins);
        let (base, new) = (valid(base), valid(new));
        if base.is_empty() || new.is_empty() {
            return Err(
                "one side has no valid run: the load generator was too slow or too busy in all of \
                 its runs"
                    .into(),
            );
        }
        let names: BTreeSet<&str> =
            base.iter().chain(&new).flat_map(|run| run.p95_ms.keys().map(String::as_str)).collect();
        let runs_needed = runs_needed(names.len());
        let advisory = base.len().min(new.len()) < runs_needed;
        if advisory {
            notes.push(format!(
                "advisory: {} base and {} new runs, but {} endpoints need {runs_needed} per side; no \
                 result is statistically significant",
                base.len(),
                new.len(),
                names.len()
            ));
        }
        let mut endpoints: Vec<EndpointChange> =
            names.into_iter().map(|name| measure(name, &base, &new, margins)).collect();
        adjust(&mut endpoints);
        for endpoint in &mut endpoints {
            endpoint.change = if advisory { judge_shift(endpoint) } else { judge(endpoint) };
        }
        let run = load_change::compare(&base, &new, advisory);
        let of_endpoints = endpoints.iter().map(|endpoint| endpoint.change).max();
        let of_run = run.iter().map(|metric| metric.change).max();
        let change = of_endpoints.unwrap_or(Change::Inconclusive).max(of_run.unwrap_or_default());
        Ok(Self { change, advisory, runs_needed, load, endpoints, run, notes })
    }
}

fn measure(
    name: &str,
    base: &[&RunMetrics],
    new: &[&RunMetrics],
    margins: &Margins,
) -> EndpointChange {
    let margin_percent = margins.margin_percent(name);
    let values = |side: &[&RunMetrics]| -> Vec<f64> {
        side.iter().filter_map(|run| run.p95_ms.get(name).copied()).collect()
    };
    let (base, new) = (values(base), values(new));
    // Latencies differ by factors, so their logarithms are compared.
    let logarithms = |values: &[f64]| values.iter().map(|ms| ms.ln()).collect::<Vec<f64>>();
    let (base_logs, new_logs) = (logarithms(&base), logarithms(&new));
    let shifted_base = |by: f64| base_logs.iter().map(|value| value + by).collect::<Vec<f64>>();
    let margin_log = (1.0 + margin_percent / 100.0).ln();
    // Equivalence takes two one-sided tests: neither faster nor slower by the margin.
    let p_not_faster = rank_tests::mann_whitney_greater(&shifted_base(-margin_log), &new_logs);
    let p_not_slower = rank_tests::mann_whitney_greater(&new_logs, &shifted_base(margin_log));
    EndpointChange {
        name: name.to_owned(),
        change: Change::Inconclusive,
        base_runs: base.len(),
        new_runs: new.len(),
        base_p95_ms: median(&base),
        new_p95_ms: median(&new),
        shift_percent: rank_tests::hodges_lehmann(&base_logs, &new_logs)
            .map(|shift| (shift.exp() - 1.0) * 100.0),
        margin_percent,
        too_noisy: margins.is_too_noisy(name),
        p_slower: rank_tests::mann_whitney_greater(&base_logs, &new_logs),
        p_faster: rank_tests::mann_whitney_greater(&new_logs, &base_logs),
        p_equivalent: p_not_faster.max(p_not_slower),
    }
}

/// Adjusts the p-values for the number of endpoints, separately for each of the three tests.
fn adjust(endpoints: &mut [EndpointChange]) {
    let p_values: [fn(&mut EndpointChange) -> &mut f64; 3] = [
        |endpoint| &mut endpoint.p_slower,
        |endpoint| &mut endpoint.p_faster,
        |endpoint| &mut endpoint.p_equivalent,
    ];
    for p_value in p_values {
        let raw: Vec<f64> = endpoints.iter_mut().map(|endpoint| *p_value(endpoint)).collect();
        let adjusted = multiple_testing::benjamini_hochberg(&raw);
        for (endpoint, adjusted) in endpoints.iter_mut().zip(adjusted) {
            *p_value(endpoint) = adjusted;
        }
    }
}

fn judge(endpoint: &EndpointChange) -> Change {
    let Some(shift) = endpoint.shift_percent else { return Change::Inconclusive };
    if endpoint.p_slower <= FALSE_DISCOVERY_RATE && shift > endpoint.margin_percent {
        Change::Regressed
    } else if endpoint.p_faster <= FALSE_DISCOVERY_RATE && shift < -endpoint.margin_percent {
        Change::Improved
    } else if endpoint.p_equivalent <= FALSE_DISCOVERY_RATE && !endpoint.too_noisy {
        Change::Equivalent
    } else {
        Change::Inconclusive
    }
}

/// Judges by the shift alone, for advisory comparisons. Never EQUIVALENT.
fn judge_shift(endpoint: &EndpointChange) -> Change {
    match endpoint.shift_percent {
        Some(shift) if shift > endpoint.margin_percent => Change::Regressed,
        Some(shift) if shift < -endpoint.margin_percent => Change::Improved,
        _ => Change::Inconclusive,
    }
}

fn valid(side: &[RunMetrics]) -> Vec<&RunMetrics> {
    side.iter().filter(|run| run.valid).collect()
}

fn same_load(base: &[RunMetrics], new: &[RunMetrics]) -> Result<String, String> {
    let (Some(first), Some(_)) = (base.first(), new.first()) else {
        return Err("each side requires at least one run: compare BASE… -- NEW…".into());
    };
    match base.iter().chain(new).find(|run| run.load != first.load) {
        None => Ok(first.load.clone()),
        Some(other) => Err(format!(
            "these runs are not comparable: {} is “{}”, and {} is “{}”",
            first.file, first.load, other.file, other.load
        )),
    }
}

fn notes(base: &[RunMetrics], new: &[RunMetrics], margins: &Margins) -> Vec<String> {
    let mut notes: Vec<String> = margins.note.iter().cloned().collect();
    let runs = || base.iter().chain(new);
    let machines: BTreeSet<&str> = runs().map(|run| run.machine.as_str()).collect();
    if machines.len() > 1 {
        let machines: Vec<&str> = machines.into_iter().collect();
        notes.push(format!(
            "the runs come from different machines ({}), so differences may be due to the machine",
            machines.join("; ")
        ));
    }
    let invalid = runs().filter(|run| !run.valid).count();
    if invalid > 0 {
        notes.push(format!("{invalid} INVALID runs were excluded"));
    }
    if base.len() > 2 && new.len() > 2 && !interleaved(base, new) {
        notes.push(
            "the runs of the two sides were not interleaved, so other changes on the machine may \
             appear as a change of the service"
                .into(),
        );
    }
    notes
}

/// Returns whether the runs of both sides alternate, so that slow changes of the machine affect
/// both sides equally.
fn interleaved(base: &[RunMetrics], new: &[RunMetrics]) -> bool {
    let sides = base.iter().map(|run| (run.started_at, false));
    let mut order: Vec<(DateTime<Utc>, bool)> =
        sides.chain(new.iter().map(|run| (run.started_at, true))).collect();
    order.sort_unstable();
    order.chunk_by(|left, right| left.1 == right.1).all(|same_side| same_side.len() <= 2)
}

#[cfg(test)]
mod tests;
