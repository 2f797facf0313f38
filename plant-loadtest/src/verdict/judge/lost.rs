//! Lost requests: nobody knows what their results would have been.

use std::time::Duration;

use super::super::{Undecided, decide::Decision};
use crate::{distribution::Distribution, outcome::Counts, statistics::binomial::Share};

/// Latency that exceeds every limit.
const TOO_LONG: Duration = Duration::MAX;

/// Returns a decision of a threshold that holds whatever the results of the lost requests are: a threshold
/// that is `met` without them, but not `in_the_worst_case`, is not decidable.
pub(super) fn unless_lost(
    met: Decision,
    counts: &Counts,
    in_the_worst_case: impl FnOnce() -> Decision,
) -> Decision {
    let Counts { lost, sent, .. } = counts;
    if met != Decision::Met || *lost == 0 || in_the_worst_case() == Decision::Met {
        return met;
    }
    let reason = format!("{lost} of {sent} requests were lost before they had a result");
    Decision::NotDecidable(Undecided { reason, samples_needed: None })
}

/// Returns the latencies if each lost request had taken longer than any limit.
pub(super) fn all_slow(latency: &Distribution, counts: &Counts) -> Distribution {
    let mut worst = latency.clone();
    worst.record_times(TOO_LONG, counts.lost);
    worst
}

/// Returns the share of failed requests if each lost request had failed.
pub(super) fn all_failed(failed: Share, counts: &Counts) -> Share {
    Share { count: failed.count + counts.lost, total: failed.total + counts.lost }
}
