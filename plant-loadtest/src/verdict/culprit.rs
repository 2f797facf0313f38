//! The endpoint behind a violation of a threshold for all requests.

use std::ops::Range;

use super::{Grade, JudgedThreshold, generator, judge};
use crate::{
    failure::FailureKind,
    outcome::Outcome,
    sla::{Metric, Subject},
};

/// Describes which endpoint most of the errors come from, for a violated error rate of all requests.
/// `None` for other thresholds, or if no endpoint has most of them.
pub(super) fn describe(outcome: &Outcome, judged: &JudgedThreshold) -> Option<String> {
    let is_violated = matches!(judged.reported_grade(), Grade::Warning | Grade::Fail);
    let Metric::ErrorRate(kinds) = &judged.threshold.metric else { return None };
    if !is_violated || judged.threshold.subject != Subject::AllRequests {
        return None;
    }
    let spans = match &judged.window {
        Some(window) => vec![window.clone()],
        None => judge::spans(outcome, &judged.threshold.during),
    };
    let endpoints = outcome.endpoints.iter().map(|endpoint| {
        let errors = errors(outcome, &endpoint.name, kinds, &spans);
        (errors, endpoint.name.as_str())
    });
    let endpoints: Vec<(u64, &str)> = endpoints.collect();
    let dropped = match kinds.contains(&FailureKind::TimedOut) {
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
    use crate::{outcome::Counts, report::example, verdict::Verdict};

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
