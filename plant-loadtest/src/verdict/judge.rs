//! One promise against an outcome.

use std::{iter, ops::Range};

use super::{Grade, Judged, usage};
use crate::{
    outcome::{Ended, Outcome, Tally},
    sla::{During, Figure, Promise, Subject},
};

/// A median or a mean of fewer samples says little.
const NEEDED_FOR_P50: u64 = 10;

/// What was found of a figure.
struct Measured {
    value: Option<f64>,
    /// What it would be if every sample that is still missing were as good as can be.
    at_best: Option<f64>,
    samples: u64,
    needed: u64,
}

/// Grades one promise.
///
/// A percentile needs at least one sample beyond it: 20 for P95, 100 for P99; P50 takes 10. An
/// error rate needs so many requests that a single error would keep the promise: 100 for "< 1 %".
/// With fewer a promise can be broken (if it will be, however well all missing requests go), but
/// never be called kept: it is INSUFFICIENT.
pub(super) fn judge(outcome: &Outcome, promise: &Promise) -> Judged {
    match promise.figure {
        Figure::SecondsToHealthy => return health(outcome, promise),
        Figure::Restarts => return restarts(outcome, promise),
        Figure::Drain => return drain(outcome, promise),
        _ => {}
    }
    let spans = spans(outcome, &promise.during);
    let Some(every_s) = promise.every_s else { return judge_over(outcome, promise, &spans) };
    let length = scaled(every_s, outcome.load.time_scale);
    let windows = spans.iter().flat_map(|span| windows(span, length));
    let judged = windows.map(|window| Judged {
        window: Some(window.clone()),
        ..judge_over(outcome, promise, &[window])
    });
    // The worst of them speaks for all, and of equals the first. Ranking compares grades before
    // figures, so one window with too few samples keeps the others from being called kept.
    let worst = judged.reduce(|worst, next| if worse(&next, &worst) { next } else { worst });
    worst.unwrap_or_else(|| Judged {
        promise: promise.clone(),
        grade: Grade::Insufficient,
        measured: None,
        samples: 0,
        needed: 1,
        window: None,
    })
}

fn worse(one: &Judged, other: &Judged) -> bool {
    let value = |judged: &Judged| match judged.measured {
        Some(value) if judged.promise.figure.more_is_better() => -value,
        Some(value) => value,
        None => f64::NEG_INFINITY,
    };
    one.grade > other.grade || (one.grade == other.grade && value(one) > value(other))
}

/// A window of the SLA, in a run whose durations were scaled.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and a float's cast to an integer saturates"
)]
fn scaled(every_s: u32, time_scale: f64) -> u32 {
    ((f64::from(every_s) * time_scale).ceil() as u32).max(1)
}

/// The whole windows of `length` in `span`; what remains at its end is too short to be one.
fn windows(span: &Range<u32>, length: u32) -> impl Iterator<Item = Range<u32>> + use<> {
    let (from, count) = (span.start, (span.end - span.start) / length);
    (0..count).map(move |number| from + number * length..from + (number + 1) * length)
}

fn judge_over(outcome: &Outcome, promise: &Promise, spans: &[Range<u32>]) -> Judged {
    let Measured { value, at_best, samples, needed } = measure(outcome, promise, spans);
    let grade = match at_best {
        Some(best) if !promise.kept_by(best) => grade_of_miss(promise, best),
        _ if samples < needed => Grade::Insufficient,
        _ => Grade::Pass,
    };
    Judged { promise: promise.clone(), grade, measured: value, samples, needed, window: None }
}

fn measure(outcome: &Outcome, promise: &Promise, spans: &[Range<u32>]) -> Measured {
    let tally = || tally(outcome, &promise.subject, spans);
    match &promise.figure {
        Figure::ErrorRate(kinds) => {
            let counts = tally().counts;
            let errors: u64 = kinds.iter().map(|kind| counts.failures(*kind)).sum();
            let ended = counts.succeeded + counts.errors();
            let needed = needed_for_rate(promise.below);
            let (value, at_best) = (rate(errors, ended), rate(errors, ended.max(needed)));
            Measured { value, at_best, samples: ended, needed }
        }
        Figure::Mean => {
            let latency = tally().latency;
            let (value, samples) = (latency.mean_ms(), latency.len());
            let at_best = value.filter(|_| samples >= NEEDED_FOR_P50);
            Measured { value, at_best, samples, needed: NEEDED_FOR_P50 }
        }
        Figure::Max => {
            let latency = tally().latency;
            let value = latency.max_ms();
            Measured { value, at_best: value, samples: latency.len(), needed: 1 }
        }
        Figure::Throughput => usage_of(usage::throughput(&tally(), spans)),
        Figure::Resource(resource) => usage_of(usage::resource(outcome, *resource, spans)),
        figure => {
            let latency = tally().latency;
            let quantile = figure.quantile().unwrap_or_default();
            let needed = needed_for_quantile(quantile);
            let at_best = latency.least_quantile_ms(quantile, needed);
            Measured {
                value: latency.quantile_ms(quantile),
                at_best,
                samples: latency.len(),
                needed,
            }
        }
    }
}

/// What was looked at once a second: one look is enough to be judged by.
fn usage_of((value, samples): (Option<f64>, u64)) -> Measured {
    Measured { value, at_best: value, samples, needed: 1 }
}

fn health(outcome: &Outcome, promise: &Promise) -> Judged {
    let measured = outcome.target.healthy_after_s;
    let grade = match measured {
        Some(seconds) if promise.kept_by(seconds) => Grade::Pass,
        // Nobody was left to ask.
        None if outcome.ended == Ended::Killed => Grade::Insufficient,
        _ => Grade::Fail,
    };
    Judged { promise: promise.clone(), grade, measured, samples: 1, needed: 1, window: None }
}

fn restarts(outcome: &Outcome, promise: &Promise) -> Judged {
    let measured = outcome.restarts().map(f64::from);
    let grade = match measured {
        None => Grade::Insufficient,
        Some(times) if promise.kept_by(times) => Grade::Pass,
        Some(times) => grade_of_miss(promise, times),
    };
    let samples = u64::from(measured.is_some());
    Judged { promise: promise.clone(), grade, measured, samples, needed: 1, window: None }
}

/// Work that was not done while it was waited for has broken the promise, however long it takes.
fn drain(outcome: &Outcome, promise: &Promise) -> Judged {
    let work =
        outcome.completions.iter().find(|work| promise.subject == Subject::Work(work.work.clone()));
    let samples = work.map_or(0, |work| work.whole().counts.sent);
    let measured = work.and_then(|work| work.drain_s);
    let grade = match (work, measured) {
        (None, _) => Grade::Insufficient,
        (Some(_), Some(seconds)) if promise.kept_by(seconds) => Grade::Pass,
        (Some(_), Some(seconds)) => grade_of_miss(promise, seconds),
        (Some(_), None) => Grade::Fail,
    };
    Judged { promise: promise.clone(), grade, measured, samples, needed: 1, window: None }
}

fn grade_of_miss(promise: &Promise, measured: f64) -> Grade {
    if promise.failed_by(measured) { Grade::Fail } else { Grade::Warning }
}

fn tally(outcome: &Outcome, subject: &Subject, spans: &[Range<u32>]) -> Tally {
    let mut tally = Tally::default();
    for span in spans {
        match subject {
            Subject::Endpoint(name) => {
                let ours = outcome.endpoints.iter().find(|endpoint| endpoint.name == *name);
                tally.add(&ours.map(|endpoint| endpoint.over(span)).unwrap_or_default());
            }
            Subject::Work(name) => {
                let ours = outcome.completions.iter().find(|completion| completion.work == *name);
                tally.add(&ours.map(|completion| completion.over(span)).unwrap_or_default());
            }
            Subject::AllRequests | Subject::Service => tally.add(&outcome.over(span)),
        }
    }
    tally
}

fn spans(outcome: &Outcome, during: &During) -> Vec<Range<u32>> {
    let stages = outcome.load.stages.iter();
    match during {
        During::Run => iter::once(0..u32::MAX).collect(),
        During::Judged => {
            stages.filter(|stage| stage.judged).map(crate::profile::Stage::seconds).collect()
        }
        During::Stage(name) => {
            stages.filter(|stage| stage.name == *name).map(crate::profile::Stage::seconds).collect()
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
fn needed_for_rate(below_percent: f64) -> u64 {
    if below_percent > 0.0 { (100.0 / below_percent).ceil() as u64 } else { 1 }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a quantile lies between 0 and 1, so the quotient is small and positive"
)]
fn needed_for_quantile(quantile: f64) -> u64 {
    ((1.0 / (1.0 - quantile)).round() as u64).max(NEEDED_FOR_P50)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outcome::{Counts, Second},
        profile::Stage,
        report::example,
        sla::UserRange,
    };
    use std::time::Duration;

    /// An outcome whose only requests are `samples` of `millis` to `GET /health`.
    fn with(samples: u64, millis: u64) -> Outcome {
        let mut outcome = example::outcome();
        let mut second = Second { second: outcome.judged_seconds().start, ..Second::default() };
        second.counts = Counts { sent: samples, succeeded: samples, ..Counts::default() };
        for _ in 0..samples {
            second.latency.record(Duration::from_millis(millis));
        }
        outcome.endpoints.retain(|endpoint| endpoint.name == "GET /health");
        outcome.endpoints[0].seconds = vec![second];
        outcome
    }

    fn promise(figure: Figure, below: f64, fail_over: Option<f64>) -> Promise {
        Promise {
            subject: Subject::Endpoint("GET /health".into()),
            class: String::new(),
            figure,
            below,
            fail_over,
            users: UserRange::ANY,
            during: During::Judged,
            every_s: None,
        }
    }

    #[test]
    fn a_p95_up_to_half_over_its_target_warns_and_beyond_it_fails() {
        let promise = promise(Figure::P95, 100.0, Some(150.0));
        for (millis, grade) in
            [(99, Grade::Pass), (110, Grade::Warning), (149, Grade::Warning), (160, Grade::Fail)]
        {
            assert_eq!(judge(&with(20, millis), &promise).grade, grade, "{millis}");
        }
    }

    #[test]
    fn a_missed_p99_only_warns() {
        let promise = promise(Figure::P99, 100.0, None);
        assert_eq!(judge(&with(100, 5_000), &promise).grade, Grade::Warning);
    }

    #[test]
    fn too_few_samples_are_never_a_pass() {
        for (figure, enough) in [(Figure::P50, 10), (Figure::P95, 20), (Figure::P99, 100)] {
            let promise = promise(figure, 100.0, None);
            assert_eq!(judge(&with(enough - 1, 1), &promise).grade, Grade::Insufficient);
            assert_eq!(judge(&with(enough, 1), &promise).grade, Grade::Pass);
        }
    }

    #[test]
    fn too_few_samples_can_be_a_failure() {
        let promise = promise(Figure::P95, 100.0, Some(150.0));
        assert_eq!(judge(&with(5, 900), &promise).grade, Grade::Fail);
        assert_eq!(judge(&with(1, 900), &promise).grade, Grade::Insufficient);
    }

    #[test]
    fn an_error_rate_needs_enough_requests_for_its_target() {
        let promise = promise(Figure::ErrorRate(vec![]), 1.0, Some(5.0));
        assert_eq!(judge(&with(99, 1), &promise).grade, Grade::Insufficient);
        assert_eq!(judge(&with(100, 1), &promise).grade, Grade::Pass);
    }

    #[test]
    fn a_promise_for_every_window_is_judged_by_the_worst_one() {
        let mut outcome = with(20, 10);
        let judged = outcome.judged_seconds();
        let length = (judged.end - judged.start) / 5;
        let good = outcome.endpoints[0].seconds[0].clone();
        let mut bad = with(20, 160).endpoints[0].seconds[0].clone();
        bad.second = judged.start + length;
        outcome.endpoints[0].seconds = vec![good, bad];
        let whole = promise(Figure::P50, 100.0, Some(150.0));
        assert_eq!(judge(&outcome, &whole).grade, Grade::Pass, "over the whole run");
        let found = judge(&outcome, &Promise { every_s: Some(length), ..whole.clone() });
        let second = judged.start + length;
        assert!(found.window.as_ref().is_some_and(|window| window.contains(&second)), "{found:?}");
        assert_eq!(found.grade, Grade::Fail);
        // The other windows are empty, which is no proof of anything once the bad one is gone.
        outcome.endpoints[0].seconds.pop();
        let found = judge(&outcome, &Promise { every_s: Some(length), ..whole });
        assert_eq!(found.grade, Grade::Insufficient);
    }

    #[test]
    fn a_stage_between_judged_ones_does_not_count() {
        let mut outcome = with(100, 10);
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
        let mut slow = with(100, 900).endpoints[0].seconds[0].clone();
        slow.second = middle + 1;
        outcome.endpoints[0].seconds.push(slow);
        let judged = judge(&outcome, &promise(Figure::P95, 100.0, Some(150.0)));
        assert_eq!((judged.grade, judged.samples), (Grade::Pass, 100));
    }

    #[test]
    fn throughput_counts_right_answers_by_when_they_came() {
        let mut outcome = with(0, 0);
        let seconds = outcome.judged_seconds();
        let length = u64::from(seconds.end - seconds.start);
        outcome.endpoints[0].seconds[0].finished = length * 40;
        for (at_least, grade) in [(40.0, Grade::Pass), (41.0, Grade::Fail)] {
            let promise = Promise {
                subject: Subject::AllRequests,
                ..promise(Figure::Throughput, at_least, Some(at_least))
            };
            assert_eq!(judge(&outcome, &promise).grade, grade, "{at_least}");
        }
    }

    #[test]
    fn requests_of_the_ramp_do_not_count() {
        let mut outcome = with(100, 900);
        outcome.endpoints[0].seconds[0].second = 0;
        let judged = judge(&outcome, &promise(Figure::P95, 100.0, Some(150.0)));
        assert_eq!((judged.grade, judged.samples), (Grade::Insufficient, 0));
    }
}
