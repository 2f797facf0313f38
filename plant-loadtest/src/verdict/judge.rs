//! Judges one threshold by an outcome.

use std::{iter, ops::Range};

use super::{
    Grade, JudgedThreshold, Undecided,
    decide::{Decision, decide_error_rate, decide_mean, decide_quantile, decide_value},
    generator, usage,
};
use crate::{
    duration,
    failure::FailureKind,
    load::Stage,
    outcome::{Ended, Outcome, Tally},
    sla::{During, Judging, Metric, Subject, Threshold},
    statistics::binomial::Share,
};

/// Fraction of the seconds in which a resource must have been sampled.
const MIN_COVERAGE: f64 = 0.8;

/// Value of a metric, and how it compares with its limits.
struct Measured {
    value: Option<f64>,
    samples: u64,
    decision: Decision,
}

/// Judges one threshold over all seconds in which it applies.
///
/// A threshold for every window has the grade of its worst window. If not all seconds were run, it can
/// be violated but not met.
pub(super) fn judge(outcome: &Outcome, threshold: &Threshold, judging: Judging) -> JudgedThreshold {
    match threshold.metric {
        Metric::SecondsToHealthy => return judge_health(outcome, threshold),
        Metric::Restarts => return judge_restarts(outcome, threshold),
        Metric::Drain => return judge_drain(outcome, threshold),
        _ => {}
    }
    let planned = spans(outcome, &threshold.during);
    let end = end_of_run(outcome);
    let run = || planned.iter().map(|span| span.start.min(end)..span.end.min(end));
    let run: Vec<Range<u32>> = run().filter(|span| !span.is_empty()).collect();
    let judged = match threshold.window_s {
        None => judge_over(outcome, threshold, &run, judging),
        Some(window_s) => judge_windows(outcome, threshold, &run, window_s, judging),
    };
    let (run_s, planned_s) = (seconds(&run), seconds(&planned));
    if run_s < planned_s && judged.grade == Grade::Pass {
        return judged.not_decidable(format!(
            "only {} of {} were run",
            duration::format(run_s.into()),
            duration::format(planned_s.into())
        ));
    }
    judged
}

/// Judges every window on its own; the worst one decides, of equal ones the first.
fn judge_windows(
    outcome: &Outcome,
    threshold: &Threshold,
    spans: &[Range<u32>],
    window_s: u32,
    judging: Judging,
) -> JudgedThreshold {
    let length = scaled_window(window_s, outcome.load.time_scale);
    let windows = spans.iter().flat_map(|span| windows(span, length));
    let judged = windows.map(|window| JudgedThreshold {
        window: Some(window.clone()),
        ..judge_over(outcome, threshold, &[window], judging)
    });
    // Grades are compared before values, so one window that is not decidable keeps the threshold
    // from being met.
    let worst = judged.reduce(|worst, next| if is_worse(&next, &worst) { next } else { worst });
    worst.unwrap_or_else(|| nothing_measured(threshold))
}

fn is_worse(one: &JudgedThreshold, other: &JudgedThreshold) -> bool {
    let value = |judged: &JudgedThreshold| match judged.measured {
        Some(value) if judged.threshold.metric.higher_is_better() => -value,
        Some(value) => value,
        None => f64::NEG_INFINITY,
    };
    one.grade > other.grade || (one.grade == other.grade && value(one) > value(other))
}

/// Returns the length in seconds of a window of the SLA, scaled like the durations of the run.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and a float's cast to an integer saturates"
)]
fn scaled_window(window_s: u32, time_scale: f64) -> u32 {
    ((f64::from(window_s) * time_scale).ceil() as u32).max(1)
}

/// Returns the windows of `length` seconds in `span`. What remains after the last whole one belongs
/// to it; a shorter span is one window.
fn windows(span: &Range<u32>, length: u32) -> impl Iterator<Item = Range<u32>> + use<> {
    let (from, to) = (span.start, span.end);
    let count = ((to - from) / length).max(1);
    (0..count).map(move |number| {
        let is_last = number + 1 == count;
        from + number * length..if is_last { to } else { from + (number + 1) * length }
    })
}

fn judge_over(
    outcome: &Outcome,
    threshold: &Threshold,
    spans: &[Range<u32>],
    judging: Judging,
) -> JudgedThreshold {
    if seconds(spans) == 0 {
        return nothing_measured(threshold);
    }
    let measured = measure(outcome, threshold, spans, judging);
    let judged = judged(threshold, measured);
    let invalid = generator::cause(outcome, &judged, spans, |threshold, spans| {
        measure(outcome, threshold, spans, judging).decision
    });
    JudgedThreshold { invalid, ..judged }
}

fn judged(threshold: &Threshold, measured: Measured) -> JudgedThreshold {
    let (grade, undecided) = match measured.decision {
        Decision::Met => (Grade::Pass, None),
        Decision::ViolatedWithinTolerance => (Grade::Warning, None),
        Decision::Violated => (Grade::Fail, None),
        Decision::NotDecidable(undecided) => (Grade::Insufficient, Some(undecided)),
    };
    JudgedThreshold {
        threshold: threshold.clone(),
        grade,
        measured: measured.value,
        samples: measured.samples,
        undecided,
        invalid: None,
        window: None,
    }
}

fn nothing_measured(threshold: &Threshold) -> JudgedThreshold {
    let undecided = Undecided { reason: "nothing was measured".into(), samples_needed: None };
    let decision = Decision::NotDecidable(undecided);
    judged(threshold, Measured { value: None, samples: 0, decision })
}

fn measure(
    outcome: &Outcome,
    threshold: &Threshold,
    spans: &[Range<u32>],
    judging: Judging,
) -> Measured {
    let tally = || tally(outcome, &threshold.subject, spans);
    match &threshold.metric {
        Metric::ErrorRate(kinds) => error_rate(outcome, threshold, kinds, spans, judging),
        Metric::Mean => {
            let latency = tally().latency;
            let decision = decide_mean(threshold, &latency, judging);
            Measured { value: latency.mean_ms(), samples: latency.len(), decision }
        }
        Metric::Max => {
            let latency = tally().latency;
            from_value(threshold, latency.max_ms(), latency.len())
        }
        Metric::Throughput => {
            let (rate, responses) = usage::throughput(&tally(), spans);
            from_value(threshold, rate, responses)
        }
        Metric::Resource(resource) => {
            let (value, samples) = usage::resource(outcome, *resource, spans);
            let covered = has_coverage(samples, seconds(spans));
            let measured = from_value(threshold, value, samples);
            if covered || matches!(measured.decision, Decision::Violated) {
                return measured;
            }
            let reason = format!("sampled in {samples} of {} seconds", seconds(spans));
            let undecided = Undecided { reason, samples_needed: None };
            Measured { decision: Decision::NotDecidable(undecided), ..measured }
        }
        metric => {
            let latency = tally().latency;
            let quantile = metric.quantile().unwrap_or_default();
            Measured {
                value: latency.quantile_ms(quantile),
                samples: latency.len(),
                decision: decide_quantile(threshold, &latency, quantile, judging),
            }
        }
    }
}

/// Returns whether `samples`, one a second, cover enough of `seconds`.
fn has_coverage(samples: u64, seconds: u32) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "samples of a run stay below 2^53")]
    let samples = samples as f64;
    // The first and the last second may have none.
    samples + 2.0 >= f64::from(seconds) * MIN_COVERAGE
}

/// Measures an error rate. Dropped arrivals, which waited for the whole request timeout, count as
/// timeouts of all requests.
fn error_rate(
    outcome: &Outcome,
    threshold: &Threshold,
    kinds: &[FailureKind],
    spans: &[Range<u32>],
    judging: Judging,
) -> Measured {
    let counts = tally(outcome, &threshold.subject, spans).counts;
    let errors: u64 = kinds.iter().map(|kind| counts.failures(*kind)).sum();
    let counts_dropped =
        threshold.subject == Subject::AllRequests && kinds.contains(&FailureKind::TimedOut);
    let dropped = if counts_dropped { generator::arrivals(outcome, spans).dropped } else { 0 };
    let failed =
        Share { count: errors + dropped, total: counts.succeeded + counts.errors() + dropped };
    let value = (failed.total > 0).then(|| failed.fraction() * 100.0);
    Measured {
        value,
        samples: failed.total,
        decision: decide_error_rate(threshold, failed, judging),
    }
}

/// Compares a value for which a single sample is enough.
fn from_value(threshold: &Threshold, value: Option<f64>, samples: u64) -> Measured {
    let decision = value.map_or_else(
        || {
            Decision::NotDecidable(Undecided {
                reason: "not measured".into(),
                samples_needed: None,
            })
        },
        |value| decide_value(threshold, value),
    );
    Measured { value, samples, decision }
}

fn judge_health(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    let value = outcome.target.healthy_after_s;
    let measured = match value {
        // A killed run could not query /health after the load.
        None if outcome.ended == Ended::Killed => from_value(threshold, None, 0),
        None => Measured { value, samples: 1, decision: Decision::Violated },
        Some(_) => from_value(threshold, value, 1),
    };
    judged(threshold, measured)
}

fn judge_restarts(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    let (restarts, samples) = (outcome.restarts().map(f64::from), outcome.samples_of_start());
    let judged = judged(threshold, from_value(threshold, restarts, samples));
    let seconds = end_of_run(outcome);
    if judged.grade == Grade::Pass && !has_coverage(samples, seconds) {
        return judged.not_decidable(format!("sampled in {samples} of {seconds} seconds"));
    }
    judged
}

/// Judges the drain time. It is violated if the wait for accepted work timed out before all of it
/// had ended.
fn judge_drain(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    let Some(completion) = outcome
        .completions
        .iter()
        .find(|completion| threshold.subject == Subject::Work(completion.work.clone()))
    else {
        return nothing_measured(threshold);
    };
    let samples = completion.tally_all().counts.sent;
    let measured = match completion.drain_s {
        None => Measured { value: None, samples, decision: Decision::Violated },
        drain_s => from_value(threshold, drain_s, samples),
    };
    judged(threshold, measured)
}

fn tally(outcome: &Outcome, subject: &Subject, spans: &[Range<u32>]) -> Tally {
    let mut tally = Tally::default();
    for span in spans {
        match subject {
            Subject::Endpoint(name) => {
                let endpoint = outcome.endpoints.iter().find(|endpoint| endpoint.name == *name);
                tally.add(&endpoint.map(|endpoint| endpoint.tally_in(span)).unwrap_or_default());
            }
            Subject::Work(name) => {
                let completion =
                    outcome.completions.iter().find(|completion| completion.work == *name);
                tally.add(
                    &completion.map(|completion| completion.tally_in(span)).unwrap_or_default(),
                );
            }
            Subject::AllRequests | Subject::Service => tally.add(&outcome.tally_in(span)),
        }
    }
    tally
}

/// Returns the seconds in which a threshold applies, as planned.
fn spans(outcome: &Outcome, during: &During) -> Vec<Range<u32>> {
    let stages = outcome.load.stages.iter();
    match during {
        During::Run => iter::once(0..outcome.planned_seconds().max(end_of_run(outcome))).collect(),
        During::Judged => stages.filter(|stage| stage.judged).map(Stage::seconds).collect(),
        During::Stage(name) => {
            stages.filter(|stage| stage.name == *name).map(Stage::seconds).collect()
        }
    }
}

/// Returns the second in which the run ended: of a run that was cut short, the first one that it did
/// not complete.
fn end_of_run(outcome: &Outcome) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a duration is not negative, and a float's cast to an integer saturates"
    )]
    let completed = outcome.duration_s.floor() as u32;
    match outcome.ended {
        Ended::AsPlanned => outcome.planned_seconds().max(completed + 1),
        Ended::Interrupted | Ended::Killed => completed,
    }
}

fn seconds(spans: &[Range<u32>]) -> u32 {
    spans.iter().map(|span| span.end - span.start).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        load::Stage,
        outcome::{Counts, EndpointCell},
        report::example,
        sla::UserRange,
    };
    use std::time::Duration;

    /// Returns an outcome whose only requests are `samples` to `GET /health` of `millis` each.
    fn outcome_with(samples: u64, millis: u64) -> Outcome {
        let mut outcome = example::outcome();
        let mut cell =
            EndpointCell { second: outcome.judged_span().start, ..EndpointCell::default() };
        cell.counts = Counts { sent: samples, succeeded: samples, ..Counts::default() };
        for _ in 0..samples {
            cell.latency.record(Duration::from_millis(millis));
        }
        outcome.endpoints.retain(|endpoint| endpoint.name == "GET /health");
        outcome.endpoints[0].cells = vec![cell];
        outcome
    }

    fn threshold(metric: Metric, limit: f64, fail_limit: Option<f64>) -> Threshold {
        Threshold {
            subject: Subject::Endpoint("GET /health".into()),
            group: String::new(),
            metric,
            limit,
            fail_limit,
            users: UserRange::ANY,
            during: During::Judged,
            window_s: None,
            required: true,
        }
    }

    fn judge_by_point(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
        judge(outcome, threshold, Judging::Point)
    }

    fn judge_by_interval(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
        judge(outcome, threshold, Judging::default())
    }

    #[test]
    fn a_p95_within_the_tolerance_warns_and_above_it_fails() {
        let threshold = threshold(Metric::P95, 100.0, Some(150.0));
        for (millis, grade) in
            [(99, Grade::Pass), (110, Grade::Warning), (149, Grade::Warning), (160, Grade::Fail)]
        {
            assert_eq!(
                judge_by_point(&outcome_with(20, millis), &threshold).grade,
                grade,
                "{millis}"
            );
        }
    }

    #[test]
    fn a_violated_p99_only_warns() {
        let threshold = threshold(Metric::P99, 100.0, None);
        assert_eq!(judge_by_point(&outcome_with(100, 5_000), &threshold).grade, Grade::Warning);
    }

    #[test]
    fn too_few_samples_are_never_a_pass() {
        for (metric, enough) in [(Metric::P50, 10), (Metric::P95, 20), (Metric::P99, 100)] {
            let threshold = threshold(metric, 100.0, None);
            assert_eq!(
                judge_by_point(&outcome_with(enough - 1, 1), &threshold).grade,
                Grade::Insufficient
            );
            assert_eq!(judge_by_point(&outcome_with(enough, 1), &threshold).grade, Grade::Pass);
        }
    }

    #[test]
    fn too_few_samples_can_fail() {
        let threshold = threshold(Metric::P95, 100.0, Some(150.0));
        assert_eq!(judge_by_point(&outcome_with(5, 900), &threshold).grade, Grade::Fail);
        assert_eq!(judge_by_point(&outcome_with(1, 900), &threshold).grade, Grade::Insufficient);
    }

    #[test]
    fn an_error_rate_needs_enough_requests_for_its_threshold() {
        let threshold = threshold(Metric::ErrorRate(vec![]), 1.0, Some(5.0));
        assert_eq!(judge_by_point(&outcome_with(99, 1), &threshold).grade, Grade::Insufficient);
        assert_eq!(judge_by_point(&outcome_with(100, 1), &threshold).grade, Grade::Pass);
    }

    #[test]
    fn a_threshold_for_every_window_is_judged_by_the_worst_one() {
        let mut outcome = outcome_with(20, 10);
        let judged = outcome.judged_span();
        let length = (judged.end - judged.start) / 5;
        let good = outcome.endpoints[0].cells[0].clone();
        let mut bad = outcome_with(20, 160).endpoints[0].cells[0].clone();
        bad.second = judged.start + length;
        outcome.endpoints[0].cells = vec![good, bad];
        let whole_run = threshold(Metric::P50, 100.0, Some(150.0));
        assert_eq!(judge_by_point(&outcome, &whole_run).grade, Grade::Pass, "over the whole run");
        let found =
            judge_by_point(&outcome, &Threshold { window_s: Some(length), ..whole_run.clone() });
        let second = judged.start + length;
        assert!(found.window.as_ref().is_some_and(|window| window.contains(&second)), "{found:?}");
        assert_eq!(found.grade, Grade::Fail);
        // Without the bad window, the remaining empty windows cannot meet the threshold.
        outcome.endpoints[0].cells.pop();
        let found = judge_by_point(&outcome, &Threshold { window_s: Some(length), ..whole_run });
        assert_eq!(found.grade, Grade::Insufficient);
    }

    #[test]
    fn an_unjudged_stage_between_judged_ones_does_not_count() {
        let mut outcome = outcome_with(100, 10);
        let steady = outcome.load.stages[1].clone();
        let middle = steady.from_s + 5;
        outcome.load.stages.truncate(1);
        for (from_s, to_s, judged) in [
            (steady.from_s, middle, true),
            (middle, middle + 5, false),
            (middle + 5, steady.to_s, true),
        ] {
            let name = format!("s{from_s}");
            outcome.load.stages.push(Stage { name, from_s, to_s, judged, ..steady.clone() });
        }
        let mut slow = outcome_with(100, 900).endpoints[0].cells[0].clone();
        slow.second = middle + 1;
        outcome.endpoints[0].cells.push(slow);
        let judged = judge_by_point(&outcome, &threshold(Metric::P95, 100.0, Some(150.0)));
        assert_eq!((judged.grade, judged.samples), (Grade::Pass, 100));
    }

    #[test]
    fn throughput_counts_successful_responses_by_completion_time() {
        let mut outcome = outcome_with(0, 0);
        let seconds = outcome.judged_span();
        let length = u64::from(seconds.end - seconds.start);
        outcome.endpoints[0].cells[0].throughput_count = length * 40;
        for (at_least, grade) in [(40.0, Grade::Pass), (41.0, Grade::Fail)] {
            let threshold = Threshold {
                subject: Subject::AllRequests,
                ..threshold(Metric::Throughput, at_least, Some(at_least))
            };
            assert_eq!(judge_by_point(&outcome, &threshold).grade, grade, "{at_least}");
        }
    }

    #[test]
    fn requests_of_the_ramp_do_not_count() {
        let mut outcome = outcome_with(100, 900);
        outcome.endpoints[0].cells[0].second = 0;
        let judged = judge_by_point(&outcome, &threshold(Metric::P95, 100.0, Some(150.0)));
        assert_eq!((judged.grade, judged.samples), (Grade::Insufficient, 0));
    }

    /// Returns an outcome with requests to `GET /health`: `slow` of 900 ms and `fast` of 1 ms.
    fn fast_and_slow(fast: u64, slow: u64) -> Outcome {
        let mut outcome = outcome_with(fast, 1);
        let slow = outcome_with(slow, 900).endpoints[0].cells[0].clone();
        outcome.endpoints[0].cells.push(slow);
        outcome
    }

    #[test]
    fn a_percentile_is_decided_by_its_confidence_interval() {
        let p95 = threshold(Metric::P95, 100.0, Some(150.0));
        for (fast, slow, grade) in [
            (71, 0, Grade::Insufficient),
            (72, 0, Grade::Pass),
            // P95 of 20 requests, two of which are slow: the true share may be 5 %.
            (18, 2, Grade::Insufficient),
            (980, 20, Grade::Pass),
            (960, 40, Grade::Insufficient),
            (920, 80, Grade::Fail),
        ] {
            let judged = judge_by_interval(&fast_and_slow(fast, slow), &p95);
            assert_eq!(judged.grade, grade, "{slow} of {}: {}", fast + slow, judged.summary());
        }
    }

    #[test]
    fn a_threshold_that_is_not_decidable_says_what_would_decide_it() {
        let judged = judge_by_interval(&outcome_with(20, 1), &threshold(Metric::P95, 100.0, None));
        assert_eq!(judged.undecided.as_ref().unwrap().samples_needed, Some(72));
        assert!(
            judged.summary().ends_with("(20 samples, 72 would decide)"),
            "{}",
            judged.summary()
        );
    }

    #[test]
    fn an_error_rate_is_decided_by_its_confidence_interval() {
        let rate = threshold(Metric::ErrorRate(FailureKind::ALL.to_vec()), 0.01, Some(0.01));
        for (total, errors, grade) in [
            (300, 1, Grade::Insufficient),
            (10_000, 1, Grade::Insufficient),
            (36_887, 0, Grade::Pass),
            (300, 3, Grade::Fail),
        ] {
            let mut outcome = outcome_with(total, 1);
            let counts = &mut outcome.endpoints[0].cells[0].counts;
            (counts.succeeded, counts.server_errors) = (total - errors, errors);
            assert_eq!(judge_by_interval(&outcome, &rate).grade, grade, "{errors} of {total}");
        }
    }

    #[test]
    fn what_remains_after_the_last_whole_window_belongs_to_it() {
        let windows = |length| windows(&(5..34), length).collect::<Vec<_>>();
        assert_eq!(windows(10), [5..15, 15..34]);
        assert_eq!(windows(29), vec![5..34; 1]);
        assert_eq!(windows(60), vec![5..34; 1]);
    }

    #[test]
    fn a_stage_that_was_cut_short_is_violated_or_not_decidable() {
        let mut outcome = outcome_with(1_000, 1);
        outcome.ended = Ended::Interrupted;
        outcome.duration_s = f64::from(outcome.judged_span().end) - 3.0;
        let met = threshold(Metric::P95, 100.0, Some(150.0));
        let judged = judge_by_interval(&outcome, &met);
        assert_eq!(judged.grade, Grade::Insufficient);
        assert!(judged.summary().contains("were run"), "{}", judged.summary());
        let violated = threshold(Metric::P95, 0.5, Some(0.5));
        assert_eq!(judge_by_interval(&outcome, &violated).grade, Grade::Fail);
    }

    #[test]
    fn the_throughput_of_a_run_that_was_cut_short_counts_the_seconds_that_were_run() {
        let mut outcome = outcome_with(0, 0);
        let from = outcome.judged_span().start;
        outcome.ended = Ended::Interrupted;
        outcome.duration_s = f64::from(from) + 10.4;
        outcome.endpoints[0].cells[0].throughput_count = 500;
        let fifty = Threshold {
            subject: Subject::AllRequests,
            ..threshold(Metric::Throughput, 50.0, Some(50.0))
        };
        let judged = judge_by_interval(&outcome, &fifty);
        assert_eq!((judged.measured, judged.grade), (Some(50.0), Grade::Insufficient));
    }

    #[test]
    fn windows_over_the_whole_run_end_with_it() {
        let outcome = outcome_with(1_000, 1);
        let p95 = Threshold {
            during: During::Run,
            window_s: Some(10_000),
            ..threshold(Metric::P95, 100.0, None)
        };
        let judged = judge_by_interval(&outcome, &p95);
        assert_eq!(judged.grade, Grade::Pass);
        assert!(judged.window.unwrap().end < 100);
    }

    #[test]
    fn a_resource_that_was_rarely_sampled_is_not_decidable() {
        let limit = Threshold {
            subject: Subject::Service,
            ..threshold(Metric::Resource(crate::sla::Resource::Memory), 1e9, Some(1e9))
        };
        let mut outcome = example::outcome();
        assert_eq!(judge_by_interval(&outcome, &limit).grade, Grade::Pass);
        let half = outcome.judged_span().start + 10;
        outcome.samples.iter_mut().filter(|sample| sample.second > half).for_each(|sample| {
            sample.service.memory_bytes = None;
        });
        let judged = judge_by_interval(&outcome, &limit);
        assert_eq!(judged.grade, Grade::Insufficient);
        assert!(judged.summary().contains("sampled in"), "{}", judged.summary());
        // What was seen can violate the limit all the same.
        let exceeded = Threshold { limit: 0.001, fail_limit: Some(0.001), ..limit };
        assert_eq!(judge_by_interval(&outcome, &exceeded).grade, Grade::Fail);
    }

    #[test]
    fn dropped_arrivals_are_errors_of_all_requests() {
        let mut outcome = outcome_with(990, 1);
        let second = outcome.judged_span().start;
        let dropped = crate::outcome::ArrivalCell {
            second,
            scheduled: 1_000,
            dropped: 10,
            ..Default::default()
        };
        outcome.arrivals = vec![dropped];
        let errors = Metric::ErrorRate(FailureKind::ALL.to_vec());
        let all = Threshold { subject: Subject::AllRequests, ..threshold(errors, 0.1, Some(0.1)) };
        let judged = judge_by_interval(&outcome, &all);
        assert_eq!((judged.measured, judged.grade), (Some(1.0), Grade::Fail));
    }
}
