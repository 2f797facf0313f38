//! Notes that qualify a verdict.

use super::{Grade, JudgedThreshold, generator, workers};
use crate::outcome::{
    Aborted, ActionResult, Completion, Ended, EndpointResults, LoginSummary, Outcome,
};

/// Returns a note for everything that qualifies the verdict.
pub(super) fn collect(
    outcome: &Outcome,
    grade: Grade,
    thresholds: &[JudgedThreshold],
) -> Vec<String> {
    let mut notes = Vec::new();
    if (outcome.load.time_scale - 1.0).abs() > f64::EPSILON {
        notes.push(format!(
            "durations were scaled by {}: this is a short trial, not the full profile",
            outcome.load.time_scale
        ));
    }
    if !outcome.load.overrides.is_empty() {
        let changes = outcome.load.overrides.join(", ");
        notes.push(format!("the profile was changed on the command line: {changes}"));
    }
    if outcome.ended == Ended::Interrupted {
        notes.push(format!(
            "interrupted after {:.0} of {} seconds: judged by the data up to then",
            outcome.duration_s,
            outcome.planned_seconds()
        ));
    }
    let is_cut_short = |completion: &&Completion| completion.cut_short;
    for completion in outcome.completions.iter().filter(is_cut_short) {
        notes.push(format!(
            "the wait for accepted work was cut short: {} of {} items ({}) had not ended, or could not be \
             read yet; they are neither completed nor lost",
            completion.unfinished() + completion.unreachable(),
            completion.accepted(),
            completion.work
        ));
    }
    if let Some(Aborted { after_s, threshold }) = &outcome.aborted {
        notes.push(format!(
            "aborted after {after_s} of {} seconds by the threshold {} for {} of {}: judged by the data \
             up to then",
            outcome.planned_seconds(),
            threshold.format_limit(),
            threshold.metric,
            threshold.subject
        ));
    }
    if outcome.ended == Ended::Killed {
        notes.push(format!(
            "killed after {:.0} of {} seconds: judged by the data written up to then; the last \
             seconds may be missing",
            outcome.duration_s,
            outcome.planned_seconds()
        ));
    }
    if let Some(LoginSummary { accounts, logins }) = outcome.target.access {
        let later_logins = logins.saturating_sub(accounts as u64);
        notes.push(format!(
            "the service requires authentication: {accounts} accounts were logged in before the load, with \
             {later_logins} more logins during it; login requests are not part of the metrics"
        ));
    }
    let insufficient =
        thresholds.iter().filter(|judged| judged.grade == Grade::Insufficient).count();
    // The heading of a PASS or WARNING has their number.
    if insufficient > 0 && !matches!(grade, Grade::Pass | Grade::Warning) {
        let verb = if insufficient == 1 { "is" } else { "are" };
        notes.push(format!(
            "{insufficient} of {} thresholds {verb} not decidable, so not counted as met",
            thresholds.len()
        ));
    }
    for endpoint in outcome.endpoints.iter().filter(|endpoint| endpoint.skipped > 0) {
        let EndpointResults { name, skipped, .. } = endpoint;
        let times = if *skipped == 1 { "once" } else { &format!("{skipped} times") };
        notes.push(format!(
            "{name} was left out {times}: the responses before did not contain a value that it needs"
        ));
    }
    notes.extend(outcome.advisory.iter().cloned());
    notes.extend(burst_notes(outcome));
    notes.extend(iteration_notes(outcome));
    notes.extend(outcome.actions.iter().map(action_note));
    notes.extend(generator::arrivals_note(outcome));
    let counts = outcome.counts_all();
    if counts.lost > 0 {
        notes.push(format!(
            "{} of {} requests were given up before they had a result; they count neither as successes nor \
             as errors",
            counts.lost, counts.sent
        ));
    }
    notes.extend(workers::notes(outcome));
    if !counts.is_consistent() {
        notes.push("some requests were aborted before they completed".into());
    }
    notes
}

/// Returns a note for each burst of arrivals: how many succeeded, how long that took, and the rate.
fn burst_notes(outcome: &Outcome) -> Vec<String> {
    let stages = outcome.load.stages.iter();
    let bursts = stages.filter(|stage| stage.burst > 0 && stage.to_rate + stage.from_rate == 0.0);
    let notes = bursts.filter_map(|stage| {
        let tally = outcome.tally_in(&stage.seconds());
        // All have the same intended start, so the highest latency is the time for all of them.
        let seconds = tally.latency.max_ms()? / 1000.0;
        #[expect(clippy::cast_precision_loss, reason = "the requests of a burst stay below 2^53")]
        let rate = tally.counts.succeeded as f64 / seconds;
        Some(format!(
            "burst of {} arrivals: {} succeeded, the last after {seconds:.2} s, which is {rate:.0} per second",
            stage.burst, tally.counts.succeeded
        ))
    });
    notes.collect()
}

/// Returns a note for each stage with a fixed number of iterations: how many were run, by how many users,
/// how long that took, and the rate.
fn iteration_notes(outcome: &Outcome) -> impl Iterator<Item = String> {
    outcome.iterations.iter().filter_map(|run| {
        let mut stages = outcome.load.stages.iter();
        let stage = stages.find(|stage| stage.name == run.stage)?;
        let users = if run.users == 1 { "1 user" } else { &format!("{} users", run.users) };
        let rate = match run.duration_s > 0.0 {
            true => format!(", {:.0} per second", f64::from(run.started) / run.duration_s),
            false => String::new(),
        };
        Some(format!(
            "stage {}: {} of {} iterations by {users} in {:.2} s{rate}",
            run.stage, run.started, stage.iterations, run.duration_s
        ))
    })
}

/// Returns a note about an action: when it ran, how it ended, and the last line of its output.
fn action_note(action: &ActionResult) -> String {
    let ActionResult { name, started_s, duration_s, problem, .. } = action;
    let last = action.output.last().map(|line| format!("; its last line: {line}"));
    let last = last.unwrap_or_default();
    match problem {
        Some(problem) => format!(
            "action {name} failed after {duration_s:.1} s, started at {started_s:.1} s: {problem}{last}"
        ),
        None => format!("action {name} took {duration_s:.1} s, started at {started_s:.1} s{last}"),
    }
}
