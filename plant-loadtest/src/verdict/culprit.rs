//! The endpoint, or the kind of response, behind a violated error rate, and the ids of work that has not
//! ended or is doubled.

use super::{Grade, JudgedThreshold, generator, judge};
use crate::{
    failure::FailureKind,
    outcome::{Completion, Counts, Outcome},
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
        Metric::NotEnded => return work(outcome, judged)?.not_ended_text(),
        Metric::Doubled => return work(outcome, judged)?.doubled_text(),
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

/// Returns the accepted work that a threshold judges.
fn work<'o>(outcome: &'o Outcome, judged: &JudgedThreshold) -> Option<&'o Completion> {
    let Subject::Work(work) = &judged.threshold.subject else { return None };
    outcome.completions.iter().find(|completion| completion.work == *work)
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
    let message = main.message.split("; ").next().unwrap_or_default();
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
        None => judge::run_spans(outcome, &judged.threshold.during),
    };
    let endpoints = judge::of_subject(outcome, subject).map(|endpoint| {
        let counts = spans.iter().map(|span| endpoint.counts_in(span));
        let errors = counts.map(|counts| errors_of(&counts, kinds)).sum();
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

fn errors_of(counts: &Counts, kinds: &[FailureKind]) -> u64 {
    kinds.iter().map(|kind| counts.failures(*kind)).sum()
}

#[cfg(test)]
mod tests {
    use super::main_failure;
    use crate::{
        failure::FailureKind,
        outcome::{ArrivalCell, Completion, CompletionCell, Counts, Failure},
        report::example,
        sla::{Limit, Metric, Sla, Subject, Threshold},
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
        outcome.failures[0].message = "value at `/v` is not \"2.0\"; retry".into();
        assert_eq!(main(&outcome).as_deref(), Some("mostly value at `/v` is not \"2.0\""));
        outcome.failures[1].count = 7;
        assert_eq!(main(&outcome), None, "half of them are not most");
    }

    #[test]
    fn work_that_has_not_ended_is_named_by_its_ids() {
        let mut outcome = example::outcome();
        let of = |work: &str, id: &str| Completion {
            work: work.into(),
            cells: vec![CompletionCell { second: 10, accepted: 1, ..CompletionCell::default() }],
            not_ended_ids: vec![id.into()],
            ..Completion::default()
        };
        outcome.completions = vec![of("mail", "m-1"), of("report", "r-7")];
        outcome.sla.thresholds = vec![Threshold {
            subject: Subject::Work("report".into()),
            metric: Metric::NotEnded,
            limit: Limit::at_most(0.0),
            fail_limit: Some(Limit::at_most(0.0)),
            ..outcome.sla.thresholds[0].clone()
        }];
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let expected = "accepted work: report: not ended 1, threshold <= 0 (r-7)";
        assert!(verdict.reason.contains(expected), "{}", verdict.reason);
    }

    #[test]
    fn dropped_arrivals_are_no_server_errors() {
        let mut outcome = example::outcome();
        let second = outcome.judged_span().start;
        let cell = outcome.endpoints[0].cells.iter_mut().find(|cell| cell.second == second);
        cell.unwrap().counts.server_errors += 900;
        let arrival =
            ArrivalCell { second, scheduled: 9_000, dropped: 5_000, ..Default::default() };
        outcome.arrivals = vec![arrival];
        let reason = |kinds: Vec<FailureKind>| {
            let sla = Sla {
                thresholds: vec![Threshold {
                    subject: Subject::AllRequests,
                    metric: Metric::ErrorRate(kinds),
                    limit: Limit::below(1.0),
                    fail_limit: Some(Limit::below(1.0)),
                    ..outcome.sla.thresholds[0].clone()
                }],
                ..outcome.sla.clone()
            };
            Verdict::judge(&outcome, &sla).reason
        };
        let of_server = reason(vec![FailureKind::ServerError]);
        assert!(of_server.contains("(900 of 900 from GET /api/v1/agents)"), "{of_server}");
        let with_timeouts = reason(vec![FailureKind::ServerError, FailureKind::TimedOut]);
        assert!(!with_timeouts.contains(" from "), "{with_timeouts}");
    }

    #[test]
    fn errors_after_the_end_of_an_aborted_run_do_not_count() {
        let mut outcome = example::outcome();
        let judged = outcome.judged_span();
        outcome.ended = crate::outcome::Ended::Interrupted;
        outcome.duration_s = f64::from(judged.end - 2);
        for cell in outcome.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.cells) {
            let Counts { succeeded, .. } = cell.counts;
            cell.counts = Counts { sent: succeeded, succeeded, ..Counts::default() };
        }
        let of_first = &mut outcome.endpoints[0].cells;
        let errors = |counts: &mut Counts, count| counts.server_errors += count;
        let judged_cell = of_first.iter_mut().find(|cell| judged.contains(&cell.second)).unwrap();
        errors(&mut judged_cell.counts, 900);
        let last = of_first.iter_mut().rfind(|cell| cell.second >= judged.end - 2);
        errors(&mut last.unwrap().counts, 50);
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        assert!(verdict.reason.contains("(900 of 900 from "), "{}", verdict.reason);
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
        // A few errors elsewhere change nothing.
        let of_second = &mut outcome.endpoints[1].cells;
        of_second[10].counts.server_errors += 10;
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        assert!(verdict.reason.contains("(90 of 100 from GET "), "{}", verdict.reason);
        outcome.endpoints[1].cells[10].counts.server_errors -= 10;
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
        let dropped = ArrivalCell { second, scheduled: 1, dropped: 900, ..Default::default() };
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
