//! Judges thresholds for accepted work.

use std::{ops::Range, slice};

use super::{
    Decision, Measured, acceptance, as_f64, decide_value, from_value, judged, nothing_measured,
};
use crate::{
    outcome::{Completion, Outcome},
    sla::{Metric, Subject, Threshold},
    verdict::{Grade, JudgedThreshold},
};

/// The whole run, and what follows it.
const ALL: Range<u32> = 0..u32::MAX;

/// Judges the drain time. It is violated if the wait for accepted work timed out before all of it
/// had ended.
pub(super) fn judge_drain(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    let Some(completion) = accepted_work(outcome, threshold) else {
        return nothing_measured(threshold);
    };
    let samples = completion.tally_all().counts.sent;
    let measured = match completion.drain_s {
        None if completion.not_ended() > 0 => {
            Measured { value: None, samples, decision: Decision::Violated }
        }
        drain_s => from_value(threshold, drain_s, samples),
    };
    unless_unknown(outcome, judged(threshold, measured), slice::from_ref(&ALL))
}

/// Judges the number of items of accepted work that neither completed nor failed.
pub(super) fn judge_not_ended(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    let Some(completion) = accepted_work(outcome, threshold) else {
        return nothing_measured(threshold);
    };
    let value = as_f64(completion.not_ended());
    let judged = judged(threshold, from_value(threshold, Some(value), completion.accepted()));
    unless_unknown(outcome, judged, slice::from_ref(&ALL))
}

/// Judges the number of items of accepted work that are doubled. Every list that was read was read to the
/// end of the accepted work.
pub(super) fn judge_doubled(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    let Some(completion) = accepted_work(outcome, threshold) else {
        return nothing_measured(threshold);
    };
    let value = completion.doubled.map(as_f64);
    let judged = judged(threshold, from_value(threshold, value, completion.accepted()));
    match unread(completion, slice::from_ref(&ALL)) {
        Some(reason) if judged.grade != Grade::Fail => judged.not_decidable(reason),
        _ => judged,
    }
}

/// Returns `judged` as not decidable if it is not certainly violated, and it is not known what became of some
/// of the accepted work that it judges, that of `spans`.
pub(super) fn unless_unknown(
    outcome: &Outcome,
    judged: JudgedThreshold,
    spans: &[Range<u32>],
) -> JudgedThreshold {
    let Some(completion) = accepted_work(outcome, &judged.threshold) else { return judged };
    let spans: Vec<_> = spans.iter().map(|span| acceptance(outcome, span)).collect();
    match unknown(outcome, completion, &spans) {
        Some(reason) if judged.grade != Grade::Fail => judged.not_decidable(reason),
        _ => judged,
    }
}

/// Returns why it is not known what became of some of the work that was accepted in `spans`.
fn unknown(outcome: &Outcome, completion: &Completion, spans: &[Range<u32>]) -> Option<String> {
    let not_credible: u64 = spans.iter().map(|span| completion.not_credible_in(span)).sum();
    if not_credible > 0 {
        let first = completion.not_credible_items.first();
        let first = first.map(|item| format!(", such as {item}")).unwrap_or_default();
        return Some(format!("the times of {not_credible} items are not credible{first}"));
    }
    let cut_short: u64 = spans.iter().map(|span| completion.cut_short_in(span)).sum();
    if cut_short > 0 {
        return Some(format!("the wait for {cut_short} items was cut short"));
    }
    unread(completion, spans).or_else(|| waiting(outcome, completion))
}

/// Returns why the state of some of the work that was accepted in `spans` is not known: it could not be read.
fn unread(completion: &Completion, spans: &[Range<u32>]) -> Option<String> {
    let unread: u64 = spans.iter().map(|span| completion.unread_in(span)).sum();
    (unread > 0).then(|| format!("the state of {unread} items could not be read"))
}

/// Returns why a list that shows all work as ended is not believed: more jobs wait in the queue than the SLA
/// allows.
fn waiting(outcome: &Outcome, completion: &Completion) -> Option<String> {
    let depth = outcome.target.queue_after?;
    let mut limits =
        outcome.sla.thresholds.iter().filter(|threshold| threshold.metric == Metric::QueueAfter);
    let is_violated = limits.any(|threshold| decide_value(threshold, depth) != Decision::Met);
    (is_violated && completion.unfinished() == 0).then(|| {
        format!("{depth:.0} jobs wait in the queue, although the list shows all work as ended")
    })
}

/// Returns the accepted work of a threshold; `None` if none was accepted.
fn accepted_work<'o>(outcome: &'o Outcome, threshold: &Threshold) -> Option<&'o Completion> {
    let is_subject =
        |completion: &&Completion| threshold.subject == Subject::Work(completion.work.clone());
    outcome.completions.iter().find(is_subject).filter(|completion| completion.accepted() > 0)
}
