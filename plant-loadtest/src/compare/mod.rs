//! Compares runs of the same load: did the service get slower, faster, or stay as it was?
//!
//! The run is the unit, never the request: requests of one run share its weather, so a thousand of
//! them are one observation of it. Each run gives one P95 an endpoint, and these are compared by
//! rank, with the difference that identical runs show on this machine as the margin.

pub mod floor;
pub mod history;
pub mod report;
pub mod run_figures;
pub mod simulation;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use self::{floor::Floor, run_figures::RunFigures};
use crate::statistics::{discoveries, median, ranks};

/// Fewer runs a side than this are never more than a hint.
pub const LEAST_RUNS: usize = 5;

/// The share of false alarms among the alarms that is put up with, in each direction.
pub const ALPHA: f64 = 0.05;

/// What became of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Change {
    /// The same, within the margin, and not by chance.
    Equivalent,
    /// Faster by more than the margin, and not by chance.
    Improved,
    /// The runs do not tell.
    Inconclusive,
    /// Slower by more than the margin, and not by chance.
    Regressed,
}

impl Change {
    /// As reports print it.
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

/// One endpoint's P95, before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointChange {
    /// Method and route template.
    pub name: String,
    /// What became of it.
    pub change: Change,
    /// How many runs of the base had enough requests for a P95.
    pub base_runs: usize,
    /// How many new runs had.
    pub new_runs: usize,
    /// The median of the base runs' P95, in milliseconds.
    pub base_p95_ms: Option<f64>,
    /// The median of the new runs' P95, in milliseconds.
    pub new_p95_ms: Option<f64>,
    /// The shift between the sides by Hodges and Lehmann, in percent of the base.
    pub shift_percent: Option<f64>,
    /// Smaller shifts than this identical runs show too.
    pub margin_percent: f64,
    /// How likely chance alone makes the new side look so slow, allowing for all endpoints.
    pub p_slower: f64,
    /// How likely chance alone makes it look so fast.
    pub p_faster: f64,
    /// How likely chance alone makes it look so equal.
    pub p_equal: f64,
}

/// All endpoints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The most alarming change: a regression, else what is unknown, else the rest.
    pub change: Change,
    /// Whether there were too few runs, so that everything said is a hint and nothing more.
    pub advisory: bool,
    /// Runs a side that this many endpoints take.
    pub runs_needed: usize,
    /// The load that both sides ran.
    pub load: String,
    /// Each endpoint.
    pub endpoints: Vec<EndpointChange>,
    /// What else must be known to read this rightly.
    pub notes: Vec<String>,
}

/// How many runs a side it takes so that one regression among `endpoints` can stand out: with
/// fewer, even complete separation is too likely by chance.
#[must_use]
pub fn runs_needed(endpoints: usize) -> usize {
    let threshold = ALPHA / crate::statistics::count(endpoints.max(1));
    (LEAST_RUNS..).find(|runs| ranks::least_p(*runs) <= threshold).unwrap_or(LEAST_RUNS)
}

impl Comparison {
    /// Compares the sides by `floor`.
    ///
    /// # Errors
    /// A sentence when a side is empty, or when the runs were not of the same load.
    pub fn of(base: &[RunFigures], new: &[RunFigures], floor: &Floor) -> Result<Self, String> {
        let load = same_load(base, new)?;
        let mut notes = notes(base, new, floor);
        let (base, new) = (valid(base), valid(new));
        if base.is_empty() || new.is_empty() {
            return Err(
                "no valid run is left on one of the sides: the load generator was too late \
                        or too busy in all of them"
                    .into(),
            );
        }
        let names: BTreeSet<&str> =
            base.iter().chain(&new).flat_map(|run| run.p95_ms.keys().map(String::as_str)).collect();
        let runs_needed = runs_needed(names.len());
        let advisory = base.len().min(new.len()) < runs_needed;
        if advisory {
            notes.push(format!(
                "advisory: {} and {} runs, and {} endpoints take {runs_needed} a side; nothing here \
                 is proven",
                base.len(),
                new.len(),
                names.len()
            ));
        }
        let mut endpoints: Vec<EndpointChange> =
            names.into_iter().map(|name| measure(name, &base, &new, floor.margin(name))).collect();
        adjust(&mut endpoints);
        for endpoint in &mut endpoints {
            endpoint.change = if advisory { hint(endpoint) } else { judge(endpoint) };
        }
        let change =
            endpoints.iter().map(|endpoint| endpoint.change).max().unwrap_or(Change::Inconclusive);
        Ok(Self { change, advisory, runs_needed, load, endpoints, notes })
    }
}

fn measure(name: &str, base: &[&RunFigures], new: &[&RunFigures], margin: f64) -> EndpointChange {
    let values = |side: &[&RunFigures]| -> Vec<f64> {
        side.iter().filter_map(|run| run.p95_ms.get(name).copied()).collect()
    };
    let (base, new) = (values(base), values(new));
    // Latencies differ by factors, so they are compared as logarithms.
    let logarithms = |values: &[f64]| values.iter().map(|ms| ms.ln()).collect::<Vec<f64>>();
    let (low, high) = (logarithms(&base), logarithms(&new));
    let moved = |by: f64| low.iter().map(|value| value + by).collect::<Vec<f64>>();
    let factor = (1.0 + margin / 100.0).ln();
    let not_faster = ranks::p_greater(&moved(-factor), &high);
    let not_slower = ranks::p_greater(&high, &moved(factor));
    EndpointChange {
        name: name.to_owned(),
        change: Change::Inconclusive,
        base_runs: base.len(),
        new_runs: new.len(),
        base_p95_ms: median(&base),
        new_p95_ms: median(&new),
        shift_percent: ranks::shift(&low, &high).map(|shift| (shift.exp() - 1.0) * 100.0),
        margin_percent: margin,
        p_slower: ranks::p_greater(&low, &high),
        p_faster: ranks::p_greater(&high, &low),
        p_equal: not_faster.max(not_slower),
    }
}

/// Allows for how many endpoints there are, in each question by itself.
fn adjust(endpoints: &mut [EndpointChange]) {
    let questions: [fn(&mut EndpointChange) -> &mut f64; 3] =
        [|of| &mut of.p_slower, |of| &mut of.p_faster, |of| &mut of.p_equal];
    for question in questions {
        let raw: Vec<f64> = endpoints.iter_mut().map(|endpoint| *question(endpoint)).collect();
        for (endpoint, adjusted) in endpoints.iter_mut().zip(discoveries::adjusted(&raw)) {
            *question(endpoint) = adjusted;
        }
    }
}

fn judge(endpoint: &EndpointChange) -> Change {
    let Some(shift) = endpoint.shift_percent else { return Change::Inconclusive };
    if endpoint.p_slower <= ALPHA && shift > endpoint.margin_percent {
        Change::Regressed
    } else if endpoint.p_faster <= ALPHA && shift < -endpoint.margin_percent {
        Change::Improved
    } else if endpoint.p_equal <= ALPHA {
        Change::Equivalent
    } else {
        Change::Inconclusive
    }
}

/// With too few runs: what the shift alone looks like. Never that nothing changed.
fn hint(endpoint: &EndpointChange) -> Change {
    match endpoint.shift_percent {
        Some(shift) if shift > endpoint.margin_percent => Change::Regressed,
        Some(shift) if shift < -endpoint.margin_percent => Change::Improved,
        _ => Change::Inconclusive,
    }
}

fn valid(side: &[RunFigures]) -> Vec<&RunFigures> {
    side.iter().filter(|run| run.valid).collect()
}

fn same_load(base: &[RunFigures], new: &[RunFigures]) -> Result<String, String> {
    let (Some(first), Some(_)) = (base.first(), new.first()) else {
        return Err("each side needs at least one run: compare BASE… -- NEW…".into());
    };
    match base.iter().chain(new).find(|run| run.load != first.load) {
        None => Ok(first.load.clone()),
        Some(other) => Err(format!(
            "these runs are not comparable: {} is “{}”, and {} is “{}”",
            first.file, first.load, other.file, other.load
        )),
    }
}

fn notes(base: &[RunFigures], new: &[RunFigures], floor: &Floor) -> Vec<String> {
    let mut notes: Vec<String> = floor.note.iter().cloned().collect();
    let all = || base.iter().chain(new);
    let machines: BTreeSet<&str> = all().map(|run| run.machine.as_str()).collect();
    if machines.len() > 1 {
        let machines: Vec<&str> = machines.into_iter().collect();
        notes.push(format!(
            "the runs come from different machines ({}), which differ by themselves",
            machines.join("; ")
        ));
    }
    let invalid = all().filter(|run| !run.valid).count();
    if invalid > 0 {
        notes.push(format!("{invalid} INVALID runs were left out"));
    }
    let repeated: BTreeSet<DateTime<Utc>> = all().map(|run| run.started_at).collect();
    if repeated.len() < base.len() + new.len() {
        notes.push("some runs started at the same moment: is a file there twice?".into());
    }
    if base.len() > 2 && new.len() > 2 && !interleaved(base, new) {
        notes.push(
            "the sides were not interleaved: whatever else changed on the machine meanwhile looks \
             like a change of the service"
                .into(),
        );
    }
    notes
}

/// Whether runs of both sides took turns, so that slow changes of the machine hit both alike.
fn interleaved(base: &[RunFigures], new: &[RunFigures]) -> bool {
    let sides = base.iter().map(|run| (run.started_at, false));
    let mut order: Vec<(DateTime<Utc>, bool)> =
        sides.chain(new.iter().map(|run| (run.started_at, true))).collect();
    order.sort_unstable();
    order.chunk_by(|left, right| left.1 == right.1).all(|together| together.len() <= 2)
}

#[cfg(test)]
mod tests;
