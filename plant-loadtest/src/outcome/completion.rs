//! Results of work that the service accepts with a 202 and completes later. Work has ended when it
//! has completed or failed.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counts::{Tally, is_zero};
use crate::distribution::Distribution;

/// Results of one kind of accepted work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Completion {
    /// Name of the kind of work.
    pub work: String,
    /// Drain time: seconds from the end of the load until the last of it was completed; 0 if that
    /// was earlier. `None` if some of it had not ended (completed or failed) before the timeout, or
    /// is missing from the service's list.
    pub drain_s: Option<f64>,
    /// Results by the cell in which the work was accepted.
    #[serde(rename = "seconds")]
    pub cells: Vec<CompletionCell>,
    /// Ids of the first few items that neither completed nor failed ([`Completion::not_ended`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_ended_ids: Vec<String>,
}

/// The work that was accepted in one cell (a second, or several in long runs).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CompletionCell {
    /// First second of the cell, counted from the start of the run.
    pub second: u32,
    /// Number of items accepted.
    pub accepted: u64,
    /// Number of items completed.
    #[serde(skip_serializing_if = "is_zero")]
    pub completed: u64,
    /// Number of items that the service reported as failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Number of items that were accepted and are missing from the service's list.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// Number of items whose state the service refused to show (401, 403), also after a new login.
    #[serde(skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// Number of items whose state could not be read: the service did not respond, or with another
    /// status than 200.
    #[serde(skip_serializing_if = "is_zero")]
    pub unreachable: u64,
    /// Completion time: from acceptance to completion, of completed work, by the service's clock.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub latency: Distribution,
}

impl CompletionCell {
    fn unfinished(&self) -> u64 {
        self.accepted.saturating_sub(self.completed + self.failed + self.lost + self.unread())
    }

    fn unread(&self) -> u64 {
        self.refused + self.unreachable
    }
}

impl Completion {
    /// Returns the counts and completion times of work accepted in `seconds`. All that was not
    /// completed counts as a server error, except work whose state could not be read, which does not
    /// count at all.
    #[must_use]
    pub fn tally_in(&self, seconds: &Range<u32>) -> Tally {
        let mut tally = Tally::default();
        for cell in self.cells.iter().filter(|cell| seconds.contains(&cell.second)) {
            tally.counts.sent += cell.accepted.saturating_sub(cell.unread());
            tally.counts.succeeded += cell.completed;
            tally.counts.server_errors += cell.failed + cell.lost + cell.unfinished();
            tally.latency.merge(&cell.latency);
        }
        tally
    }

    /// Returns the counts and completion times of the whole run.
    #[must_use]
    pub fn tally_all(&self) -> Tally {
        self.tally_in(&(0..u32::MAX))
    }

    /// Returns the number of items that the service reported as failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.cells.iter().map(|cell| cell.failed).sum()
    }

    /// Returns the number of items that are in the service's list and had not ended before the timeout.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.cells.iter().map(CompletionCell::unfinished).sum()
    }

    /// Returns the number of items that neither completed nor failed: those that had not ended before the
    /// timeout, and those that are missing from the service's list.
    #[must_use]
    pub fn not_ended(&self) -> u64 {
        self.unfinished() + self.lost()
    }

    /// Returns the ids of the items that neither completed nor failed, those that are known, as text;
    /// `None` if there are none.
    #[must_use]
    pub fn not_ended_text(&self) -> Option<String> {
        let name = |id: &String| if id.is_empty() { "(no id)".into() } else { id.clone() };
        let ids: Vec<String> = self.not_ended_ids.iter().map(name).collect();
        let more = self.not_ended().saturating_sub(ids.len() as u64);
        match ids.len() {
            0 => None,
            _ if more > 0 => Some(format!("{} and {more} more", ids.join(", "))),
            _ => Some(ids.join(", ")),
        }
    }

    /// Returns the number of items accepted in `seconds` whose state could not be read: the service
    /// refused to show it, or did not respond.
    #[must_use]
    pub fn unread_in(&self, seconds: &Range<u32>) -> u64 {
        let cells = self.cells.iter().filter(|cell| seconds.contains(&cell.second));
        cells.map(CompletionCell::unread).sum()
    }

    /// Returns the number of items whose state the service refused to show.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.cells.iter().map(|cell| cell.refused).sum()
    }

    /// Returns the number of items whose state could not be read for another reason.
    #[must_use]
    pub fn unreachable(&self) -> u64 {
        self.cells.iter().map(|cell| cell.unreachable).sum()
    }

    /// Returns the number of items accepted.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.cells.iter().map(|cell| cell.accepted).sum()
    }

    /// Returns the number of items that are missing from the service's list.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.cells.iter().map(|cell| cell.lost).sum()
    }
}
