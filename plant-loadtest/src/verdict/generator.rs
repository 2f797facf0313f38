//! Checks of the load generator: was it fast enough for valid measurements?

use std::ops::{Range, RangeInclusive};

use super::{Grade, JudgedThreshold, coverage::has_coverage, decide::Decision, workers};
use crate::{
    distribution::Distribution,
    failure::FailureKind,
    load::Stage,
    outcome::{ArrivalCell, Outcome, ResourceSample},
    sla::{Metric, Threshold, format_ms},
};

/// Highest CPU demand of the generator, as a fraction of all CPUs. Above it the generator competes
/// with the service under test. Demand is what the usage would be without waiting for a CPU
/// (run-queue delay).
const MAX_CPU_DEMAND: f64 = 0.7;

/// Highest fraction of the runnable time that counts as waiting for a CPU. The usage is known to a
/// clock tick only, so a higher one would say nothing.
const MAX_CPU_WAIT: f64 = 0.9;

/// Highest dispatch lag as a fraction of a latency threshold. Above it the lag alone may violate the
/// threshold.
const MAX_LAG_FRACTION: f64 = 0.5;

/// Dispatch lag from which a second does not count for a throughput, in milliseconds.
const MAX_THROUGHPUT_LAG_MS: f64 = 200.0;

/// Highest fraction of dropped arrivals. Above it the service did not receive the planned load.
const MAX_DROPPED_FRACTION: f64 = 0.001;

/// Failures that the service itself sends, so that the generator cannot have caused them.
const SENT_BY_SERVICE: [FailureKind; 4] = [
    FailureKind::ClientError,
    FailureKind::ServerError,
    FailureKind::UnexpectedStatus,
    FailureKind::WrongShape,
];

/// Health of the load generator during the run.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratorHealth {
    /// Mean CPU usage in the judged stages, as a fraction of all CPUs (0 to 1); `None` when the
    /// system does not report it.
    pub cpu: Option<f64>,
    /// Delays by the load generator in the judged stages: the lag of its timers and the dispatch lag
    /// of arrivals.
    pub dispatch_lag: Distribution,
    /// Number of dropped arrivals in the judged stages.
    pub dropped_arrivals: u64,
    /// Why the measurements are invalid: a load generator was lost, or else the reason of the first invalid
    /// threshold ([`JudgedThreshold::invalid`]); `None` when all are valid.
    pub invalid_reason: Option<String>,
}

impl GeneratorHealth {
    /// Summarizes the health in the judged stages of `outcome`, and that of the judged `thresholds`.
    pub(super) fn check(outcome: &Outcome, thresholds: &[JudgedThreshold]) -> Self {
        let spans = judged_spans(outcome);
        let lost = workers::problem(outcome).into_iter();
        let mut invalid = lost.chain(thresholds.iter().filter_map(|judged| judged.invalid.clone()));
        Self {
            cpu: mean(samples(outcome, &spans).filter_map(|sample| sample.generator_cpu)),
            dispatch_lag: dispatch_lag(outcome, &spans),
            dropped_arrivals: arrivals(outcome, &spans).dropped,
            invalid_reason: invalid.next(),
        }
    }
}

/// Returns how the load generator may have caused the grade of a threshold, judged by exactly the
/// seconds in `spans`; `None` if it was healthy in them, or if the grade does not depend on it.
/// `remeasure` judges a threshold in other seconds.
pub(super) fn cause(
    outcome: &Outcome,
    judged: &JudgedThreshold,
    spans: &[Range<u32>],
    remeasure: impl Fn(&Threshold, &[Range<u32>]) -> Decision,
) -> Option<String> {
    let threshold = &judged.threshold;
    let is_violated = matches!(judged.grade, Grade::Warning | Grade::Fail);
    if judged.grade == Grade::Insufficient || matches!(threshold.metric, Metric::Resource(_)) {
        return None;
    }
    if is_violated && violated_by_service(threshold, spans, &remeasure) {
        return None;
    }
    // In a pause the generator is idle, which says nothing of the requests before.
    let loaded = outcome.busy_spans(spans);
    if is_violated && is_beyond_lag(outcome, judged, spans) {
        return busy(outcome, &loaded);
    }
    busy(outcome, &loaded)
        .or_else(|| late(outcome, threshold, &loaded))
        .or_else(|| dropped(outcome, spans).filter(|_| !is_violated))
        .or_else(|| absent(outcome, spans).filter(|_| !is_violated))
        .or_else(|| {
            let (healthy, reason) = without_freezes(outcome, threshold, spans)?;
            let still = is_violated && is_violation(&remeasure(threshold, &healthy));
            (is_violated && !still).then_some(reason)
        })
}

/// Returns whether what the service itself sent already violates the threshold: its failures, or the
/// statuses of its responses.
fn violated_by_service(
    threshold: &Threshold,
    spans: &[Range<u32>],
    remeasure: impl Fn(&Threshold, &[Range<u32>]) -> Decision,
) -> bool {
    let kinds = match &threshold.metric {
        Metric::StatusShare(_) => return true,
        Metric::ErrorRate(kinds) => kinds,
        _ => return false,
    };
    let kinds = kinds.iter().copied().filter(|kind| SENT_BY_SERVICE.contains(kind)).collect();
    let by_service = Threshold { metric: Metric::ErrorRate(kinds), ..threshold.clone() };
    is_violation(&remeasure(&by_service, spans))
}

/// Returns whether a latency violates its threshold even without the longest lag of the generator.
fn is_beyond_lag(outcome: &Outcome, judged: &JudgedThreshold, spans: &[Range<u32>]) -> bool {
    let JudgedThreshold { threshold, measured, .. } = judged;
    let longest = longest(freezes(outcome, spans, 0.0)).map_or(0.0, |(_, lag_ms)| lag_ms);
    let without_lag = measured.map(|measured| measured - longest);
    threshold.metric.is_latency()
        && without_lag.is_some_and(|measured| !threshold.is_met_by(measured))
}

/// Returns whether second `at`, at which the generator had been standing still for `lag_ms`, and the
/// seconds before it touch `spans`.
fn touches(spans: &[Range<u32>], (at, lag_ms): (u32, f64)) -> bool {
    let frozen = frozen_seconds(at, lag_ms);
    spans.iter().any(|span| frozen.start() < &span.end && frozen.end() >= &span.start)
}

/// Returns the seconds around a freeze: a sample has the lag since the previous one, so the freeze
/// began before it.
fn frozen_seconds(at: u32, lag_ms: f64) -> RangeInclusive<u32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a lag is not negative, and a float's cast to an integer saturates"
    )]
    let length = (lag_ms / 1000.0).ceil() as u32 + 1;
    at.saturating_sub(length)..=at + 1
}

/// Returns the freezes of more than `limit_ms` that touch `spans`: second and length.
fn freezes(
    outcome: &Outcome,
    spans: &[Range<u32>],
    limit_ms: f64,
) -> impl Iterator<Item = (u32, f64)> {
    let timers = outcome.samples.iter().map(|one| (one.second, &one.generator_timer_lag));
    let arrivals = outcome.arrivals.iter().map(|cell| (cell.second, &cell.dispatch_lag));
    timers
        .chain(arrivals)
        .filter_map(move |(second, lag)| Some((second, lag.max_ms().filter(|ms| *ms > limit_ms)?)))
        .filter(|freeze| touches(spans, *freeze))
}

fn longest(freezes: impl Iterator<Item = (u32, f64)>) -> Option<(u32, f64)> {
    freezes.max_by(|one, other| one.1.total_cmp(&other.1))
}

/// Returns a sentence about the longest freeze in `span` that may have changed the course of the
/// run; `None` if there was none.
pub(super) fn freeze_note(outcome: &Outcome, span: &Range<u32>) -> Option<String> {
    let spans = std::slice::from_ref(span);
    let (at, lag_ms) = longest(freezes(outcome, spans, MAX_THROUGHPUT_LAG_MS))?;
    Some(format!("the load generator stood still for {} at second {at}", format_ms(lag_ms)))
}

/// Returns a sentence if a generator measured itself in too few of the seconds in which it ran: it stood still
/// in the others, and sent nothing.
fn absent(outcome: &Outcome, spans: &[Range<u32>]) -> Option<String> {
    workers::generators_in_time(outcome).find_map(|(name, samples, ran)| {
        let own = spans.iter().map(|span| span.start.max(ran.start)..span.end.min(ran.end));
        let own: Vec<_> = own.filter(|span| !span.is_empty()).collect();
        let seconds: u32 = own.iter().map(|span| span.end - span.start).sum();
        let measured = in_spans(samples, &own, |sample| sample.second).count() as u64;
        (seconds >= 10 && !has_coverage(outcome, measured, &own))
            .then(|| format!("{name} measured itself in {measured} of {seconds} seconds only"))
    })
}

fn is_violation(decision: &Decision) -> bool {
    matches!(decision, Decision::Violated | Decision::ViolatedWithinTolerance)
}

/// Checks the CPU demand of each load generator.
fn busy(outcome: &Outcome, spans: &[Range<u32>]) -> Option<String> {
    workers::generators(outcome).find_map(|(name, samples)| {
        let samples: Vec<_> = in_spans(samples, spans, |sample| sample.second).collect();
        busy_generator(&name, &samples)
    })
}

fn busy_generator(name: &str, samples: &[&ResourceSample]) -> Option<String> {
    let used = mean(samples.iter().filter_map(|sample| sample.generator_cpu));
    let wait = mean(samples.iter().filter_map(|sample| sample.generator_cpu_wait));
    // Its usage if it had never waited for a CPU.
    let running = 1.0 - wait.unwrap_or(0.0).clamp(0.0, MAX_CPU_WAIT);
    let demand = used.map(|used| used / running).filter(|demand| *demand > MAX_CPU_DEMAND)?;
    Some(format!(
        "the CPU demand of {name} was {:.0} % of the CPUs available to it (limit {:.0} \
         %), its CPU usage {:.0} %, so its measurements cannot be trusted",
        demand * 100.0,
        MAX_CPU_DEMAND * 100.0,
        used.unwrap_or(0.0) * 100.0
    ))
}

/// Compares a limited percentile with the same percentile of the dispatch lag.
fn late(outcome: &Outcome, threshold: &Threshold, spans: &[Range<u32>]) -> Option<String> {
    let quantile = threshold.metric.quantile().filter(|quantile| *quantile < 1.0)?;
    let timers = workers::generators(outcome).map(|(name, samples)| {
        let samples = in_spans(samples, spans, |sample| sample.second);
        (name, Distribution::sum(samples.map(|sample| &sample.generator_timer_lag)))
    });
    let dispatch = (workers::ANY.to_owned(), arrivals(outcome, spans).dispatch_lag);
    let lags =
        timers.chain([dispatch]).filter_map(|(name, lag)| Some((name, lag.quantile_ms(quantile)?)));
    let (name, lag_ms) = lags.max_by(|one, two| one.1.total_cmp(&two.1))?;
    (lag_ms > threshold.limit.value * MAX_LAG_FRACTION).then(|| {
        format!(
            "{name}'s dispatch lag was {} at {}, which is too much to measure {}: {} {}",
            format_ms(lag_ms),
            threshold.metric,
            threshold.subject,
            threshold.metric,
            threshold.format_limit()
        )
    })
}

/// Compares the fraction of dropped arrivals with its limit. Dropped arrivals would have waited
/// longest, so every metric looks better without them.
fn dropped(outcome: &Outcome, spans: &[Range<u32>]) -> Option<String> {
    let arrivals = arrivals(outcome, spans);
    let dropped = fraction(arrivals.dropped, arrivals.scheduled)
        .filter(|dropped| *dropped > MAX_DROPPED_FRACTION)?;
    Some(format!(
        "{:.1} % of the arrivals were dropped because no user became free within the request \
         timeout, so the service did not receive the planned load",
        dropped * 100.0
    ))
}

/// Returns `spans` without the seconds in which the load generator stood still for too long to
/// measure the threshold, and a sentence about the longest of them; `None` if there were none.
fn without_freezes(
    outcome: &Outcome,
    threshold: &Threshold,
    spans: &[Range<u32>],
) -> Option<(Vec<Range<u32>>, String)> {
    let limit_ms = match threshold.metric.is_latency() {
        true => threshold.limit.value * MAX_LAG_FRACTION,
        false => MAX_THROUGHPUT_LAG_MS,
    };
    let found: Vec<(u32, f64)> = freezes(outcome, spans, limit_ms).collect();
    let (at, longest) = longest(found.iter().copied())?;
    let is_frozen = |second: u32| {
        found.iter().any(|(end, lag_ms)| frozen_seconds(*end, *lag_ms).contains(&second))
    };
    let seconds = spans.iter().cloned().flatten().filter(|second| !is_frozen(*second));
    let healthy = seconds.map(|second| second..second + 1).collect();
    let reason = format!(
        "the load generator stood still for {} at second {at}, which may be why {} violated its \
         threshold for {}; without the seconds around it, the threshold is not violated",
        format_ms(longest),
        threshold.subject,
        threshold.metric
    );
    Some((healthy, reason))
}

/// Returns the lag of the generator's timers and the dispatch lag of arrivals.
fn dispatch_lag(outcome: &Outcome, spans: &[Range<u32>]) -> Distribution {
    let mut lag = timer_lag(outcome, spans);
    lag.merge(&arrivals(outcome, spans).dispatch_lag);
    lag
}

fn timer_lag(outcome: &Outcome, spans: &[Range<u32>]) -> Distribution {
    Distribution::sum(samples(outcome, spans).map(|sample| &sample.generator_timer_lag))
}

/// Returns a note if the generator was too busy in the judged stages.
pub(super) fn busy_note(outcome: &Outcome) -> Option<String> {
    busy(outcome, &judged_spans(outcome))
}

/// Returns a note about arrivals that waited for a free user or were dropped; `None` when none
/// waited.
pub(super) fn arrivals_note(outcome: &Outcome) -> Option<String> {
    let arrivals = arrivals(outcome, &judged_spans(outcome));
    let waited = fraction(arrivals.waited, arrivals.scheduled).filter(|waited| *waited > 0.0)?;
    let dropped = match arrivals.dropped {
        0 => String::new(),
        dropped => format!("; {dropped} of them were dropped"),
    };
    let p95 = arrivals.wait.quantile_ms(0.95);
    let p95 = p95.map(|ms| format!(", 95 % of them up to {}", format_ms(ms))).unwrap_or_default();
    Some(format!(
        "{} of {} arrivals ({:.1} %) waited because all {} users were busy{p95}; the wait is part \
         of their latency{dropped}",
        arrivals.waited,
        arrivals.scheduled,
        waited * 100.0,
        outcome.load.users
    ))
}

/// Returns the sum of all arrivals in `spans`.
pub(super) fn arrivals(outcome: &Outcome, spans: &[Range<u32>]) -> ArrivalCell {
    let mut all = ArrivalCell::default();
    for cell in in_spans(&outcome.arrivals, spans, |cell| cell.second) {
        all.scheduled += cell.scheduled;
        all.waited += cell.waited;
        all.dropped += cell.dropped;
    }
    let cells = || in_spans(&outcome.arrivals, spans, |cell| cell.second);
    all.wait = Distribution::sum(cells().map(|cell| &cell.wait));
    all.dispatch_lag = Distribution::sum(cells().map(|cell| &cell.dispatch_lag));
    all
}

fn samples<'o>(
    outcome: &'o Outcome,
    spans: &'o [Range<u32>],
) -> impl Iterator<Item = &'o ResourceSample> {
    in_spans(&outcome.samples, spans, |sample| sample.second)
}

fn in_spans<'o, T>(
    items: &'o [T],
    spans: &'o [Range<u32>],
    second: impl Fn(&T) -> u32 + 'o,
) -> impl Iterator<Item = &'o T> {
    items.iter().filter(move |item| spans.iter().any(|span| span.contains(&second(item))))
}

fn judged_spans(outcome: &Outcome) -> Vec<Range<u32>> {
    outcome.load.stages.iter().filter(|stage| stage.judged).map(Stage::seconds).collect()
}

#[expect(clippy::cast_precision_loss, reason = "arrivals of a run stay below 2^53")]
fn fraction(part: u64, total: u64) -> Option<f64> {
    (total > 0).then(|| part as f64 / total as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        distribution::Distribution,
        outcome::{ArrivalCell, Outcome},
        report::example,
        sla::Limit,
        verdict::{Grade, Verdict},
    };

    /// Returns the example as an open run with `dropped` of 1000 arrivals dropped.
    fn with_dropped(dropped: u64) -> Outcome {
        let mut outcome = example::outcome();
        let second = outcome.judged_span().start;
        let arrival = ArrivalCell { second, scheduled: 1000, dropped, ..ArrivalCell::default() };
        outcome.arrivals = vec![arrival];
        outcome
    }

    #[test]
    fn the_seconds_around_a_freeze_are_left_out() {
        let mut outcome = example::outcome();
        let at_20 = |sample: &&mut crate::outcome::ResourceSample| sample.second == 20;
        let sample = outcome.samples.iter_mut().find(at_20).unwrap();
        sample.generator_timer_lag.record(Duration::from_millis(1_400));
        let p95 =
            outcome.sla.thresholds.iter().find(|one| one.limit.value >= 300.0).unwrap().clone();
        let (healthy, reason) =
            super::without_freezes(&outcome, &p95, &[outcome.judged_span()]).unwrap();
        let left_out: Vec<u32> = outcome
            .judged_span()
            .filter(|second| !healthy.iter().any(|span| span.contains(second)))
            .collect();
        // It began up to 1.4 s before the sample, which came up to a second later.
        assert_eq!(left_out, [17, 18, 19, 20, 21]);
        assert!(reason.contains("stood still for 1400 ms at second 20"), "{reason}");
        // Half of the limit is enough to matter.
        let short = crate::sla::Threshold { limit: Limit::below(2_000.0), ..p95.clone() };
        assert!(super::without_freezes(&outcome, &short, &[outcome.judged_span()]).is_some());
        let long = crate::sla::Threshold { limit: Limit::below(3_000.0), ..p95.clone() };
        assert_eq!(super::without_freezes(&outcome, &long, &[outcome.judged_span()]), None);
        let before = std::slice::from_ref(&(5..10));
        assert_eq!(super::without_freezes(&outcome, &p95, before), None, "none in these seconds");
    }

    #[test]
    fn a_freeze_concerns_the_seconds_from_its_start_to_after_its_end() {
        // The sample of second 20 has a lag of up to 1.4 s: the seconds 17 to 21.
        let touches = |span| super::touches(&[span], (20, 1_400.0));
        assert!(!touches(12..17) && touches(12..18));
        assert!(touches(21..30) && !touches(22..30));
        assert!(super::touches(&[5..10, 19..20], (20, 1_400.0)), "one of them is enough");
    }

    #[test]
    fn arrivals_that_waited_have_a_note() {
        let mut outcome = with_dropped(0);
        assert_eq!(super::arrivals_note(&outcome), None);
        let arrivals = &mut outcome.arrivals[0];
        (arrivals.waited, arrivals.dropped) = (250, 5);
        arrivals.wait.record(Duration::from_millis(800));
        let note = super::arrivals_note(&outcome).unwrap();
        assert!(note.starts_with("250 of 1000 arrivals (25.0 %) waited"), "{note}");
        assert!(
            note.contains("up to 800 ms") && note.ends_with("; 5 of them were dropped"),
            "{note}"
        );
    }

    #[test]
    fn too_many_dropped_arrivals_are_invalid() {
        for (dropped, grade) in [(1, Grade::Pass), (2, Grade::Invalid)] {
            let outcome = with_dropped(dropped);
            assert_eq!(Verdict::judge(&outcome, &outcome.sla).grade, grade, "{dropped}");
        }
    }

    #[test]
    fn a_threshold_violated_despite_dropped_arrivals_fails() {
        let mut outcome = with_dropped(500);
        outcome.target.healthy_after_s = None;
        assert_eq!(Verdict::judge(&outcome, &outcome.sla).grade, Grade::Fail);
    }

    #[test]
    fn dispatch_lag_of_arrivals_is_invalid() {
        let mut outcome = with_dropped(0);
        outcome.arrivals[0].dispatch_lag.record(Duration::from_millis(30));
        assert_eq!(Verdict::judge(&outcome, &outcome.sla).grade, Grade::Invalid);
    }

    #[test]
    fn the_lag_of_timers_and_that_of_arrivals_are_reported_together() {
        let mut outcome = with_dropped(0);
        let judged = outcome.judged_span();
        let samples = outcome.samples.iter().filter(|sample| judged.contains(&sample.second));
        let of_timers: u64 = samples.map(|sample| sample.generator_timer_lag.len()).sum();
        outcome.arrivals[0].dispatch_lag.record(Duration::from_millis(30));
        let lag = Verdict::judge(&outcome, &outcome.sla).generator.dispatch_lag;
        assert!(of_timers > 0);
        assert_eq!(lag.len(), of_timers + 1);
    }

    #[test]
    fn a_generator_without_enough_cpu_time_is_invalid() {
        for (waited, grade) in
            [(None, Grade::Pass), (Some(0.2), Grade::Pass), (Some(0.5), Grade::Invalid)]
        {
            let mut outcome = example::outcome();
            for sample in &mut outcome.samples {
                (sample.generator_cpu, sample.generator_cpu_wait) = (Some(0.4), waited);
            }
            assert_eq!(Verdict::judge(&outcome, &outcome.sla).grade, grade, "{waited:?}");
        }
    }

    fn grade_with_lag(millis: u64, every: usize) -> Grade {
        let mut outcome = example::outcome();
        for (index, sample) in outcome.samples.iter_mut().enumerate() {
            let lag = if index.is_multiple_of(every) { millis } else { 0 };
            sample.generator_timer_lag = Distribution::default();
            sample.generator_timer_lag.record(Duration::from_millis(lag));
        }
        Verdict::judge(&outcome, &outcome.sla).grade
    }

    #[test]
    fn dispatch_lag_above_half_of_a_threshold_is_invalid() {
        // The lowest thresholds are those of GET /health: 50, 100 and 200 ms.
        assert_eq!(grade_with_lag(30, 1), Grade::Invalid);
        assert_eq!(grade_with_lag(20, 1), Grade::Pass);
    }

    #[test]
    fn dispatch_lag_is_compared_at_the_percentile_of_the_threshold() {
        assert_eq!(grade_with_lag(90, 30), Grade::Pass, "below the 100 ms allowed at P99");
        assert_eq!(grade_with_lag(150, 30), Grade::Invalid, "above it");
    }
}
