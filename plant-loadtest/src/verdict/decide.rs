//! Decides whether measured values meet a limit: one comparison for each kind of metric.

use statrs::function::erf::erf_inv;

use super::Undecided;
use crate::{
    distribution::Distribution,
    sla::{Judging, Limit, Threshold},
    statistics::binomial::{Position, Share},
};

/// Requests needed for a mean, and with [`Judging::Point`] for a median.
const MIN_SAMPLES: u64 = 10;

/// Result of comparing a metric with its limits.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decision {
    Met,
    /// Violated, but not beyond the limit for failures.
    ViolatedWithinTolerance,
    /// Violated beyond the limit for failures.
    Violated,
    NotDecidable(Undecided),
}

/// Compares a value that is exact, such as a maximum, a rate or a count.
pub(super) fn decide_value(threshold: &Threshold, value: f64) -> Decision {
    if threshold.is_met_by(value) {
        Decision::Met
    } else if threshold.is_failed_by(value) {
        Decision::Violated
    } else {
        Decision::ViolatedWithinTolerance
    }
}

/// Compares a quantile (0 to 1) of `latency`: the share of requests that violate the limit must be
/// less than `1 - quantile`.
pub(super) fn decide_quantile(
    threshold: &Threshold,
    latency: &Distribution,
    quantile: f64,
    judging: Judging,
) -> Decision {
    let allowed = 1.0 - quantile;
    let violating = |limit: Limit| Share {
        count: latency.count_slowest(|ms| !limit.is_met_by(ms)),
        total: latency.len(),
    };
    match judging {
        Judging::Point => {
            decide_point_quantile(threshold, latency, quantile, samples_for_quantile(quantile))
        }
        Judging::Interval { confidence } => decide_share(
            violating(threshold.limit),
            threshold.fail_limit.map(|limit| (violating(limit), allowed)),
            allowed,
            confidence,
        ),
    }
}

/// Compares an error rate: `count` of `total` requests failed.
pub(super) fn decide_error_rate(
    threshold: &Threshold,
    failed: Share,
    judging: Judging,
) -> Decision {
    let limit = threshold.limit.value / 100.0;
    match judging {
        Judging::Interval { confidence } => {
            let fail_limit = threshold.fail_limit.map(|limit| (failed, limit.value / 100.0));
            decide_share(failed, fail_limit, limit, confidence)
        }
        Judging::Point => {
            // Violated if it would be so were all missing requests successful.
            let needed = samples_for_rate(threshold.limit.value);
            let padded = Share { total: failed.total.max(needed), ..failed };
            let decision = decide_value(threshold, padded.fraction() * 100.0);
            if decision == Decision::Met && failed.total < needed {
                return Decision::NotDecidable(Undecided::by_samples(failed.total, Some(needed)));
            }
            decision
        }
    }
}

/// Compares a share of responses that has an upper or a lower limit.
pub(super) fn decide_status_share(
    threshold: &Threshold,
    responses: Share,
    judging: Judging,
) -> Decision {
    if threshold.limit.is_upper() {
        return decide_error_rate(threshold, responses, judging);
    }
    let others = Share { count: responses.total - responses.count, ..responses };
    let limits_others = Threshold {
        limit: threshold.limit.of_the_others(),
        fail_limit: threshold.fail_limit.map(Limit::of_the_others),
        ..threshold.clone()
    };
    decide_error_rate(&limits_others, others, judging)
}

/// Compares a mean by its standard error.
pub(super) fn decide_mean(
    threshold: &Threshold,
    latency: &Distribution,
    judging: Judging,
) -> Decision {
    let (Some(mean), Some(deviation)) = (latency.mean_ms(), latency.standard_deviation_ms()) else {
        return Decision::NotDecidable(Undecided::by_samples(0, Some(MIN_SAMPLES)));
    };
    let samples = latency.len();
    if samples < MIN_SAMPLES {
        return Decision::NotDecidable(Undecided::by_samples(samples, Some(MIN_SAMPLES)));
    }
    let errors = match judging {
        Judging::Point => 0.0,
        // Standard errors from the mean to the ends of its interval (central limit theorem).
        Judging::Interval { confidence } => std::f64::consts::SQRT_2 * erf_inv(confidence),
    };
    #[expect(clippy::cast_precision_loss, reason = "requests of a run stay below 2^53")]
    let error = errors * deviation / (samples as f64).sqrt();
    match (decide_value(threshold, mean + error), decide_value(threshold, mean - error)) {
        (Decision::Met, _) => Decision::Met,
        (_, Decision::Met) => {
            let ratio = error / (mean - threshold.limit.value).abs();
            Decision::NotDecidable(Undecided::by_samples(samples, times(samples, ratio * ratio)))
        }
        (_, violated) => violated,
    }
}

/// Compares a share of requests with `limit` (0 to 1), and if it is above it, the share of
/// `fail_limit` with that limit: above it too, the violation is a failure.
fn decide_share(
    share: Share,
    fail_limit: Option<(Share, f64)>,
    limit: f64,
    confidence: f64,
) -> Decision {
    match share.compare(limit, confidence) {
        Position::Below => Decision::Met,
        Position::Undecided => {
            let needed = share.total_to_decide(limit, confidence);
            Decision::NotDecidable(Undecided::by_samples(share.total, needed))
        }
        Position::Above => match fail_limit {
            Some((share, limit)) if share.compare(limit, confidence) == Position::Above => {
                Decision::Violated
            }
            _ => Decision::ViolatedWithinTolerance,
        },
    }
}

/// Compares the quantile that was measured; with fewer than `needed` samples it is violated only if
/// it would be so were all missing requests fast.
fn decide_point_quantile(
    threshold: &Threshold,
    latency: &Distribution,
    quantile: f64,
    needed: u64,
) -> Decision {
    match latency.quantile_lower_bound_ms(quantile, needed) {
        Some(value) if !threshold.is_met_by(value) => decide_value(threshold, value),
        _ if latency.len() < needed => {
            Decision::NotDecidable(Undecided::by_samples(latency.len(), Some(needed)))
        }
        _ => Decision::Met,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float's cast to an integer saturates, and limits are never negative"
)]
fn samples_for_rate(limit_percent: f64) -> u64 {
    // A majority needs one request.
    if (f64::EPSILON..50.0).contains(&limit_percent) {
        (100.0 / limit_percent).ceil() as u64
    } else {
        1
    }
}

/// Returns the number of samples of which one is beyond the quantile.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a quantile lies between 0 and 1, so the quotient is small and positive"
)]
fn samples_for_quantile(quantile: f64) -> u64 {
    ((1.0 / (1.0 - quantile)).round() as u64).max(MIN_SAMPLES)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "checked to be a positive number of requests below 2^53"
)]
fn times(samples: u64, factor: f64) -> Option<u64> {
    let needed = (samples as f64 * factor).ceil();
    (needed < 1e9).then_some(needed as u64)
}
