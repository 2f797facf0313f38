//! What must be known beside the grade to read a verdict rightly.

use super::{Grade, Judged, generator};
use crate::outcome::{Access, Ended, Outcome};

/// Whatever makes this run another than its profile says, in sentences.
pub(super) fn of(outcome: &Outcome, promises: &[Judged]) -> Vec<String> {
    let mut notes = Vec::new();
    if (outcome.load.time_scale - 1.0).abs() > f64::EPSILON {
        notes.push(format!(
            "durations were scaled by {}: a trial of the profile, not the profile itself",
            outcome.load.time_scale
        ));
    }
    if !outcome.load.changes.is_empty() {
        let changes = outcome.load.changes.join(", ");
        notes.push(format!("the profile was changed on the command line: {changes}"));
    }
    if outcome.ended == Ended::Interrupted {
        notes.push(format!(
            "interrupted after {:.0} of {} seconds: judged by what there is",
            outcome.duration_s,
            outcome.planned_seconds()
        ));
    }
    if outcome.ended == Ended::Killed {
        notes.push(format!(
            "killed after {:.0} of {} seconds: judged by what had been written until then, within \
             some seconds",
            outcome.duration_s,
            outcome.planned_seconds()
        ));
    }
    if let Some(Access { accounts, logins }) = outcome.target.access {
        let again = logins.saturating_sub(accounts as u64);
        notes.push(format!(
            "the service demands tokens: {accounts} accounts were logged in before the load, and \
             {again} times while it lasted; these requests are not part of the figures"
        ));
    }
    let insufficient = promises.iter().filter(|judged| judged.grade == Grade::Insufficient).count();
    if insufficient > 0 {
        let (rules, are) = if insufficient == 1 { ("rule", "is") } else { ("rules", "are") };
        notes.push(format!(
            "{insufficient} {rules} of {} {are} INSUFFICIENT: too few samples, not counted as kept",
            promises.len()
        ));
    }
    notes.extend(outcome.advisory.iter().cloned());
    notes.extend(crowds(outcome));
    notes.extend(generator::arrivals_note(outcome));
    if !outcome.whole().counts.reconcile() {
        notes.push("some requests were cut off before their end was known".into());
    }
    notes
}

/// What became of those who came all at once: how many succeeded, how long that took, what rate
/// that is.
fn crowds(outcome: &Outcome) -> Vec<String> {
    let stages = outcome.load.stages.iter();
    let alone = stages.filter(|stage| stage.at_once > 0 && stage.to_rate + stage.from_rate == 0.0);
    let told = alone.filter_map(|stage| {
        let crowd = outcome.over(&stage.seconds());
        // All were meant to start in the same moment, so the longest latency is the time for all.
        let seconds = crowd.latency.max_ms()? / 1000.0;
        #[expect(clippy::cast_precision_loss, reason = "a crowd stays below 2^53")]
        let rate = crowd.counts.succeeded as f64 / seconds;
        Some(format!(
            "{} came at once: {} succeeded, the last after {seconds:.2} s, which is {rate:.0} a second",
            stage.at_once, crowd.counts.succeeded
        ))
    });
    told.collect()
}
