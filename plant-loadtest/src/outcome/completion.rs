//! Results of work that the service accepts with a 202 and completes later. Work has ended when it
//! has completed or failed.

use std::{fmt, ops::Range};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counts::{Tally, is_zero};
use crate::distribution::Distribution;

/// Results of one kind of accepted work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Completion {
    /// Name of the kind of work.
    pub work: String,
    /// Drain time: seconds from the end of the load until the last of it was completed; 0 if that
    /// was earlier. `None` if some of it had not ended (completed or failed) when the wait ended, is
    /// missing from the service's list, or was completed at times that are not credible.
    pub drain_s: Option<f64>,
    /// Results by the cell in which the work was accepted.
    #[serde(rename = "seconds")]
    pub cells: Vec<CompletionCell>,
    /// Ids of the first few items that neither completed nor failed ([`Completion::not_ended`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_ended_ids: Vec<String>,
    /// Whether the wait for it was cut short: by the user, or because a threshold had aborted the run. What
    /// had not ended then might have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut_short: bool,
    /// Number of items that are in the service's list more than once, or share their id or job id with
    /// another one; `None` in files of older versions of this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubled: Option<u64>,
    /// The first few of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubled_items: Vec<ItemProblem>,
    /// The first few items whose times are not credible ([`CompletionCell::not_credible`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_credible_items: Vec<ItemProblem>,
}

/// An item of accepted work, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemProblem {
    /// Id by which it is found in the list.
    pub id: String,
    /// What is wrong, as part of a sentence.
    pub problem: String,
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
    /// Number of items that the service reported as completed, at times that contradict what the load
    /// generator has seen. They count neither as completed nor as errors.
    #[serde(skip_serializing_if = "is_zero")]
    pub not_credible: u64,
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
        let known = self.completed + self.failed + self.lost + self.not_credible + self.unread();
        self.accepted.saturating_sub(known)
    }

    fn unread(&self) -> u64 {
        self.refused + self.unreachable
    }
}

impl Completion {
    /// Returns the counts and completion times of work accepted in `seconds`. All that was not
    /// completed counts as a server error, except work whose state could not be read or is not credible, or
    /// for which the wait was cut short: that does not count at all.
    #[must_use]
    pub fn tally_in(&self, seconds: &Range<u32>) -> Tally {
        let mut tally = Tally::default();
        for cell in self.cells.iter().filter(|cell| seconds.contains(&cell.second)) {
            let unfinished = if self.cut_short { 0 } else { cell.unfinished() };
            let errors = cell.failed + cell.lost + unfinished;
            tally.counts.sent += cell.completed + errors;
            tally.counts.succeeded += cell.completed;
            tally.counts.server_errors += errors;
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

    /// Returns the number of items that are in the service's list and had not ended when the wait for them
    /// ended.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.cells.iter().map(CompletionCell::unfinished).sum()
    }

    /// Returns the number of items accepted in `seconds` that had not ended when the wait for them was cut
    /// short; 0 if it was not.
    #[must_use]
    pub fn cut_short_in(&self, seconds: &Range<u32>) -> u64 {
        if self.cut_short { self.sum_in(seconds, CompletionCell::unfinished) } else { 0 }
    }

    /// Returns the number of items that neither completed nor failed: those that had not ended before the
    /// timeout, and those that are missing from the service's list.
    #[must_use]
    pub fn not_ended(&self) -> u64 {
        let unfinished = if self.cut_short { 0 } else { self.unfinished() };
        unfinished + self.lost()
    }

    /// Returns the ids of the items that neither completed nor failed, those that are known, as text;
    /// `None` if there are none.
    #[must_use]
    pub fn not_ended_text(&self) -> Option<String> {
        enumerate(self.not_ended_ids.iter().map(|id| name(id)), self.not_ended())
    }

    /// Returns the first few items that are doubled as text; `None` if there are none.
    #[must_use]
    pub fn doubled_text(&self) -> Option<String> {
        let items = self.doubled_items.iter();
        enumerate(items.map(ItemProblem::to_string), self.doubled.unwrap_or_default())
    }

    /// Returns the first few items whose times are not credible as text; `None` if there are none.
    #[must_use]
    pub fn not_credible_text(&self) -> Option<String> {
        let items = self.not_credible_items.iter();
        enumerate(items.map(ItemProblem::to_string), self.not_credible_in(&(0..u32::MAX)))
    }

    /// Returns the number of items accepted in `seconds` whose times are not credible.
    #[must_use]
    pub fn not_credible_in(&self, seconds: &Range<u32>) -> u64 {
        self.sum_in(seconds, |cell| cell.not_credible)
    }

    fn sum_in(&self, seconds: &Range<u32>, count: impl Fn(&CompletionCell) -> u64) -> u64 {
        let cells = self.cells.iter().filter(|cell| seconds.contains(&cell.second));
        cells.map(count).sum()
    }

    /// Returns the number of items accepted in `seconds` whose state could not be read: the service
    /// refused to show it, or did not respond.
    #[must_use]
    pub fn unread_in(&self, seconds: &Range<u32>) -> u64 {
        self.sum_in(seconds, CompletionCell::unread)
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

impl fmt::Display for ItemProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", name(&self.id), self.problem)
    }
}

fn name(id: &str) -> String {
    if id.is_empty() { "(no id)".into() } else { id.into() }
}

/// Returns the first few of `total` items as text; `None` if there are none.
fn enumerate(first: impl Iterator<Item = String>, total: u64) -> Option<String> {
    let first: Vec<String> = first.collect();
    let more = total.saturating_sub(first.len() as u64);
    match first.len() {
        0 => None,
        _ if more > 0 => Some(format!("{} and {more} more", first.join(", "))),
        _ => Some(first.join(", ")),
    }
}
