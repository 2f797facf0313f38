//! Work that the service has accepted and does later: what became of it, and when.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counts::{Tally, is_zero};
use crate::distribution::Distribution;

/// What became of one kind of accepted work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Completion {
    /// The kind.
    pub work: String,
    /// Seconds from the end of the load until the last of it was done, 0 when it was done before;
    /// `None` when some was not done for as long as it was waited for.
    pub drain_s: Option<f64>,
    /// Second by second, by when it was accepted.
    pub seconds: Vec<CompletionSecond>,
}

/// The work that was accepted in one second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CompletionSecond {
    /// Counted from the start of the run.
    pub second: u32,
    /// How much was accepted.
    pub accepted: u64,
    /// How much was completed.
    #[serde(skip_serializing_if = "is_zero")]
    pub completed: u64,
    /// How much the service gave up.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// How much was accepted, and the service knows nothing of it.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// From acceptance to completion, by the service's clock, of what was completed.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub latency: Distribution,
}

impl CompletionSecond {
    fn unfinished(&self) -> u64 {
        self.accepted.saturating_sub(self.completed + self.failed + self.lost)
    }
}

impl Completion {
    /// What became of the work that was accepted in the `seconds`. Whatever was not completed
    /// counts as an error of the service.
    #[must_use]
    pub fn over(&self, seconds: &Range<u32>) -> Tally {
        let mut tally = Tally::default();
        for second in self.seconds.iter().filter(|second| seconds.contains(&second.second)) {
            tally.counts.sent += second.accepted;
            tally.counts.succeeded += second.completed;
            tally.counts.server_errors += second.failed + second.lost + second.unfinished();
            tally.latency.merge(&second.latency);
        }
        tally
    }

    /// What became of all of it.
    #[must_use]
    pub fn whole(&self) -> Tally {
        self.over(&(0..u32::MAX))
    }

    /// How much the service gave up.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.seconds.iter().map(|second| second.failed).sum()
    }

    /// How much was not done while it was waited for.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.seconds.iter().map(CompletionSecond::unfinished).sum()
    }

    /// How much the service knows nothing of.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.seconds.iter().map(|second| second.lost).sum()
    }
}
