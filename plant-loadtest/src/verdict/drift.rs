//! Drift: latency, completion time or memory that increases during the run.

use std::ops::Range;

use super::Grade;
use crate::{
    distribution::Distribution,
    duration,
    load::Stage,
    outcome::{Completion, Outcome},
    sla::{DriftLimit, format_ms},
    statistics::{median, rank_tests},
};

/// Parts of each window. Their P95 are the observations of the significance test.
const PARTS: u32 = 5;

/// Requests, or items of accepted work, needed for a P95.
const MIN_REQUESTS: u64 = 20;

/// Significance level: false-positive rate for a service without drift.
const ALPHA: f64 = 0.05;

/// Comparison of the last window of a run with the first one.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// The first of these that applies:
    ///
    /// 1. FAIL: memory increased by more than the limit, or the increase of a P95 beyond it is significant
    ///    (see [`Drift::detect`]).
    /// 2. INSUFFICIENT: a window or one of its five parts has fewer than 20 requests, or fewer than 20
    ///    items of a kind of accepted work, or its times are not all known.
    /// 3. WARNING: the increase of a P95 beyond the limit is not significant.
    /// 4. PASS: every P95 increased by no more than the limit.
    pub grade: Grade,
    /// P95 of the latency of all requests in the first and in the last window, in milliseconds.
    pub p95_ms: Option<(f64, f64)>,
    /// P95 of the completion time of each kind of accepted work, by its name: of what was accepted in the
    /// first and in the last window, in milliseconds.
    pub completion_p95_ms: Vec<(String, Option<(f64, f64)>)>,
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
    /// The increase of a P95 is significant if a Mann–Whitney test of the P95 of the five parts of each
    /// window has a p-value of at most 0.05.
    #[must_use]
    pub fn detect(outcome: &Outcome, limit: DriftLimit) -> Option<Self> {
        let (first, last) = windows(outcome, limit)?;
        let windows = Windows { first, last };
        let requests = windows.compare(limit, |seconds| outcome.tally_in(seconds).latency);
        let mut latencies = vec![("P95".to_owned(), requests)];
        latencies.extend(outcome.completions.iter().map(|completion| {
            let mut compared =
                windows.compare(limit, |seconds| completion_times(completion, seconds));
            if windows.have_unknown(completion) {
                compared.grade = compared.grade.max(Grade::Insufficient);
            }
            (format!("P95 of {}", completion.work), compared)
        }));
        let memory_bytes = memory(outcome, &windows.first).zip(memory(outcome, &windows.last));
        let memory_increase = increase_percent(memory_bytes);
        let memory_grade = match memory_increase {
            Some(increase) if increase > limit.below_percent => Grade::Fail,
            _ => Grade::Pass,
        };
        let grades = latencies.iter().map(|(_, compared)| compared.grade);
        let grade = grades.fold(memory_grade, Grade::max);
        let mut changes: Vec<String> = latencies.iter().filter_map(describe).collect();
        if let (Some((before, after)), Some(increase)) = (memory_bytes, memory_increase) {
            let mib = |bytes: f64| bytes / 1_048_576.0;
            changes.push(format!(
                "memory {:.1} → {:.1} MiB ({increase:+.0} %)",
                mib(before),
                mib(after)
            ));
        }
        let length = duration::format(u64::from(windows.first.end - windows.first.start));
        let summary = match (grade, changes.is_empty()) {
            (_, true) => "too few requests in the first and last windows".into(),
            (Grade::Warning, _) => {
                format!(
                    "first and last {length}: {}; not statistically significant",
                    changes.join(", ")
                )
            }
            _ => format!("first and last {length}: {}", changes.join(", ")),
        };
        let completions = latencies.split_off(1).into_iter().zip(&outcome.completions);
        let completion_p95_ms = completions
            .map(|((_, compared), completion)| (completion.work.clone(), compared.p95_ms))
            .collect();
        let p95_ms = latencies.first().and_then(|(_, requests)| requests.p95_ms);
        Some(Self { grade, p95_ms, completion_p95_ms, memory_bytes, summary })
    }
}

/// The first and the last window of the judged span.
struct Windows {
    first: Range<u32>,
    last: Range<u32>,
}

/// Latencies of the last window, compared with those of the first one.
struct Compared {
    grade: Grade,
    p95_ms: Option<(f64, f64)>,
}

impl Windows {
    /// Compares the latencies that `latency` returns for a range of seconds.
    fn compare(
        &self,
        limit: DriftLimit,
        latency: impl Fn(&Range<u32>) -> Distribution,
    ) -> Compared {
        let p95_ms = p95(&latency(&self.first)).zip(p95(&latency(&self.last)));
        let parts = |window| part_p95s(window, &latency);
        let grade = match (increase_percent(p95_ms), parts(&self.first), parts(&self.last)) {
            (Some(increase), Some(before), Some(after)) => {
                if increase <= limit.below_percent {
                    Grade::Pass
                } else if rank_tests::mann_whitney_greater(&before, &after) <= ALPHA {
                    Grade::Fail
                } else {
                    Grade::Warning
                }
            }
            _ => Grade::Insufficient,
        };
        Compared { grade, p95_ms }
    }
}

impl Windows {
    /// Returns whether the times of some of the work that was accepted in a window are not known.
    fn have_unknown(&self, completion: &Completion) -> bool {
        [&self.first, &self.last].into_iter().any(|seconds| {
            completion.not_credible_in(seconds) + completion.cut_short_in(seconds) > 0
        })
    }
}

/// Describes the change of a P95 with this `name`; `None` if it was not measured.
fn describe((name, compared): &(String, Compared)) -> Option<String> {
    let ((before, after), increase) = compared.p95_ms.zip(increase_percent(compared.p95_ms))?;
    Some(format!("{name} {} → {} ({increase:+.0} %)", format_ms(before), format_ms(after)))
}

fn completion_times(completion: &Completion, seconds: &Range<u32>) -> Distribution {
    completion.tally_in(seconds).latency
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

fn p95(latency: &Distribution) -> Option<f64> {
    latency.quantile_ms(0.95).filter(|_| latency.len() >= MIN_REQUESTS)
}

fn part_p95s(
    seconds: &Range<u32>,
    latency: impl Fn(&Range<u32>) -> Distribution,
) -> Option<Vec<f64>> {
    let length = seconds.end - seconds.start;
    let start = |part: u32| seconds.start + length * part / PARTS;
    (0..PARTS).map(|part| p95(&latency(&(start(part)..start(part + 1))))).collect()
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
    use crate::{outcome::CompletionCell, report::example};

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

    /// Adds accepted work to a service without drift: 20 items a second, which take the longer the later
    /// they were accepted.
    fn with_work(percent_per_second: u64) -> Outcome {
        let mut outcome = slowed(0);
        let cells = (0..outcome.planned_seconds()).map(|second| {
            let mut latency = Distribution::default();
            for extra in 0..20 {
                let micros = 50_000 + extra * 10 + u64::from(second) * percent_per_second * 500;
                latency.record(Duration::from_micros(micros));
            }
            CompletionCell { second, accepted: 20, completed: 20, latency, ..Default::default() }
        });
        outcome.completions = vec![Completion {
            work: "mail".into(),
            drain_s: Some(0.0),
            cells: cells.collect(),
            ..Completion::default()
        }];
        outcome
    }

    #[test]
    fn completion_that_takes_longer_at_the_end_is_drift_although_requests_do_not() {
        let steady = Drift::detect(&with_work(0), LIMIT).unwrap();
        assert_eq!(steady.grade, Grade::Pass, "{}", steady.summary);
        let slower = Drift::detect(&with_work(4), LIMIT).unwrap();
        assert_eq!(slower.grade, Grade::Fail, "{}", slower.summary);
        assert!(slower.summary.contains("P95 of mail "), "{}", slower.summary);
        assert!(slower.completion_p95_ms[0].1.is_some());
        let mut unknown = with_work(0);
        unknown.completions[0].cells.last_mut().unwrap().not_credible = 1;
        let second = unknown.judged_span().end - 1;
        unknown.completions[0].cells.last_mut().unwrap().second = second;
        assert_eq!(Drift::detect(&unknown, LIMIT).unwrap().grade, Grade::Insufficient);
        let mut few = with_work(0);
        few.completions[0].cells.truncate(1);
        assert_eq!(Drift::detect(&few, LIMIT).unwrap().grade, Grade::Insufficient);
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
        assert!(drift.summary.ends_with("; not statistically significant"), "{}", drift.summary);
    }

    #[test]
    fn a_ramp_of_the_rate_is_not_compared() {
        let mut outcome = slowed(0);
        let stage = &mut outcome.load.stages[1];
        (stage.from_rate, stage.to_rate) = (10.0, 20.0);
        assert_eq!(Drift::detect(&outcome, LIMIT), None);
    }

    #[test]
    fn the_summary_names_the_windows_and_what_changed_between_them() {
        let mut outcome = slowed(0);
        for sample in &mut outcome.samples {
            let mib = if sample.second < 20 { 100.0 } else { 150.0 };
            sample.service.memory_bytes = Some(mib * 1_048_576.0);
        }
        let drift = Drift::detect(&outcome, LIMIT).unwrap();
        let expected =
            "first and last 15s: P95 10.2 ms → 10.2 ms (+0 %), memory 100.0 → 150.0 MiB (+50 %)";
        assert_eq!((drift.grade, drift.summary.as_str()), (Grade::Fail, expected));
        // An increase of exactly the limit is none beyond it.
        let half = DriftLimit { below_percent: 50.0, ..LIMIT };
        assert_eq!(Drift::detect(&outcome, half).unwrap().grade, Grade::Pass);
        outcome.endpoints.clear();
        for sample in &mut outcome.samples {
            sample.service.memory_bytes = None;
        }
        let nothing = Drift::detect(&outcome, LIMIT).unwrap();
        let expected = "too few requests in the first and last windows";
        assert_eq!((nothing.grade, nothing.summary.as_str()), (Grade::Insufficient, expected));
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
        // Two stages that hold the load, the second one with more or with as many users.
        for (more, is_compared) in [(0, true), (10, false)] {
            let mut outcome = slowed(0);
            let first = &mut outcome.load.stages[1];
            let end = first.to_s;
            first.to_s -= 10;
            let mut second = Stage { from_s: end - 10, to_s: end, ..first.clone() };
            second.from_users += more;
            second.to_users += more;
            outcome.load.stages.push(second);
            assert_eq!(Drift::detect(&outcome, LIMIT).is_some(), is_compared, "{more}");
        }
    }
}
