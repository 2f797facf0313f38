//! How the grade of a run follows from the states of its thresholds, for `--explain` and the HTML
//! report.

use std::fmt::Write as _;

use serde::Serialize;

use super::table;
use crate::{
    duration,
    outcome::{Ended, Outcome},
    sla::During,
    verdict::{Grade, JudgedThreshold, Verdict},
};

/// One threshold and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedThreshold {
    /// Subject, metric and limit, such as `GET /items P95 < 100 ms`.
    pub threshold: String,
    /// The seconds that it applies to.
    pub over: String,
    /// Measured value; a dash if there is none.
    pub measured: String,
    /// Number of samples.
    pub samples: u64,
    /// `met`, `violated`, `not decidable` or `invalid`; `(warning)` if the limit for failures was
    /// not reached, `(optional)` if the threshold is not required.
    pub state: String,
    /// Why it is in this state; empty if the values show it.
    pub why: String,
    /// Grade that the run has at least because of it.
    pub contribution: &'static str,
}

/// Returns every threshold with its state, in the order of the SLA.
#[must_use]
pub fn thresholds(verdict: &Verdict) -> Vec<ExplainedThreshold> {
    verdict.thresholds.iter().map(explain).collect()
}

fn explain(judged: &JudgedThreshold) -> ExplainedThreshold {
    let threshold = &judged.threshold;
    let (state, why) = match (&judged.invalid, &judged.undecided, judged.grade) {
        (Some(reason), ..) => ("invalid", reason.clone()),
        (_, Some(undecided), _) => ("not decidable", undecided.reason.clone()),
        (.., Grade::Pass) => ("met", String::new()),
        (.., Grade::Warning) => ("violated (warning)", cause(judged)),
        _ => ("violated", cause(judged)),
    };
    let optional = if threshold.required { "" } else { " (optional)" };
    ExplainedThreshold {
        threshold: format!(
            "{} {} {}",
            threshold.subject,
            threshold.metric,
            threshold.format_limit()
        ),
        over: over(judged),
        measured: judged
            .measured
            .map_or_else(|| "–".into(), |measured| threshold.metric.format(measured)),
        samples: judged.samples,
        state: format!("{state}{optional}"),
        why,
        contribution: judged.contribution().name(),
    }
}

fn cause(judged: &JudgedThreshold) -> String {
    let waiting = judged.waiting.as_ref().map(ToString::to_string);
    let aborted = judged
        .aborted_after_s
        .map(|second| format!("it aborted the run after {}", duration::format(second.into())));
    let causes = [waiting.or_else(|| judged.culprit.clone()), aborted];
    causes.into_iter().flatten().collect::<Vec<String>>().join("; ")
}

fn over(judged: &JudgedThreshold) -> String {
    let part = match &judged.threshold.during {
        During::Judged => "judged stages".to_owned(),
        During::Run => "whole run".to_owned(),
        During::Stages(names) => names.join(", "),
    };
    let display = |second: u32| duration::format(second.into());
    match &judged.window {
        None => part,
        Some(window) => {
            format!("{part}, worst window {} to {}", display(window.start), display(window.end))
        }
    }
}

/// Explains the grade: how many thresholds are in which state, what else affects it, and that the
/// worst of all decides.
#[must_use]
pub fn fold(outcome: &Outcome, verdict: &Verdict) -> String {
    let count = |grade: Grade, required: bool| {
        let judged = verdict.thresholds.iter();
        judged
            .filter(|judged| judged.invalid.is_none())
            .filter(|judged| judged.grade == grade && judged.threshold.required == required)
            .count()
    };
    let both = |grade: Grade| count(grade, true) + count(grade, false);
    let invalid = verdict.thresholds.iter().filter(|judged| judged.invalid.is_some()).count();
    let mut text = format!(
        "{} thresholds: {} met, {} violated, {} violated within the tolerance of a warning, {} not \
         decidable and required, {} not decidable and optional, {invalid} invalid.\n",
        verdict.thresholds.len(),
        both(Grade::Pass),
        both(Grade::Fail),
        both(Grade::Warning),
        count(Grade::Insufficient, true),
        count(Grade::Insufficient, false),
    );
    for finding in verdict.over_time.iter().filter(|finding| finding.affects_verdict()) {
        let _ = writeln!(text, "{}: {}.", finding.name, finding.grade.name());
    }
    let ended = match outcome.ended {
        Ended::AsPlanned => "The run ended as planned.",
        Ended::Interrupted => "The run was interrupted, which is INSUFFICIENT at best.",
        Ended::Aborted => "The run was aborted by a threshold, which is INSUFFICIENT at best.",
        Ended::Killed => "The run was killed, which is INSUFFICIENT at best.",
    };
    let _ = write!(
        text,
        "{ended} The worst of all decides (FAIL, INVALID, INSUFFICIENT, WARNING, PASS): {}.",
        verdict.grade.name()
    );
    text
}

/// Renders the table of all thresholds and the explanation of the grade, for a terminal of this
/// `width`.
#[must_use]
pub fn render(outcome: &Outcome, verdict: &Verdict, width: usize) -> String {
    let mut table = table::plain(["threshold", "over", "measured", "samples", "state"]);
    table::align_right(&mut table, 2..4);
    let mut reasons = String::new();
    for row in thresholds(verdict) {
        if !row.why.is_empty() {
            let _ = writeln!(reasons, "{}: {}: {}.", row.threshold, row.state, row.why);
        }
        let threshold = table::break_name(&row.threshold, width * 3 / 8);
        table.add_row([threshold, row.over, row.measured, row.samples.to_string(), row.state]);
    }
    if !reasons.is_empty() {
        reasons = format!("{reasons}\n");
    }
    format!(
        "Every threshold and its state:\n{}\n\n{reasons}{}",
        table::fit(table, width),
        fold(outcome, verdict)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::example, verdict::Verdict};

    #[test]
    fn every_threshold_is_listed_in_exactly_one_state() {
        let mut outcome = example::outcome();
        // Too few requests for one endpoint, and a health check that never succeeded.
        outcome.endpoints[0].cells.truncate(6);
        outcome.target.healthy_after_s = None;
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let rows = thresholds(&verdict);
        assert_eq!(rows.len(), verdict.thresholds.len());
        let count = |state: &str| rows.iter().filter(|row| row.state.starts_with(state)).count();
        let states = ["met", "violated", "not decidable", "invalid"].map(count);
        assert_eq!(states.iter().sum::<usize>(), rows.len(), "{rows:?}");
        assert_eq!(states[1], 1);
        assert!(states[2] > 0);
        let undecided = rows.iter().find(|row| row.state.starts_with("not decidable")).unwrap();
        assert!(!undecided.why.is_empty());
        assert!(fold(&outcome, &verdict).ends_with(": FAIL."));
    }
}
