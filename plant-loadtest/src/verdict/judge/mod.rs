//! Judges one threshold by an outcome.

mod actions;
mod lost;
#[cfg(test)]
mod tests;
mod work;

use std::{iter, ops::Range, slice};

use super::{
    Grade, JudgedThreshold, Undecided,
    coverage::has_coverage,
    decide::{
        Decision, decide_error_rate, decide_mean, decide_quantile, decide_status_share,
        decide_value,
    },
    generator, usage,
};
use crate::{
    distribution::Distribution,
    duration,
    failure::FailureKind,
    load::Stage,
    outcome::{Counter, Counts, Ended, EndpointResults, Outcome, Tally},
    sla::{During, Judging, Metric, Resource, Statuses, Subject, Threshold},
    statistics::binomial::Share,
};

/// Longest time in seconds from the last sample of the service's process to the end of the run.
const MAX_UNOBSERVED_END_S: u32 = 5;

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
        Metric::Drain => return work::judge_drain(outcome, threshold),
        Metric::NotEnded => return work::judge_not_ended(outcome, threshold),
        Metric::Doubled => return work::judge_doubled(outcome, threshold),
        Metric::QueueAfter => return judge_queue_after(outcome, threshold),
        Metric::FailedActions => return actions::judge_failed(outcome, threshold),
        _ => {}
    }
    let planned = spans(outcome, &threshold.during);
    let run = run_spans(outcome, &threshold.during);
    let judged = match threshold.window_s {
        None => judge_over(outcome, threshold, &run, judging),
        Some(window_s) => judge_windows(outcome, threshold, &run, window_s, judging),
    };
    let (run_s, planned_s) = (seconds(&run), seconds(&planned));
    // A sum that has not reached its lower limit yet might have.
    let may_grow = matches!(threshold.metric, Metric::Count(_)) && !threshold.limit.is_upper();
    if run_s < planned_s && (judged.grade == Grade::Pass || may_grow) {
        return judged.not_decidable(format!(
            "only {} of {} were run",
            duration::format(run_s.into()),
            duration::format(planned_s.into())
        ));
    }
    if matches!(judged.grade, Grade::Pass | Grade::Insufficient)
        && let Some(reason) = missing_iterations(outcome, &planned)
    {
        return judged.not_decidable(reason);
    }
    work::unless_unknown(outcome, judged, &run)
}

/// Returns a sentence about the first stage in `spans` of which not all iterations were run.
fn missing_iterations(outcome: &Outcome, spans: &[Range<u32>]) -> Option<String> {
    let touches =
        |stage: &Stage| spans.iter().any(|span| span.start < stage.to_s && stage.from_s < span.end);
    let stage = outcome.incomplete_stages().find(|stage| touches(stage))?;
    Some(format!(
        "only {} of {} iterations of {} were run in {}",
        outcome.iterations_of(stage),
        stage.iterations,
        stage.name,
        duration::format((stage.to_s - stage.from_s).into())
    ))
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
    let windows = spans.iter().flat_map(|span| {
        // The time after the load, in which the last requests end, is no window of its own.
        let of_load = span.start..span.end.min(outcome.planned_seconds()).max(span.start);
        let mut windows: Vec<Range<u32>> = windows(&of_load, length).collect();
        if let Some(last) = windows.last_mut() {
            last.end = span.end;
        }
        windows
    });
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
        Some(value) if !judged.threshold.limit.is_upper() => -value,
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
        waiting: None,
        culprit: None,
        window: None,
        aborted_after_s: None,
    }
}

fn nothing_measured(threshold: &Threshold) -> JudgedThreshold {
    let decision = not_measured("nothing was measured");
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
            let Tally { latency, counts, .. } = tally();
            let decision =
                lost::unless_lost(decide_mean(threshold, &latency, judging), &counts, || {
                    decide_mean(threshold, &lost::all_slow(&latency, &counts), judging)
                });
            Measured { value: latency.mean_ms(), samples: latency.len(), decision }
        }
        Metric::Max => {
            let Tally { latency, counts, .. } = tally();
            let measured = from_value(threshold, latency.max_ms(), latency.len());
            let decision = lost::unless_lost(measured.decision, &counts, || {
                let slowest = lost::all_slow(&latency, &counts).max_ms();
                from_value(threshold, slowest, latency.len()).decision
            });
            Measured { decision, ..measured }
        }
        Metric::StatusShare(statuses) => status_share(threshold, *statuses, &tally(), judging),
        Metric::Rate => {
            let (rate, responses) = usage::throughput(&tally(), offered_s(outcome, spans));
            from_value(threshold, rate, responses)
        }
        Metric::Count(name) => {
            let count = count(outcome, name, spans);
            from_value(threshold, count.map(as_f64), count.unwrap_or_default())
        }
        Metric::CountRate(name) => {
            let count = count(outcome, name, spans);
            let seconds = offered_s(outcome, spans);
            let rate = count.filter(|_| seconds > 0.0).map(|count| as_f64(count) / seconds);
            from_value(threshold, rate, count.unwrap_or_default())
        }
        Metric::Resource(resource) => {
            let (mut value, samples) = usage::resource(outcome, *resource, spans);
            if *resource == Resource::LoggedErrors && threshold.during == During::Run {
                // Those of accepted work that ended after the load count, too.
                value = usage::resource(outcome, *resource, slice::from_ref(&(0..u32::MAX))).0;
            }
            let covered = has_coverage(outcome, samples, spans);
            let measured = from_value(threshold, value, samples);
            if value.is_none() && samples > 0 && resource.is_increase() {
                let decision = not_measured("too little was sampled before the first request");
                return Measured { decision, ..measured };
            }
            if covered || matches!(measured.decision, Decision::Violated) {
                return measured;
            }
            let reason = format!("sampled in {samples} of {} seconds", seconds(spans));
            Measured { decision: not_measured(&reason), ..measured }
        }
        metric => {
            let Tally { latency, counts, .. } = tally();
            let quantile = metric.quantile().unwrap_or_default();
            let decide =
                |latency: &Distribution| decide_quantile(threshold, latency, quantile, judging);
            let mut decision = lost::unless_lost(decide(&latency), &counts, || {
                decide(&lost::all_slow(&latency, &counts))
            });
            let timeout_ms = outcome.load.timeout_s * 1000.0;
            let timed_out = counts.timed_out;
            if decision == Decision::Met && timed_out > 0 && threshold.limit.value > timeout_ms {
                decision =
                    not_measured(&format!("{timed_out} requests timed out before the limit"));
            }
            Measured { value: latency.quantile_ms(quantile), samples: latency.len(), decision }
        }
    }
}

/// Returns the length of `spans` in seconds without the time in which nothing is offered: after the load,
/// and after the last iteration of a stage.
fn offered_s(outcome: &Outcome, spans: &[Range<u32>]) -> f64 {
    let planned = outcome.planned_seconds();
    spans.iter().map(|span| outcome.busy_s(&(span.start..span.end.min(planned)))).sum()
}

/// Returns the increase of a custom counter; `None` if the outcome does not contain it.
fn count(outcome: &Outcome, name: &str, spans: &[Range<u32>]) -> Option<u64> {
    let counter: &Counter = outcome.counters.iter().find(|counter| counter.name == name)?;
    Some(spans.iter().map(|span| counter.count_in(span)).sum())
}

/// Measures the share of responses with one of the `statuses`.
fn status_share(
    threshold: &Threshold,
    statuses: Statuses,
    tally: &Tally,
    judging: Judging,
) -> Measured {
    let total: u64 = tally.statuses.values().sum();
    let of_these = tally.statuses.iter().filter(|(status, _)| statuses.contains(**status));
    let responses = Share { count: of_these.map(|(_, count)| count).sum(), total };
    let value = (total > 0).then(|| responses.fraction() * 100.0);
    let decision = match total < tally.counts.responses() {
        // Outcomes of format versions 1 and 2.
        true => not_measured("the outcome contains status codes for the whole run only"),
        false => decide_status_share(threshold, responses, judging),
    };
    let decision = lost::unless_lost(decision, &tally.counts, || {
        let worst = match threshold.limit.is_upper() {
            true => lost::all_failed(responses, &tally.counts),
            false => Share { total: total + tally.counts.lost, ..responses },
        };
        decide_status_share(threshold, worst, judging)
    });
    Measured { value, samples: total, decision }
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
    let mut counts = counts(outcome, &threshold.subject, spans);
    if threshold.during == During::Run && threshold.window_s.is_none() {
        for endpoint in of_subject(outcome, &threshold.subject) {
            counts.add(&endpoint.outside_load);
        }
    }
    let errors: u64 = kinds.iter().map(|kind| counts.failures(*kind)).sum();
    let counts_dropped =
        threshold.subject == Subject::AllRequests && kinds.contains(&FailureKind::TimedOut);
    let dropped = if counts_dropped { generator::arrivals(outcome, spans).dropped } else { 0 };
    let failed = Share { count: errors + dropped, total: counts.finished() + dropped };
    if failed.total == 0 {
        return Measured { value: None, samples: 0, decision: not_measured("never requested") };
    }
    Measured {
        value: Some(failed.fraction() * 100.0),
        samples: failed.total,
        decision: lost::unless_lost(decide_error_rate(threshold, failed, judging), &counts, || {
            decide_error_rate(threshold, lost::all_failed(failed, &counts), judging)
        }),
    }
}

fn not_measured(reason: &str) -> Decision {
    Decision::NotDecidable(Undecided { reason: reason.into(), samples_needed: None })
}

/// Compares a value for which a single sample is enough.
fn from_value(threshold: &Threshold, value: Option<f64>, samples: u64) -> Measured {
    let decision =
        value.map_or_else(|| not_measured("not measured"), |value| decide_value(threshold, value));
    Measured { value, samples, decision }
}

fn judge_health(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    let value = outcome.target.healthy_after_s;
    let measured = match value {
        // A killed run could not query /health after the load.
        None if outcome.ended == Ended::Killed => from_value(threshold, None, 0),
        None if outcome.target.health_cut_short => {
            let decision = not_measured("the wait for it was cut short");
            Measured { value, samples: 0, decision }
        }
        None => Measured { value, samples: 1, decision: Decision::Violated },
        Some(_) => from_value(threshold, value, 1),
    };
    judged(threshold, measured)
}

fn judge_restarts(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    let samples = outcome.seconds_of_process().count() as u64;
    let judged =
        judged(threshold, from_value(threshold, outcome.restarts().map(f64::from), samples));
    let seconds = end_of_run(outcome);
    if judged.grade == Grade::Pass
        && !has_coverage(outcome, samples, slice::from_ref(&(0..seconds)))
    {
        return judged.not_decidable(format!("sampled in {samples} of {seconds} seconds"));
    }
    // A restart between two samples shows in the later one, but none follows the last.
    match outcome.seconds_of_process().next_back() {
        Some(last) if judged.grade == Grade::Pass && last + MAX_UNOBSERVED_END_S < seconds => {
            judged.not_decidable(format!("not sampled after second {last} of {seconds}"))
        }
        _ => judged,
    }
}

/// Judges the depth of the queue after the accepted work has ended.
fn judge_queue_after(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    let value = outcome.target.queue_after;
    judged(threshold, from_value(threshold, value, u64::from(value.is_some())))
}

/// Returns the endpoints whose requests belong to a subject.
pub(super) fn of_subject<'a>(
    outcome: &'a Outcome,
    subject: &Subject,
) -> impl Iterator<Item = &'a EndpointResults> {
    outcome.endpoints.iter().filter(|endpoint| outcome.is_of_subject(&endpoint.name, subject))
}

/// Returns the counts of a subject; much faster than [`tally`].
pub(super) fn counts(outcome: &Outcome, subject: &Subject, spans: &[Range<u32>]) -> Counts {
    if let Subject::Work(_) = subject {
        return tally(outcome, subject, spans).counts;
    }
    let mut counts = Counts::default();
    for endpoint in of_subject(outcome, subject) {
        for span in spans {
            counts.add(&endpoint.counts_in(span));
        }
    }
    counts
}

fn tally(outcome: &Outcome, subject: &Subject, spans: &[Range<u32>]) -> Tally {
    let mut tally = Tally::default();
    if let Subject::Work(name) = subject {
        let completion = outcome.completions.iter().find(|completion| completion.work == *name);
        for span in spans {
            let span = acceptance(outcome, span);
            tally.add(&completion.map(|completion| completion.tally_in(&span)).unwrap_or_default());
        }
        return tally;
    }
    for endpoint in of_subject(outcome, subject) {
        for span in spans {
            tally.add(&endpoint.tally_in(span));
        }
    }
    tally
}

/// Returns the seconds in which work that was requested in `span` may be accepted: the responses to the
/// last requests of the load come after it.
fn acceptance(outcome: &Outcome, span: &Range<u32>) -> Range<u32> {
    let is_last = span.end >= outcome.planned_seconds();
    span.start..if is_last { u32::MAX } else { span.end }
}

/// Returns the seconds in which a threshold applies, as planned.
fn spans(outcome: &Outcome, during: &During) -> Vec<Range<u32>> {
    let stages = outcome.load.stages.iter();
    match during {
        During::Run => iter::once(0..outcome.planned_seconds().max(end_of_run(outcome))).collect(),
        During::Judged => stages.filter(|stage| stage.judged).map(Stage::seconds).collect(),
        During::Stages(names) => {
            stages.filter(|stage| names.contains(&stage.name)).map(Stage::seconds).collect()
        }
    }
}

/// Returns the seconds in which a threshold applies, without those that were not run.
pub(super) fn run_spans(outcome: &Outcome, during: &During) -> Vec<Range<u32>> {
    let end = end_of_run(outcome);
    let spans = spans(outcome, during).into_iter();
    let run = spans.map(|span| span.start.min(end)..span.end.min(end));
    run.filter(|span| !span.is_empty()).collect()
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
        // Later the users were stopped.
        Ended::Aborted => outcome.aborted.as_ref().map_or(completed, |aborted| aborted.after_s),
    }
}

fn seconds(spans: &[Range<u32>]) -> u32 {
    spans.iter().map(|span| span.end - span.start).sum()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
