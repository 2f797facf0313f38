//! How requests ended, and how long they took.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;

/// How requests ended. `sent` equals answered + timed out + failed once a run is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Counts {
    /// Requests sent.
    pub sent: u64,
    /// Answers with the expected status and shape.
    #[serde(skip_serializing_if = "is_zero")]
    pub succeeded: u64,
    /// Answers with a 4xx status.
    #[serde(skip_serializing_if = "is_zero")]
    pub client_errors: u64,
    /// Answers with a 5xx status.
    #[serde(skip_serializing_if = "is_zero")]
    pub server_errors: u64,
    /// Answers with another status than the expected ones.
    #[serde(skip_serializing_if = "is_zero")]
    pub unexpected_statuses: u64,
    /// Answers with the expected status and another body.
    #[serde(skip_serializing_if = "is_zero")]
    pub wrong_shapes: u64,
    /// Requests without a whole answer in time.
    #[serde(skip_serializing_if = "is_zero")]
    pub timed_out: u64,
    /// Requests whose connection was refused or broke.
    #[serde(skip_serializing_if = "is_zero")]
    pub connection_failures: u64,
}

/// What went wrong with a request.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A 4xx status.
    ClientError,
    /// A 5xx status.
    ServerError,
    /// Any other unexpected status.
    UnexpectedStatus,
    /// The right status, the wrong body.
    WrongShape,
    /// No whole answer in time.
    TimedOut,
    /// Refused, reset, broken.
    Connection,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::ClientError,
        Self::ServerError,
        Self::UnexpectedStatus,
        Self::WrongShape,
        Self::TimedOut,
        Self::Connection,
    ];

    /// As SLA files and outcomes spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientError => "client-error",
            Self::ServerError => "server-error",
            Self::UnexpectedStatus => "unexpected-status",
            Self::WrongShape => "wrong-shape",
            Self::TimedOut => "timed-out",
            Self::Connection => "connection",
        }
    }
}

impl Counts {
    /// Counts one finished request.
    pub fn count(&mut self, failure: Option<FailureKind>) {
        *match failure {
            None => &mut self.succeeded,
            Some(kind) => self.failures_mut(kind),
        } += 1;
    }

    /// How many failed in this way.
    #[must_use]
    pub fn failures(&self, kind: FailureKind) -> u64 {
        let mut counts = *self;
        *counts.failures_mut(kind)
    }

    /// How many got a whole answer, of whatever kind.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.succeeded
            + self.client_errors
            + self.server_errors
            + self.unexpected_statuses
            + self.wrong_shapes
    }

    /// How many ended in any other way than success.
    #[must_use]
    pub fn errors(&self) -> u64 {
        FailureKind::ALL.iter().map(|kind| self.failures(*kind)).sum()
    }

    /// Whether every request sent was answered, timed out or failed.
    #[must_use]
    pub fn reconcile(&self) -> bool {
        self.sent == self.answered() + self.timed_out + self.connection_failures
    }

    /// Adds another count.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.succeeded += other.succeeded;
        for kind in FailureKind::ALL {
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

/// Requests of some seconds and endpoints, added up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// How they ended.
    pub counts: Counts,
    /// How long they took.
    pub latency: Distribution,
    /// Right answers of these seconds, see [`super::Second::finished`].
    pub finished: u64,
}

impl Tally {
    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.latency.merge(&other.latency);
        self.finished += other.finished;
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(super) fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_reconcile_whatever_happens_to_a_request() {
        let mut counts = Counts::default();
        for kind in [None].into_iter().chain(FailureKind::ALL.map(Some)) {
            counts.sent += 1;
            counts.count(kind);
        }
        assert!(counts.reconcile());
        assert_eq!((counts.answered(), counts.errors()), (5, 6));
        counts.sent += 1;
        assert!(!counts.reconcile());
    }
}
