//! Judges one threshold by an outcome.

use std::{iter, ops::Range};

use super::{Grade, JudgedThreshold, usage};
use crate::{
    outcome::{Ended, Outcome, Tally},
    sla::{During, Metric, Subject, Threshold},
};

/// Samples needed for a median or a mean.
const MIN_SAMPLES_P50: u64 = 10;

/// Measured value of a metric.
struct Measured {
    value: Option<f64>,
    /// Value if every sample missing to `min_samples` were as good as possible.
    best_case: Option<f64>,
    samples: u64,
    min_samples: u64,
}

/// Grades one threshold.
///
/// A percentile needs at least one sample beyond it: 20 samples for P95, 100 for P99; P50 needs 10.
/// An error rate needs enough requests to resolve its threshold: 100 for "< 1 %". With fewer
/// samples a threshold is violated only if it would be so in the best case, with every missing sample
/// as good as possible; otherwise the grade is INSUFFICIENT.
pub(super) fn judge(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    match threshold.metric {
        Metric::SecondsToHealthy => return judge_health(outcome, threshold),
        Metric::Restarts => return judge_restarts(outcome, threshold),
        Metric::Drain => return judge_drain(outcome, threshold),
        _ => {}
    }
    let spans = spans(outcome, &threshold.during);
    let Some(window_s) = threshold.window_s else { return judge_over(outcome, threshold, &spans) };
    let length = scaled_window(window_s, outcome.load.time_scale);
    let windows = spans.iter().flat_map(|span| windows(span, length));
    let judged = windows.map(|window| JudgedThreshold {
        window: Some(window.clone()),
        ..judge_over(outcome, threshold, &[window])
    });
    // The worst window decides; of equal ones, the first. Grades are compared before values, so one
    // window with too few samples keeps the threshold from being met.
    let worst = judged.reduce(|worst, next| if is_worse(&next, &worst) { next } else { worst });
    worst.unwrap_or_else(|| JudgedThreshold {
        threshold: threshold.clone(),
        grade: Grade::Insufficient,
        measured: None,
        samples: 0,
        min_samples: 1,
        window: None,
    })
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

/// Returns the windows of `length` seconds in `span`, without an incomplete one at its end.
fn windows(span: &Range<u32>, length: u32) -> impl Iterator<Item = Range<u32>> + use<> {
    let (from, count) = (span.start, (span.end - span.start) / length);
    (0..count).map(move |number| from + number * length..from + (number + 1) * length)
}

fn judge_over(outcome: &Outcome, threshold: &Threshold, spans: &[Range<u32>]) -> JudgedThreshold {
    let Measured { value, best_case, samples, min_samples } = measure(outcome, threshold, spans);
    let grade = match best_case {
        Some(best) if !threshold.is_met_by(best) => grade_violation(threshold, best),
        _ if samples < min_samples => Grade::Insufficient,
        _ => Grade::Pass,
    };
    JudgedThreshold {
        threshold: threshold.clone(),
        grade,
        measured: value,
        samples,
        min_samples,
        window: None,
    }
}

fn measure(outcome: &Outcome, threshold: &Threshold, spans: &[Range<u32>]) -> Measured {
    let tally = || tally(outcome, &threshold.subject, spans);
    match &threshold.metric {
        Metric::ErrorRate(kinds) => {
            let counts = tally().counts;
            let errors: u64 = kinds.iter().map(|kind| counts.failures(*kind)).sum();
            let completed = counts.succeeded + counts.errors();
            let min_samples = samples_for_rate(threshold.limit);
            let (value, best_case) =
                (rate(errors, completed), rate(errors, completed.max(min_samples)));
            Measured { value, best_case, samples: completed, min_samples }
        }
        Metric::Mean => {
            let latency = tally().latency;
            let (value, samples) = (latency.mean_ms(), latency.len());
            let best_case = value.filter(|_| samples >= MIN_SAMPLES_P50);
            Measured { value, best_case, samples, min_samples: MIN_SAMPLES_P50 }
        }
        Metric::Max => {
            let latency = tally().latency;
            let value = latency.max_ms();
            Measured { value, best_case: value, samples: latency.len(), min_samples: 1 }
        }
        Metric::Throughput => from_usage(usage::throughput(&tally(), spans)),
        Metric::Resource(resource) => from_usage(usage::resource(outcome, *resource, spans)),
        metric => {
            let latency = tally().latency;
            let quantile = metric.quantile().unwrap_or_default();
            let min_samples = samples_for_quantile(quantile);
            let best_case = latency.quantile_lower_bound_ms(quantile, min_samples);
            Measured {
                value: latency.quantile_ms(quantile),
                best_case,
                samples: latency.len(),
                min_samples,
            }
        }
    }
}

/// Converts a throughput or a resource usage; one sample is enough to judge it.
fn from_usage((value, samples): (Option<f64>, u64)) -> Measured {
    Measured { value, best_case: value, samples, min_samples: 1 }
}

fn judge_health(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    let measured = outcome.target.healthy_after_s;
    let grade = match measured {
        Some(seconds) if threshold.is_met_by(seconds) => Grade::Pass,
        // A killed run could not query /health after the load.
        None if outcome.ended == Ended::Killed => Grade::Insufficient,
        _ => Grade::Fail,
    };
    JudgedThreshold {
        threshold: threshold.clone(),
        grade,
        measured,
        samples: 1,
        min_samples: 1,
        window: None,
    }
}

fn judge_restarts(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    let measured = outcome.restarts().map(f64::from);
    let grade = match measured {
        None => Grade::Insufficient,
        Some(times) if threshold.is_met_by(times) => Grade::Pass,
        Some(times) => grade_violation(threshold, times),
    };
    let samples = u64::from(measured.is_some());
    JudgedThreshold {
        threshold: threshold.clone(),
        grade,
        measured,
        samples,
        min_samples: 1,
        window: None,
    }
}

/// Grades the drain time. FAIL if the wait for accepted work timed out before all of it had ended.
fn judge_drain(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    let completion = outcome
        .completions
        .iter()
        .find(|completion| threshold.subject == Subject::Work(completion.work.clone()));
    let samples = completion.map_or(0, |completion| completion.tally_all().counts.sent);
    let measured = completion.and_then(|completion| completion.drain_s);
    let grade = match (completion, measured) {
        (None, _) => Grade::Insufficient,
        (Some(_), Some(seconds)) if threshold.is_met_by(seconds) => Grade::Pass,
        (Some(_), Some(seconds)) => grade_violation(threshold, seconds),
        (Some(_), None) => Grade::Fail,
    };
    JudgedThreshold {
        threshold: threshold.clone(),
        grade,
        measured,
        samples,
        min_samples: 1,
        window: None,
    }
}

fn grade_violation(threshold: &Threshold, measured: f64) -> Grade {
    if threshold.is_failed_by(measured) { Grade::Fail } else { Grade::Warning }
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

fn spans(outcome: &Outcome, during: &During) -> Vec<Range<u32>> {
    let stages = outcome.load.stages.iter();
    match during {
        During::Run => iter::once(0..u32::MAX).collect(),
        During::Judged => {
            stages.filter(|stage| stage.judged).map(crate::load::Stage::seconds).collect()
        }
        During::Stage(name) => {
            stages.filter(|stage| stage.name == *name).map(crate::load::Stage::seconds).collect()
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests stay below 2^53")]
fn rate(errors: u64, requests: u64) -> Option<f64> {
    (requests > 0).then(|| errors as f64 * 100.0 / requests as f64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float's cast to an integer saturates, and limits are never negative"
)]
fn samples_for_rate(limit_percent: f64) -> u64 {
    if limit_percent > 0.0 { (100.0 / limit_percent).ceil() as u64 } else { 1 }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a quantile lies between 0 and 1, so the quotient is small and positive"
)]
fn samples_for_quantile(quantile: f64) -> u64 {
    ((1.0 / (1.0 - quantile)).round() as u64).max(MIN_SAMPLES_P50)
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
        }
    }

    #[test]
    fn a_p95_within_the_tolerance_warns_and_above_it_fails() {
        let threshold = threshold(Metric::P95, 100.0, Some(150.0));
        for (millis, grade) in
            [(99, Grade::Pass), (110, Grade::Warning), (149, Grade::Warning), (160, Grade::Fail)]
        {
            assert_eq!(judge(&outcome_with(20, millis), &threshold).grade, grade, "{millis}");
        }
    }

    #[test]
    fn a_violated_p99_only_warns() {
        let threshold = threshold(Metric::P99, 100.0, None);
        assert_eq!(judge(&outcome_with(100, 5_000), &threshold).grade, Grade::Warning);
    }

    #[test]
    fn too_few_samples_are_never_a_pass() {
        for (metric, enough) in [(Metric::P50, 10), (Metric::P95, 20), (Metric::P99, 100)] {
            let threshold = threshold(metric, 100.0, None);
            assert_eq!(judge(&outcome_with(enough - 1, 1), &threshold).grade, Grade::Insufficient);
            assert_eq!(judge(&outcome_with(enough, 1), &threshold).grade, Grade::Pass);
        }
    }

    #[test]
    fn too_few_samples_can_fail() {
        let threshold = threshold(Metric::P95, 100.0, Some(150.0));
        assert_eq!(judge(&outcome_with(5, 900), &threshold).grade, Grade::Fail);
        assert_eq!(judge(&outcome_with(1, 900), &threshold).grade, Grade::Insufficient);
    }

    #[test]
    fn an_error_rate_needs_enough_requests_for_its_threshold() {
        let threshold = threshold(Metric::ErrorRate(vec![]), 1.0, Some(5.0));
        assert_eq!(judge(&outcome_with(99, 1), &threshold).grade, Grade::Insufficient);
        assert_eq!(judge(&outcome_with(100, 1), &threshold).grade, Grade::Pass);
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
        assert_eq!(judge(&outcome, &whole_run).grade, Grade::Pass, "over the whole run");
        let found = judge(&outcome, &Threshold { window_s: Some(length), ..whole_run.clone() });
        let second = judged.start + length;
        assert!(found.window.as_ref().is_some_and(|window| window.contains(&second)), "{found:?}");
        assert_eq!(found.grade, Grade::Fail);
        // Without the bad window, the remaining empty windows cannot meet the threshold.
        outcome.endpoints[0].cells.pop();
        let found = judge(&outcome, &Threshold { window_s: Some(length), ..whole_run });
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
        let judged = judge(&outcome, &threshold(Metric::P95, 100.0, Some(150.0)));
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
            assert_eq!(judge(&outcome, &threshold).grade, grade, "{at_least}");
        }
    }

    #[test]
    fn requests_of_the_ramp_do_not_count() {
        let mut outcome = outcome_with(100, 900);
        outcome.endpoints[0].cells[0].second = 0;
        let judged = judge(&outcome, &threshold(Metric::P95, 100.0, Some(150.0)));
        assert_eq!((judged.grade, judged.samples), (Grade::Insufficient, 0));
    }
}
