//! One promise against an outcome.

use std::ops::Range;

use super::{Grade, Judged};
use crate::{
    outcome::{Outcome, Tally},
    sla::{During, Figure, Promise, Subject},
};

/// A median of fewer samples says little.
const NEEDED_FOR_P50: u64 = 10;

/// Grades one promise.
///
/// A percentile needs at least one sample beyond it: 20 for P95, 100 for P99; P50 takes 10. An
/// error rate needs so many requests that a single error would keep the promise: 100 for "< 1 %".
/// With fewer a promise can be broken (if it will be, however well all missing requests go), but
/// never be called kept: it is INSUFFICIENT.
pub(super) fn judge(outcome: &Outcome, promise: &Promise) -> Judged {
    let (measured, least, samples, needed) = match &promise.figure {
        Figure::SecondsToHealthy => return health(outcome, promise),
        Figure::Restarts => return restarts(outcome, promise),
        Figure::ErrorRate(kinds) => {
            let tally = tally(outcome, promise);
            let errors: u64 = kinds.iter().map(|kind| tally.counts.failures(*kind)).sum();
            let ended = tally.counts.succeeded + tally.counts.errors();
            let needed = needed_for_rate(promise.below);
            (rate(errors, ended), rate(errors, ended.max(needed)), ended, needed)
        }
        figure @ (Figure::P50 | Figure::P95 | Figure::P99) => {
            let latency = tally(outcome, promise).latency;
            let quantile = figure.quantile().unwrap_or_default();
            let needed = needed_for_quantile(quantile);
            let least = latency.least_quantile_ms(quantile, needed);
            (latency.quantile_ms(quantile), least, latency.len(), needed)
        }
    };
    let grade = match least {
        Some(least) if !promise.kept_by(least) => grade_of_miss(promise, least),
        _ if samples < needed => Grade::Insufficient,
        _ => Grade::Pass,
    };
    Judged { promise: promise.clone(), grade, measured, samples, needed }
}

fn health(outcome: &Outcome, promise: &Promise) -> Judged {
    let measured = outcome.target.healthy_after_s;
    let grade = match measured {
        Some(seconds) if promise.kept_by(seconds) => Grade::Pass,
        _ => Grade::Fail,
    };
    Judged { promise: promise.clone(), grade, measured, samples: 1, needed: 1 }
}

fn restarts(outcome: &Outcome, promise: &Promise) -> Judged {
    let measured = outcome.restarts().map(f64::from);
    let grade = match measured {
        None => Grade::Insufficient,
        Some(times) if promise.kept_by(times) => Grade::Pass,
        Some(times) => grade_of_miss(promise, times),
    };
    let samples = u64::from(measured.is_some());
    Judged { promise: promise.clone(), grade, measured, samples, needed: 1 }
}

fn grade_of_miss(promise: &Promise, measured: f64) -> Grade {
    match promise.fail_over {
        Some(limit) if measured > limit => Grade::Fail,
        // Where the limit is the target itself there is no band for a warning.
        Some(limit) if limit <= promise.below => Grade::Fail,
        _ => Grade::Warning,
    }
}

fn tally(outcome: &Outcome, promise: &Promise) -> Tally {
    let seconds = seconds(outcome, &promise.during);
    match &promise.subject {
        Subject::Endpoint(name) => outcome
            .endpoints
            .iter()
            .find(|endpoint| endpoint.name == *name)
            .map(|endpoint| endpoint.over(&seconds))
            .unwrap_or_default(),
        Subject::AllRequests | Subject::Service => outcome.over(&seconds),
    }
}

fn seconds(outcome: &Outcome, during: &During) -> Range<u32> {
    match during {
        During::Judged => outcome.judged_seconds(),
        During::Run => 0..u32::MAX,
        During::Stage(name) => outcome
            .load
            .stages
            .iter()
            .find(|stage| stage.name == *name)
            .map_or(0..0, |stage| stage.from_s..stage.to_s),
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
    fn requests_of_the_ramp_do_not_count() {
        let mut outcome = with(100, 900);
        outcome.endpoints[0].seconds[0].second = 0;
        let judged = judge(&outcome, &promise(Figure::P95, 100.0, Some(150.0)));
        assert_eq!((judged.grade, judged.samples), (Grade::Insufficient, 0));
    }
}
