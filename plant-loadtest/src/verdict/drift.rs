//! Whether the service gets slower or larger the longer it runs.

use std::ops::Range;

use super::Grade;
use crate::{
    outcome::Outcome,
    profile::Stage,
    sla::milliseconds,
    statistics::{median, ranks},
    timespan,
};

/// Each end of the run is cut into so many parts, to see whether they differ by more than chance.
const PARTS: u32 = 5;

/// A part with fewer requests has no P95.
const LEAST_REQUESTS: u64 = 20;

/// How likely chance may call a steady service slower.
const ALPHA: f64 = 0.05;

/// How much worse the end of a run may be than its beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// In percent of the beginning's figure.
    pub percent: f64,
    /// How long the beginning and the end are, in seconds.
    pub window_s: u32,
}

/// The last minutes against the first ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// FAIL: worse by more than the limit, and not by chance. WARNING: P95 is worse by more than
    /// the limit, but chance could do that. INSUFFICIENT: too little to say.
    pub grade: Grade,
    /// P95 of the beginning and of the end, in milliseconds.
    pub p95_ms: Option<(f64, f64)>,
    /// Memory of the beginning and of the end, in bytes.
    pub memory_bytes: Option<(f64, f64)>,
    /// In words.
    pub sentence: String,
}

impl Drift {
    /// Compares the judged seconds' last window with their first one; `None` when the load was not
    /// the same in both, or when there is no time for two windows.
    #[must_use]
    pub fn of(outcome: &Outcome, limit: Limit) -> Option<Self> {
        let (first, last) = windows(outcome, limit)?;
        let p95_ms = p95(outcome, &first).zip(p95(outcome, &last));
        let memory_bytes = memory(outcome, &first).zip(memory(outcome, &last));
        let slower = percent_more(p95_ms);
        let larger = percent_more(memory_bytes);
        let grade = grade(outcome, limit, &first, &last, slower, larger);
        let length = timespan::display(u64::from(first.end - first.start));
        let mut said = Vec::new();
        if let (Some((before, after)), Some(more)) = (p95_ms, slower) {
            said.push(format!(
                "P95 {} → {} ({more:+.0} %)",
                milliseconds(before),
                milliseconds(after)
            ));
        }
        if let (Some((before, after)), Some(more)) = (memory_bytes, larger) {
            let mib = |bytes: f64| bytes / 1_048_576.0;
            said.push(format!("memory {:.1} → {:.1} MiB ({more:+.0} %)", mib(before), mib(after)));
        }
        let sentence = match (grade, said.is_empty()) {
            (_, true) => "too few requests in the first and last windows".into(),
            (Grade::Insufficient, _) => {
                format!("first and last {length}: {}", said.join(", "))
            }
            (Grade::Warning, _) => {
                format!("first and last {length}: {}; chance could do that", said.join(", "))
            }
            _ => format!("first and last {length}: {}", said.join(", ")),
        };
        Some(Self { grade, p95_ms, memory_bytes, sentence })
    }
}

fn grade(
    outcome: &Outcome,
    limit: Limit,
    first: &Range<u32>,
    last: &Range<u32>,
    slower: Option<f64>,
    larger: Option<f64>,
) -> Grade {
    if larger.is_some_and(|more| more > limit.percent) {
        return Grade::Fail;
    }
    let Some(slower) = slower else { return Grade::Insufficient };
    let (Some(before), Some(after)) = (parts(outcome, first), parts(outcome, last)) else {
        return Grade::Insufficient;
    };
    if slower <= limit.percent {
        return Grade::Pass;
    }
    if ranks::p_greater(&before, &after) <= ALPHA { Grade::Fail } else { Grade::Warning }
}

/// The first and the last window, shorter than the limit's where the run is short.
fn windows(outcome: &Outcome, limit: Limit) -> Option<(Range<u32>, Range<u32>)> {
    let judged = outcome.judged_seconds();
    let length = limit.window_s.min((judged.end.saturating_sub(judged.start)) / 2);
    if length < PARTS {
        return None;
    }
    let first = judged.start..judged.start + length;
    let last = judged.end - length..judged.end;
    same_load(outcome, &judged).then_some((first, last))
}

/// Whether the judged stages all hold one load. What a heavier stage leaves behind is no drift.
fn same_load(outcome: &Outcome, judged: &Range<u32>) -> bool {
    let mut stages = outcome.load.stages.iter().filter(|stage| judged.contains(&stage.from_s));
    let Some(first) = stages.next() else { return false };
    let load = |stage: &Stage| (stage.from_users, stage.to_users, stage.from_rate, stage.to_rate);
    let held = first.from_users == first.to_users && first.from_rate == first.to_rate;
    held && stages.all(|stage| load(stage) == load(first))
}

fn p95(outcome: &Outcome, seconds: &Range<u32>) -> Option<f64> {
    let latency = outcome.over(seconds).latency;
    latency.quantile_ms(0.95).filter(|_| latency.len() >= LEAST_REQUESTS)
}

fn parts(outcome: &Outcome, seconds: &Range<u32>) -> Option<Vec<f64>> {
    let length = seconds.end - seconds.start;
    let edge = |part: u32| seconds.start + length * part / PARTS;
    (0..PARTS).map(|part| p95(outcome, &(edge(part)..edge(part + 1)))).collect()
}

fn memory(outcome: &Outcome, seconds: &Range<u32>) -> Option<f64> {
    let samples = outcome.samples.iter().filter(|sample| seconds.contains(&sample.second));
    let bytes: Vec<f64> = samples.filter_map(|sample| sample.service.memory_bytes).collect();
    median(&bytes)
}

fn percent_more(ends: Option<(f64, f64)>) -> Option<f64> {
    ends.map(|(before, after)| (after / before - 1.0) * 100.0).filter(|more| more.is_finite())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{distribution::Distribution, report::example};

    const FIFTH: Limit = Limit { percent: 20.0, window_s: 300 };

    fn slowed(percent_a_second: u64) -> Outcome {
        let mut outcome = example::outcome();
        for second in outcome.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.seconds) {
            let mut latency = Distribution::default();
            for extra in 0..20 {
                let micros =
                    10_000 + extra * 10 + u64::from(second.second) * percent_a_second * 100;
                latency.record(Duration::from_micros(micros));
            }
            second.latency = latency;
        }
        outcome
    }

    #[test]
    fn a_steady_service_does_not_drift() {
        let drift = Drift::of(&slowed(0), FIFTH).unwrap();
        assert_eq!(drift.grade, Grade::Pass, "{}", drift.sentence);
    }

    #[test]
    fn a_service_that_gets_slower_by_more_than_the_limit_fails() {
        let drift = Drift::of(&slowed(4), FIFTH).unwrap();
        assert_eq!(drift.grade, Grade::Fail, "{}", drift.sentence);
    }

    #[test]
    fn more_memory_than_the_limit_fails_whatever_the_latency() {
        let mut outcome = slowed(0);
        for sample in outcome.samples.iter_mut().filter(|sample| sample.second > 20) {
            sample.service.memory_bytes = sample.service.memory_bytes.map(|bytes| bytes * 1.5);
        }
        assert_eq!(Drift::of(&outcome, FIFTH).unwrap().grade, Grade::Fail);
    }

    #[test]
    fn a_single_bad_moment_at_the_end_is_only_a_warning() {
        let mut outcome = slowed(0);
        for endpoint in &mut outcome.endpoints {
            for second in endpoint.seconds.iter_mut().filter(|second| second.second >= 32) {
                for _ in 0..30 {
                    second.latency.record(Duration::from_millis(90));
                }
            }
        }
        let drift = Drift::of(&outcome, FIFTH).unwrap();
        assert_eq!(drift.grade, Grade::Warning, "{}", drift.sentence);
    }

    #[test]
    fn different_loads_are_not_compared() {
        let mut outcome = slowed(0);
        outcome.load.stages[1].to_users /= 2;
        assert_eq!(Drift::of(&outcome, FIFTH), None);
    }
}
