//! The endpoint, or the kind of response, behind a violated error rate, and the ids of work that has not
//! ended.

use std::ops::Range;

use super::{Grade, JudgedThreshold, generator, judge};
use crate::{
    failure::FailureKind,
    outcome::Outcome,
    sla::{Metric, Subject},
};

/// Describes where most of the errors come from, for a violated error rate: of several endpoints from
/// which, of one endpoint what failed. `None` for other thresholds, or if there is no such majority.
pub(super) fn describe(outcome: &Outcome, judged: &JudgedThreshold) -> Option<String> {
    let is_violated = matches!(judged.reported_grade(), Grade::Warning | Grade::Fail);
    if !is_violated {
        return None;
    }
    let kinds = match &judged.threshold.metric {
        Metric::ErrorRate(kinds) => kinds,
        Metric::NotEnded => return not_ended(outcome, &judged.threshold.subject),
        _ => return None,
    };
    match &judged.threshold.subject {
        Subject::Endpoint(endpoint) => main_failure(outcome, endpoint, kinds),
        Subject::AllRequests | Subject::Class(_) | Subject::Tag(_) => {
            main_endpoint(outcome, judged, kinds)
        }
        Subject::Run | Subject::Service | Subject::Work(_) => None,
    }
}

/// Returns the ids of the first items that neither completed nor failed.
fn not_ended(outcome: &Outcome, subject: &Subject) -> Option<String> {
    let Subject::Work(work) = subject else { return None };
    let completion = outcome.completions.iter().find(|completion| completion.work == *work)?;
    completion.not_ended_text()
}

/// Returns the message of most failures of an endpoint in the whole run, without what follows its
/// first clause.
fn main_failure(outcome: &Outcome, endpoint: &str, kinds: &[FailureKind]) -> Option<String> {
    let of_endpoint = outcome
        .failures
        .iter()
        .filter(|failure| failure.endpoint == endpoint && kinds.contains(&failure.kind));
    let total: u64 = of_endpoint.clone().map(|failure| failure.count).sum();
    let main = of_endpoint.max_by_key(|failure| failure.count)?;
    let message = main.message.split([';', '.']).next().unwrap_or_default();
    (main.count * 2 > total).then(|| format!("mostly {message}"))
}

fn main_endpoint(
    outcome: &Outcome,
    judged: &JudgedThreshold,
    kinds: &[FailureKind],
) -> Option<String> {
    let subject = &judged.threshold.subject;
    let spans = match &judged.window {
        Some(window) => vec![window.clone()],
        None => judge::spans(outcome, &judged.threshold.during),
    };
    let of_subject =
        outcome.endpoints.iter().filter(|endpoint| outcome.is_of_subject(&endpoint.name, subject));
    let endpoints = of_subject.map(|endpoint| {
        let errors = errors(outcome, &endpoint.name, kinds, &spans);
        (errors, endpoint.name.as_str())
    });
    let endpoints: Vec<(u64, &str)> = endpoints.collect();
    let counts_dropped = *subject == Subject::AllRequests && kinds.contains(&FailureKind::TimedOut);
    let dropped = match counts_dropped {
        true => generator::arrivals(outcome, &spans).dropped,
        false => 0,
    };
    let total: u64 = endpoints.iter().map(|(errors, _)| errors).sum::<u64>() + dropped;
    let (most, name) = endpoints.into_iter().max()?;
    (most * 2 > total).then(|| format!("{most} of {total} from {name}"))
}

fn errors(outcome: &Outcome, endpoint: &str, kinds: &[FailureKind], spans: &[Range<u32>]) -> u64 {
    let counts = judge::counts(outcome, &Subject::Endpoint(endpoint.to_owned()), spans);
    kinds.iter().map(|kind| counts.failures(*kind)).sum()
}

#[cfg(test)]
mod tests {
    use super::main_failure;
    use crate::{
        failure::FailureKind,
        outcome::{Counts, Failure},
        report::example,
        verdict::Verdict,
    };

    #[test]
    fn the_message_of_most_failures_of_an_endpoint_is_named() {
        let mut outcome = example::outcome();
        let failure = |endpoint: &str, kind, message: &str, count| Failure {
            endpoint: endpoint.into(),
            kind,
            message: message.into(),
            count,
            first_second: 0,
            last_second: 1,
        };
        let refused = "503 unavailable: password hashing is unavailable; try again";
        outcome.failures = vec![
            failure("POST /login", FailureKind::ServerError, refused, 7),
            failure("POST /login", FailureKind::ServerError, "500", 6),
            failure("POST /login", FailureKind::TimedOut, "request timed out", 90),
            failure("GET /other", FailureKind::ServerError, "500", 900),
        ];
        let main = |outcome: &_| main_failure(outcome, "POST /login", &[FailureKind::ServerError]);
        let expected = "mostly 503 unavailable: password hashing is unavailable";
        assert_eq!(main(&outcome).as_deref(), Some(expected));
        outcome.failures[1].count = 7;
        assert_eq!(main(&outcome), None, "half of them are not most");
    }

    #[test]
    fn the_endpoint_with_most_errors_is_named() {
        let mut outcome = example::outcome();
        for cell in outcome.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.cells) {
            let succeeded = cell.counts.succeeded;
            cell.counts = Counts { sent: succeeded, succeeded, ..Counts::default() };
        }
        let name = outcome.endpoints[0].name.clone();
        for cell in &mut outcome.endpoints[0].cells {
            cell.counts.server_errors += 3;
            cell.counts.sent += 3;
        }
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        assert!(verdict.reason.contains(&format!("from {name})")), "{}", verdict.reason);
        // With half of the errors it is not most of them.
        let name = outcome.endpoints[1].name.clone();
        for cell in &mut outcome.endpoints[1].cells {
            cell.counts.server_errors += 3;
            cell.counts.sent += 3;
        }
        let errors = |index: usize| outcome.endpoints[index].counts_in(&(0..u32::MAX)).errors();
        assert_eq!(errors(0), errors(1), "{name}");
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        assert!(!verdict.reason.contains(" from "), "{}", verdict.reason);
        // Neither is it if most arrivals were dropped.
        let second = outcome.judged_span().start;
        let dropped = crate::outcome::ArrivalCell {
            second,
            scheduled: 1,
            dropped: 900,
            ..Default::default()
        };
        let mut with_drops = outcome.clone();
        with_drops.arrivals = vec![dropped];
        for cell in &mut with_drops.endpoints[1].cells {
            cell.counts.server_errors = 0;
        }
        let verdict = Verdict::judge(&with_drops, &with_drops.sla);
        assert!(!verdict.reason.contains(" from "), "{}", verdict.reason);
        // Spread over all endpoints, nobody has most of them.
        for endpoint in &mut outcome.endpoints {
            for cell in &mut endpoint.cells {
                cell.counts.server_errors += 3;
                cell.counts.sent += 3;
            }
        }
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        assert!(!verdict.reason.contains(" from "), "{}", verdict.reason);
    }
}
