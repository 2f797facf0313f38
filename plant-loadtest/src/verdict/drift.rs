//! Drift: latency or memory that increases during the run.

use std::ops::Range;

use super::Grade;
use crate::{
    duration,
    load::Stage,
    outcome::Outcome,
    sla::{DriftLimit, format_ms},
    statistics::{median, rank_tests},
};

/// Parts of each window. Their P95 are the observations of the significance test.
const PARTS: u32 = 5;

/// Requests needed for a P95.
const MIN_REQUESTS: u64 = 20;

/// Significance level: false-positive rate for a service without drift.
const ALPHA: f64 = 0.05;

/// Comparison of the last window of a run with the first one.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// The first of these that applies:
    ///
    /// 1. FAIL: memory increased by more than the limit.
    /// 2. INSUFFICIENT: a window or one of its five parts has fewer than 20 requests.
    /// 3. PASS: P95 increased by no more than the limit.
    /// 4. FAIL: the increase of P95 is significant (see [`Drift::detect`]).
    /// 5. WARNING: the increase of P95 is not significant.
    pub grade: Grade,
    /// P95 of the first and of the last window, in milliseconds.
    pub p95_ms: Option<(f64, f64)>,
    /// Memory of the first and of the last window, in bytes.
    pub memory_bytes: Option<(f64, f64)>,
    /// Summary for reports.
    pub summary: String,
}

impl Drift {
    /// Compares the last window of the judged span with the first one. Each is as long as the limit
    /// says, and at most half of the judged span. `None` when the judged stages differ in load or are
    /// ramps, or when half of the judged span is shorter than 5 s.
    ///
    /// The increase of P95 is significant if a Mann–Whitney test of the P95 of the five parts of each
    /// window has a p-value of at most 0.05.
    #[must_use]
    pub fn detect(outcome: &Outcome, limit: DriftLimit) -> Option<Self> {
        let (first, last) = windows(outcome, limit)?;
        let p95_ms = p95(outcome, &first).zip(p95(outcome, &last));
        let memory_bytes = memory(outcome, &first).zip(memory(outcome, &last));
        let p95_increase = increase_percent(p95_ms);
        let memory_increase = increase_percent(memory_bytes);
        let grade = grade(outcome, limit, &first, &last, p95_increase, memory_increase);
        let length = duration::format(u64::from(first.end - first.start));
        let mut changes = Vec::new();
        if let (Some((before, after)), Some(increase)) = (p95_ms, p95_increase) {
            changes.push(format!(
                "P95 {} → {} ({increase:+.0} %)",
                format_ms(before),
                format_ms(after)
            ));
        }
        if let (Some((before, after)), Some(increase)) = (memory_bytes, memory_increase) {
            let mib = |bytes: f64| bytes / 1_048_576.0;
            changes.push(format!(
                "memory {:.1} → {:.1} MiB ({increase:+.0} %)",
                mib(before),
                mib(after)
            ));
        }
        let summary = match (grade, changes.is_empty()) {
            (_, true) => "too few requests in the first and last windows".into(),
            (Grade::Insufficient, _) => {
                format!("first and last {length}: {}", changes.join(", "))
            }
            (Grade::Warning, _) => {
                format!(
                    "first and last {length}: {}; not statistically significant",
                    changes.join(", ")
                )
            }
            _ => format!("first and last {length}: {}", changes.join(", ")),
        };
        Some(Self { grade, p95_ms, memory_bytes, summary })
    }
}

fn grade(
    outcome: &Outcome,
    limit: DriftLimit,
    first: &Range<u32>,
    last: &Range<u32>,
    p95_increase: Option<f64>,
    memory_increase: Option<f64>,
) -> Grade {
    if memory_increase.is_some_and(|increase| increase > limit.below_percent) {
        return Grade::Fail;
    }
    let Some(p95_increase) = p95_increase else { return Grade::Insufficient };
    let (Some(before), Some(after)) = (part_p95s(outcome, first), part_p95s(outcome, last)) else {
        return Grade::Insufficient;
    };
    if p95_increase <= limit.below_percent {
        return Grade::Pass;
    }
    if rank_tests::mann_whitney_greater(&before, &after) <= ALPHA {
        Grade::Fail
    } else {
        Grade::Warning
    }
}

/// Returns the first and the last window. They are shorter than the limit's where the run is short.
fn windows(outcome: &Outcome, limit: DriftLimit) -> Option<(Range<u32>, Range<u32>)> {
    let judged = outcome.judged_span();
    let length = limit.window_s.min((judged.end.saturating_sub(judged.start)) / 2);
    if length < PARTS {
        return None;
    }
    let first = judged.start..judged.start + length;
    let last = judged.end - length..judged.end;
    same_load(outcome, &judged).then_some((first, last))
}

/// Returns whether all judged stages hold the same load. Effects of a heavier stage are not drift.
fn same_load(outcome: &Outcome, judged: &Range<u32>) -> bool {
    let mut stages = outcome.load.stages.iter().filter(|stage| judged.contains(&stage.from_s));
    let Some(first) = stages.next() else { return false };
    let load = |stage: &Stage| (stage.from_users, stage.to_users, stage.from_rate, stage.to_rate);
    let held = first.from_users == first.to_users && first.from_rate == first.to_rate;
    held && stages.all(|stage| load(stage) == load(first))
}

fn p95(outcome: &Outcome, seconds: &Range<u32>) -> Option<f64> {
    let latency = outcome.tally_in(seconds).latency;
    latency.quantile_ms(0.95).filter(|_| latency.len() >= MIN_REQUESTS)
}

fn part_p95s(outcome: &Outcome, seconds: &Range<u32>) -> Option<Vec<f64>> {
    let length = seconds.end - seconds.start;
    let start = |part: u32| seconds.start + length * part / PARTS;
    (0..PARTS).map(|part| p95(outcome, &(start(part)..start(part + 1)))).collect()
}

fn memory(outcome: &Outcome, seconds: &Range<u32>) -> Option<f64> {
    let samples = outcome.samples.iter().filter(|sample| seconds.contains(&sample.second));
    let bytes: Vec<f64> = samples.filter_map(|sample| sample.service.memory_bytes).collect();
    median(&bytes)
}

fn increase_percent(windows: Option<(f64, f64)>) -> Option<f64> {
    windows
        .map(|(before, after)| (after / before - 1.0) * 100.0)
        .filter(|increase| increase.is_finite())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{distribution::Distribution, report::example};

    const LIMIT: DriftLimit = DriftLimit { below_percent: 20.0, window_s: 300 };

    fn slowed(percent_per_second: u64) -> Outcome {
        let mut outcome = example::outcome();
        for cell in outcome.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.cells) {
            let mut latency = Distribution::default();
            for extra in 0..20 {
                let micros =
                    10_000 + extra * 10 + u64::from(cell.second) * percent_per_second * 100;
                latency.record(Duration::from_micros(micros));
            }
            cell.latency = latency;
        }
        outcome
    }

    #[test]
    fn a_steady_service_does_not_drift() {
        let drift = Drift::detect(&slowed(0), LIMIT).unwrap();
        assert_eq!(drift.grade, Grade::Pass, "{}", drift.summary);
    }

    #[test]
    fn p95_that_increases_by_more_than_the_limit_fails() {
        let drift = Drift::detect(&slowed(4), LIMIT).unwrap();
        assert_eq!(drift.grade, Grade::Fail, "{}", drift.summary);
    }

    #[test]
    fn memory_above_the_limit_fails_regardless_of_latency() {
        let mut outcome = slowed(0);
        for sample in outcome.samples.iter_mut().filter(|sample| sample.second > 20) {
            sample.service.memory_bytes = sample.service.memory_bytes.map(|bytes| bytes * 1.5);
        }
        assert_eq!(Drift::detect(&outcome, LIMIT).unwrap().grade, Grade::Fail);
    }

    #[test]
    fn a_short_latency_spike_at_the_end_is_only_a_warning() {
        let mut outcome = slowed(0);
        for endpoint in &mut outcome.endpoints {
            for cell in endpoint.cells.iter_mut().filter(|cell| cell.second >= 32) {
                for _ in 0..30 {
                    cell.latency.record(Duration::from_millis(90));
                }
            }
        }
        let drift = Drift::detect(&outcome, LIMIT).unwrap();
        assert_eq!(drift.grade, Grade::Warning, "{}", drift.summary);
    }

    #[test]
    fn a_run_of_ten_seconds_has_two_windows_and_a_shorter_one_has_none() {
        let mut outcome = slowed(0);
        let from = outcome.load.stages[1].from_s;
        outcome.load.stages[1].to_s = from + 10;
        let found = windows(&outcome, LIMIT);
        assert_eq!(found, Some((from..from + 5, from + 5..from + 10)));
        outcome.load.stages[1].to_s = from + 9;
        assert_eq!(windows(&outcome, LIMIT), None);
    }

    #[test]
    fn different_loads_are_not_compared() {
        let mut outcome = slowed(0);
        outcome.load.stages[1].to_users /= 2;
        assert_eq!(Drift::detect(&outcome, LIMIT), None);
    }
}
