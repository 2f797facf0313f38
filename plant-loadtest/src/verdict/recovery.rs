//! Recovery: the time until the service is back at its baseline after a load spike.

use std::ops::Range;

use super::Grade;
use crate::{
    load::{Model, Stage},
    outcome::{Outcome, Tally},
    sla::format_ms,
    statistics::median,
};

/// Requests needed for a P95.
const MIN_REQUESTS: u64 = 20;

/// Shortest sliding window over the time after the spike, in seconds.
const MIN_WINDOW_S: u32 = 5;

/// Longest sliding window, in seconds. Low request rates need longer windows for a P95.
const MAX_WINDOW_S: u32 = 60;

/// Queue depth above the baseline that is always tolerated.
const QUEUE_TOLERANCE: f64 = 1.0;

/// Error rate above the baseline that is always tolerated, as a fraction.
const ERROR_TOLERANCE: f64 = 0.01;

/// Recovery after a load spike, or settling after a ramp.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// `recovery`, or `settling` where the load stayed at its new level.
    pub name: &'static str,
    /// INSUFFICIENT: the baseline has fewer than 20 requests, or the time after the spike or ramp is
    /// shorter than two windows. Otherwise PASS: the service was back at the baseline within that
    /// time. FAIL: it was not.
    pub grade: Grade,
    /// Seconds from the end of the spike or ramp until P95 and queue depth were back at the baseline;
    /// `None` when they were not.
    pub seconds: Option<u32>,
    /// Baseline P95, in milliseconds.
    pub baseline_p95_ms: Option<f64>,
    /// Summary for reports.
    pub summary: String,
}

impl Recovery {
    /// Finds the first second after a load spike or a ramp at which the service is back at its
    /// baseline. `None` if the run has neither:
    ///
    /// - Recovery, after a spike. Starts at the end of the last stage with the highest load. The
    ///   baseline is the last stage of constant load before the first stage with the highest load.
    /// - Settling, if there is no spike and the last stage is a constant load after a ramp. Starts
    ///   with that stage, and must be complete in its first half. Its second half is the baseline.
    ///
    /// The service is back at its baseline if all of this is true in the window that starts at that
    /// second, and also in the period of three windows that starts there (at the end of the run it is
    /// shorter):
    ///
    /// - There are at least 20 requests.
    /// - Their P95 exceeds that of the baseline by at most `percent`.
    /// - Their error rate exceeds that of the baseline by at most one percentage point.
    /// - The median queue depth exceeds that of the baseline by at most `percent` or by at most 1.
    ///   Without a queue depth in the baseline this is not checked.
    ///
    /// A window is long enough for about 40 requests, and 5 to 60 s long.
    #[must_use]
    pub fn detect(outcome: &Outcome, percent: f64) -> Option<Self> {
        let Spike { name, stage, baseline, after } =
            find_spike(outcome).or_else(|| find_ramp(outcome))?;
        let tally = outcome.tally_in(&baseline);
        let baseline_p95_ms =
            tally.latency.quantile_ms(0.95).filter(|_| tally.latency.len() >= MIN_REQUESTS);
        let Some(p95) = baseline_p95_ms else {
            let summary = format!("too few requests for a baseline around {stage}");
            let grade = Grade::Insufficient;
            return Some(Self { name, grade, seconds: None, baseline_p95_ms, summary });
        };
        let allowed = 1.0 + percent / 100.0;
        let baseline_queue = queue_depth(outcome, &baseline);
        let criteria = RecoveryCriteria {
            p95_ms: p95 * allowed,
            error_fraction: error_fraction(&tally) + ERROR_TOLERANCE,
            queue: baseline_queue.map(|depth| (depth * allowed).max(depth + QUEUE_TOLERANCE)),
        };
        let window = window_length(outcome, &after);
        let seconds = after
            .clone()
            .take_while(|second| second + window <= after.end)
            .find(|second| {
                let (short, long) = (second + window, (second + 3 * window).min(after.end));
                criteria.is_met(outcome, &(*second..short))
                    && criteria.is_met(outcome, &(*second..long))
            })
            .map(|second| second - after.start);
        let length = after.end.saturating_sub(after.start);
        let (grade, summary) = match seconds {
            _ if length < 2 * window => {
                (Grade::Insufficient, format!("{length} s after {stage} are too short to judge"))
            }
            Some(seconds) => (
                Grade::Pass,
                format!(
                    "baseline reached {seconds} s after {stage} (P95 {}, windows of {window} s)",
                    format_ms(p95)
                ),
            ),
            None => (
                Grade::Fail,
                format!(
                    "baseline not reached within {length} s after {stage} (P95 {})",
                    format_ms(p95)
                ),
            ),
        };
        Some(Self { name, grade, seconds, baseline_p95_ms, summary })
    }
}

/// Name of a finding about the time after a spike.
pub(super) const RECOVERY: &str = "recovery";
const SETTLING: &str = "settling";

/// A load spike or ramp, with the time ranges to compare in seconds.
struct Spike {
    name: &'static str,
    /// Name of the stage, in quotation marks.
    stage: String,
    baseline: Range<u32>,
    after: Range<u32>,
}

/// Highest values that count as recovered.
struct RecoveryCriteria {
    p95_ms: f64,
    error_fraction: f64,
    queue: Option<f64>,
}

impl RecoveryCriteria {
    fn is_met(&self, outcome: &Outcome, seconds: &Range<u32>) -> bool {
        let tally = outcome.tally_in(seconds);
        let latency = &tally.latency;
        let fast = latency.len() >= MIN_REQUESTS
            && latency.quantile_ms(0.95).is_some_and(|p95| p95 <= self.p95_ms);
        let drained = match (self.queue, queue_depth(outcome, seconds)) {
            (Some(max), Some(depth)) => depth <= max,
            (Some(_), None) => false,
            (None, _) => true,
        };
        fast && drained && error_fraction(&tally) <= self.error_fraction
    }
}

/// Finds the stages with the highest load, and the time after them. The baseline is the last stage
/// of constant load before them.
fn find_spike(outcome: &Outcome) -> Option<Spike> {
    let stages = &outcome.load.stages;
    let load = |stage: &Stage| match outcome.load.model {
        Model::Closed => (f64::from(stage.from_users), f64::from(stage.to_users)),
        Model::Open => (stage.from_rate, stage.to_rate),
    };
    let peak = stages.iter().map(|stage| load(stage).1).reduce(f64::max)?;
    let at_peak = |stage: &Stage| load(stage).1 == peak;
    let last = stages.iter().rposition(at_peak)?;
    let first = stages.iter().position(at_peak)?;
    let constant = |stage: &&Stage| load(stage).0 == load(stage).1 && load(stage).1 > 0.0;
    let baseline = stages[..first].iter().rfind(constant)?;
    let end = stages[last].to_s;
    let until = stages.last()?.to_s.min(duration_s(outcome));
    (end < until).then(|| Spike {
        name: RECOVERY,
        stage: format!("\u{201c}{}\u{201d}", stages[last].name),
        baseline: baseline.seconds(),
        after: end..until,
    })
}

/// Finds a ramp, up or down, followed by a stage of constant load that ends the run.
fn find_ramp(outcome: &Outcome) -> Option<Spike> {
    let [.., ramp, hold] = &outcome.load.stages[..] else { return None };
    let changes =
        |stage: &Stage| (stage.from_users, stage.from_rate) != (stage.to_users, stage.to_rate);
    let until = hold.to_s.min(duration_s(outcome));
    let middle = u32::midpoint(hold.from_s, until);
    (changes(ramp) && !changes(hold) && middle >= hold.from_s + 2 * MIN_WINDOW_S).then(|| Spike {
        name: SETTLING,
        stage: format!("\u{201c}{}\u{201d}", ramp.name),
        baseline: middle..until,
        after: hold.from_s..middle,
    })
}

/// Returns the length of a window in seconds: the time for twice the requests needed for a P95, at
/// the mean request rate of `after`.
fn window_length(outcome: &Outcome, after: &Range<u32>) -> u32 {
    let requests = outcome.tally_in(after).latency.len().max(1);
    let seconds = u64::from(after.end - after.start) * MIN_REQUESTS * 2 / requests;
    u32::try_from(seconds).unwrap_or(MAX_WINDOW_S).clamp(MIN_WINDOW_S, MAX_WINDOW_S)
}

#[expect(clippy::cast_precision_loss, reason = "requests of a run stay below 2^53")]
fn error_fraction(tally: &Tally) -> f64 {
    tally.counts.errors() as f64 / tally.counts.finished().max(1) as f64
}

fn queue_depth(outcome: &Outcome, seconds: &Range<u32>) -> Option<f64> {
    let samples = outcome.samples.iter().filter(|sample| seconds.contains(&sample.second));
    let depths: Vec<f64> = samples.filter_map(|sample| sample.service.queue_depth).collect();
    median(&depths)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and a float's cast to an integer saturates"
)]
fn duration_s(outcome: &Outcome) -> u32 {
    outcome.duration_s.ceil() as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        outcome::{Counts, EndpointCell, ResourceSample},
        report::example,
    };

    fn stage(name: &str, users: (u32, u32), seconds: Range<u32>) -> Stage {
        let mut stage = example::outcome().load.stages.remove(0);
        (stage.name, stage.from_users, stage.to_users) = (name.into(), users.0, users.1);
        (stage.from_s, stage.to_s) = (seconds.start, seconds.end);
        stage
    }

    /// Returns a run of 30 s constant load, a spike of 10 s and 40 s after it. Responses are slow from
    /// 30 s to `slow_until`, and the queue is not empty from 30 s to `queue_until`.
    fn spiked(slow_until: u32, queue_until: u32) -> Outcome {
        let mut outcome = example::outcome();
        outcome.duration_s = 80.0;
        outcome.load.stages = vec![
            stage("hold", (10, 10), 0..30),
            stage("spike", (10, 50), 30..40),
            stage("recovery", (10, 10), 40..80),
        ];
        outcome.endpoints.truncate(1);
        outcome.endpoints[0].cells = (0..80)
            .map(|second| {
                let slow = (30..slow_until).contains(&second);
                let mut cell = EndpointCell { second, ..EndpointCell::default() };
                cell.counts = Counts { sent: 20, succeeded: 20, ..Counts::default() };
                for step in 0..20 {
                    let millis = if slow { 400 } else { 20 + step / 10 };
                    cell.latency.record(Duration::from_millis(millis));
                }
                cell
            })
            .collect();
        outcome.samples = (0..80)
            .map(|second| {
                let mut sample = ResourceSample { second, users: 10, ..ResourceSample::default() };
                let queued = (30..queue_until).contains(&second);
                sample.service.queue_depth = Some(if queued { 500.0 } else { 0.0 });
                sample
            })
            .collect();
        outcome
    }

    #[test]
    fn recovery_time_counts_from_the_end_of_the_spike() {
        let recovery = Recovery::detect(&spiked(52, 30), 10.0).unwrap();
        assert_eq!((recovery.grade, recovery.seconds), (Grade::Pass, Some(12)));
    }

    #[test]
    fn a_single_queued_job_above_an_empty_baseline_is_tolerated() {
        let mut outcome = spiked(42, 30);
        let set_depth = |outcome: &mut Outcome, depth: f64| {
            for sample in outcome.samples.iter_mut().filter(|sample| sample.second >= 40) {
                sample.service.queue_depth = Some(depth);
            }
        };
        set_depth(&mut outcome, 1.0);
        assert_eq!(Recovery::detect(&outcome, 10.0).unwrap().grade, Grade::Pass);
        set_depth(&mut outcome, 2.0);
        assert_eq!(Recovery::detect(&outcome, 10.0).unwrap().grade, Grade::Fail);
        // Above a longer queue the percentage is.
        for sample in outcome.samples.iter_mut().filter(|sample| sample.second < 30) {
            sample.service.queue_depth = Some(100.0);
        }
        for (depth, grade) in [(109.0, Grade::Pass), (112.0, Grade::Fail)] {
            set_depth(&mut outcome, depth);
            assert_eq!(Recovery::detect(&outcome, 10.0).unwrap().grade, grade, "{depth}");
        }
    }

    #[test]
    fn fast_errors_and_an_unseen_queue_are_no_recovery() {
        let mut failing = spiked(42, 30);
        for cell in failing.endpoints[0].cells.iter_mut().filter(|cell| cell.second >= 40) {
            (cell.counts.succeeded, cell.counts.server_errors) = (20, 20);
        }
        assert_eq!(Recovery::detect(&failing, 10.0).unwrap().grade, Grade::Fail);
        let mut unseen = spiked(42, 42);
        for sample in unseen.samples.iter_mut().filter(|sample| sample.second >= 35) {
            sample.service.queue_depth = None;
        }
        assert_eq!(Recovery::detect(&unseen, 10.0).unwrap().grade, Grade::Fail);
    }

    #[test]
    fn a_queue_above_the_baseline_delays_recovery() {
        let recovery = Recovery::detect(&spiked(45, 60), 10.0).unwrap();
        assert_eq!(recovery.grade, Grade::Pass, "{}", recovery.summary);
        assert!(recovery.seconds.unwrap() > 12, "{}", recovery.summary);
    }

    #[test]
    fn a_service_that_becomes_slow_again_has_not_recovered_before() {
        // Fast from 42 s on, but slow again in these seconds. Three windows are 15 s.
        for (slow, seconds) in [(48..60, 20), (52..56, 16), (60..65, 2)] {
            let mut outcome = spiked(42, 30);
            add_slow(&mut outcome, slow, 20);
            let recovery = Recovery::detect(&outcome, 10.0).unwrap();
            assert_eq!(
                (recovery.grade, recovery.seconds),
                (Grade::Pass, Some(seconds)),
                "{}",
                recovery.summary
            );
        }
    }

    /// Adds slow requests to each of these seconds.
    fn add_slow(outcome: &mut Outcome, seconds: Range<u32>, requests: u64) {
        let cells = outcome.endpoints[0].cells.iter_mut();
        for cell in cells.filter(|cell| seconds.contains(&cell.second)) {
            cell.latency.record_times(Duration::from_millis(400), requests);
        }
    }

    #[test]
    fn a_window_must_be_fast_on_its_own_and_within_the_run() {
        // Few enough for three windows, but not for one.
        let mut outcome = spiked(40, 30);
        add_slow(&mut outcome, 42..43, 12);
        let recovery = Recovery::detect(&outcome, 10.0).unwrap();
        assert_eq!(recovery.seconds, Some(3), "{}", recovery.summary);
        // Fast only in the last three seconds.
        assert_eq!(Recovery::detect(&spiked(77, 30), 10.0).unwrap().grade, Grade::Fail);
    }

    #[test]
    fn one_percentage_point_more_errors_than_before_are_tolerated() {
        for (errors, grade) in [(1, Grade::Pass), (2, Grade::Fail)] {
            let mut outcome = spiked(42, 30);
            let cells = outcome.endpoints[0].cells.iter_mut();
            for cell in cells.filter(|cell| cell.second >= 40 && cell.second % 5 == 0) {
                // Of about 100 requests in five seconds.
                cell.counts.server_errors = errors;
            }
            let recovery = Recovery::detect(&outcome, 10.0).unwrap();
            assert_eq!(recovery.grade, grade, "{errors}: {}", recovery.summary);
        }
    }

    #[test]
    fn latency_within_the_tolerance_is_recovered_and_beyond_it_is_not() {
        for (percent, grade) in [(50.0, Grade::Fail), (2000.0, Grade::Pass)] {
            let recovery = Recovery::detect(&spiked(80, 30), percent).unwrap();
            assert_eq!(recovery.grade, grade, "{percent} %: {}", recovery.summary);
        }
    }

    #[test]
    fn without_enough_requests_or_time_recovery_is_not_decidable() {
        let mut few = spiked(52, 30);
        few.endpoints[0].cells.retain(|cell| cell.second >= 30);
        let recovery = Recovery::detect(&few, 10.0).unwrap();
        assert_eq!((recovery.grade, recovery.baseline_p95_ms), (Grade::Insufficient, None));
        let mut short = spiked(52, 30);
        // Two windows of 5 s are enough.
        for (until, grade) in [(49, Grade::Insufficient), (50, Grade::Fail)] {
            (short.load.stages[2].to_s, short.duration_s) = (until, f64::from(until));
            let recovery = Recovery::detect(&short, 10.0).unwrap();
            assert_eq!(recovery.grade, grade, "{}", recovery.summary);
        }
    }

    #[test]
    fn the_baseline_is_the_last_constant_load_before_the_spike() {
        let baseline = |users: (u32, u32)| {
            let mut outcome = spiked(42, 30);
            outcome.load.stages[0].to_s = 20;
            outcome.load.stages.insert(1, stage("between", users, 20..30));
            find_spike(&outcome).unwrap().baseline
        };
        assert_eq!(baseline((20, 20)), 20..30);
        assert_eq!(baseline((10, 40)), 0..20, "a ramp is none");
        assert_eq!(baseline((0, 0)), 0..20, "a pause is none");
    }

    #[test]
    fn a_service_that_stays_slow_fails() {
        let recovery = Recovery::detect(&spiked(80, 30), 10.0).unwrap();
        assert_eq!((recovery.grade, recovery.seconds), (Grade::Fail, None));
        assert!(recovery.summary.contains("not reached within 40 s"), "{}", recovery.summary);
    }

    #[test]
    fn a_load_that_increases_and_stays_settles() {
        let settling = Recovery::detect(&example::outcome(), 10.0).unwrap();
        assert_eq!((settling.name, settling.grade), ("settling", Grade::Pass));
        let mut constant = example::outcome();
        constant.load.stages.remove(0);
        assert_eq!(Recovery::detect(&constant, 10.0), None, "the load is constant");
        let mut steady = example::outcome();
        steady.load.stages[0].from_users = steady.load.stages[0].to_users;
        assert_eq!(Recovery::detect(&steady, 10.0), None, "so are two stages of the same load");
    }

    #[test]
    fn settling_needs_two_windows_in_the_first_half_of_the_load_after_the_ramp() {
        let mut outcome = example::outcome();
        let from = outcome.load.stages[1].from_s;
        let mut settles = |seconds: u32| {
            outcome.load.stages[1].to_s = from + seconds;
            Recovery::detect(&outcome, 10.0).is_some()
        };
        assert!(settles(20) && !settles(19));
    }

    #[test]
    fn a_spike_that_ends_the_run_has_no_recovery() {
        let mut outcome = spiked(42, 30);
        outcome.load.stages.truncate(2);
        assert_eq!(Recovery::detect(&outcome, 10.0), None);
    }

    #[test]
    fn a_window_is_long_enough_for_forty_requests() {
        let mut outcome = spiked(42, 30);
        for (requests, seconds) in [(20, 5), (2, 20), (1, 40), (0, 60)] {
            for cell in &mut outcome.endpoints[0].cells {
                cell.latency = crate::distribution::Distribution::default();
                cell.latency.record_times(Duration::from_millis(20), requests);
            }
            assert_eq!(window_length(&outcome, &(40..80)), seconds, "{requests} per second");
        }
    }
}
