//! Counts of requests by result, and their latencies.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{distribution::Distribution, failure::FailureKind};

/// Counts of requests by result. After a run, `sent` is the sum of all other counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Counts {
    /// Requests sent.
    pub sent: u64,
    /// Responses with the expected status and body shape.
    #[serde(skip_serializing_if = "is_zero")]
    pub succeeded: u64,
    /// Responses with an unexpected 4xx status.
    #[serde(skip_serializing_if = "is_zero")]
    pub client_errors: u64,
    /// Responses with an unexpected 5xx status.
    #[serde(skip_serializing_if = "is_zero")]
    pub server_errors: u64,
    /// Responses with any other unexpected status.
    #[serde(skip_serializing_if = "is_zero")]
    pub unexpected_statuses: u64,
    /// Responses with the expected status and an unexpected body.
    #[serde(skip_serializing_if = "is_zero")]
    pub wrong_shapes: u64,
    /// Requests without a complete response before the timeout.
    #[serde(skip_serializing_if = "is_zero")]
    pub timed_out: u64,
    /// Requests whose connection was refused or lost.
    #[serde(skip_serializing_if = "is_zero")]
    pub connection_failures: u64,
    /// Requests that were given up before they had a result: their user was stopped, or their load
    /// generator was lost.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: u64,
}

impl Counts {
    /// Returns whether nothing was counted.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Counts one finished request.
    pub fn count(&mut self, failure: Option<FailureKind>) {
        *match failure {
            None => &mut self.succeeded,
            Some(kind) => self.failures_mut(kind),
        } += 1;
    }

    /// Returns the number of failures of `kind`.
    #[must_use]
    pub fn failures(&self, kind: FailureKind) -> u64 {
        let mut counts = *self;
        *counts.failures_mut(kind)
    }

    /// Returns the number of complete responses, whatever their status and body.
    #[must_use]
    pub fn responses(&self) -> u64 {
        self.succeeded
            + self.client_errors
            + self.server_errors
            + self.unexpected_statuses
            + self.wrong_shapes
    }

    /// Returns the number of failures of any kind.
    #[must_use]
    pub fn errors(&self) -> u64 {
        FailureKind::ALL.iter().map(|kind| self.failures(*kind)).sum()
    }

    /// Returns the number of requests that succeeded or failed.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.succeeded + self.errors()
    }

    /// Returns whether every request that was sent had a response, timed out, had a connection failure
    /// or was lost.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        self.sent == self.responses() + self.timed_out + self.connection_failures + self.lost
    }

    /// Counts the requests that have no result as lost.
    pub fn lose_unfinished(&mut self) {
        self.lost = self.sent.saturating_sub(self.finished());
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.succeeded += other.succeeded;
        self.lost += other.lost;
        for &kind in FailureKind::ALL {
            *self.failures_mut(kind) += other.failures(kind);
        }
    }

    fn failures_mut(&mut self, kind: FailureKind) -> &mut u64 {
        match kind {
            FailureKind::ClientError => &mut self.client_errors,
            FailureKind::ServerError => &mut self.server_errors,
            FailureKind::UnexpectedStatus => &mut self.unexpected_statuses,
            FailureKind::WrongShape => &mut self.wrong_shapes,
            FailureKind::TimedOut => &mut self.timed_out,
            FailureKind::Connection => &mut self.connection_failures,
        }
    }
}

/// Counts and latencies, summed over a part of a run and over endpoints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Counts by result.
    pub counts: Counts,
    /// Latencies of successes and timeouts.
    pub latency: Distribution,
    /// Latencies of failures other than timeouts.
    pub failure_latency: Distribution,
    /// Successful responses for throughput, see [`super::EndpointCell::throughput_count`].
    pub throughput_count: u64,
    /// Number of responses by status code.
    pub statuses: BTreeMap<u16, u64>,
}

impl Tally {
    /// Adds the counts and latencies of `other`.
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.latency.merge(&other.latency);
        self.failure_latency.merge(&other.failure_latency);
        self.throughput_count += other.throughput_count;
        add_statuses(&mut self.statuses, &other.statuses);
    }
}

/// Returns the sum of all `statuses`, numbers of responses by status code.
pub(super) fn sum_statuses<'s>(
    statuses: impl Iterator<Item = &'s BTreeMap<u16, u64>>,
) -> BTreeMap<u16, u64> {
    let mut sum = BTreeMap::new();
    for one in statuses {
        add_statuses(&mut sum, one);
    }
    sum
}

fn add_statuses(sum: &mut BTreeMap<u16, u64>, statuses: &BTreeMap<u16, u64>) {
    for (status, count) in statuses {
        *sum.entry(*status).or_default() += count;
    }
}

impl Tally {
    /// Returns the latencies with those of the failures that took longer than the median. A service
    /// that fails after a long wait is no faster than one that answers after it.
    #[must_use]
    pub fn latency_with_slow_failures(&self) -> Distribution {
        let mut all = self.latency.clone();
        all.merge(&self.failure_latency.above(self.latency.quantile_ms(0.5).unwrap_or_default()));
        all
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(super) fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn failures_slower_than_the_median_raise_the_second_percentile() {
        let mut tally = Tally::default();
        for _ in 0..90 {
            tally.latency.record(Duration::from_millis(10));
        }
        for millis in [1, 1, 1, 900, 900, 900, 900, 900, 900, 900] {
            tally.failure_latency.record(Duration::from_millis(millis));
        }
        let with_failures = tally.latency_with_slow_failures();
        assert_eq!(with_failures.len(), 97, "fast failures do not count");
        assert!(tally.latency.quantile_ms(0.95).unwrap() < 11.0);
        assert!(with_failures.quantile_ms(0.95).unwrap() > 899.0);
    }

    #[test]
    fn counts_add_up_for_every_kind_of_result() {
        let mut counts = Counts::default();
        for kind in [None].into_iter().chain(FailureKind::ALL.iter().copied().map(Some)) {
            counts.sent += 1;
            counts.count(kind);
        }
        assert!(counts.is_consistent());
        assert_eq!((counts.responses(), counts.errors()), (5, 6));
        counts.sent += 1;
        assert!(!counts.is_consistent());
        counts.lose_unfinished();
        assert!(counts.is_consistent() && counts.lost == 1);
        let mut twice = counts;
        twice.add(&counts);
        assert_eq!((twice.lost, twice.finished()), (2, 2 * counts.finished()), "lost is no result");
    }
}
