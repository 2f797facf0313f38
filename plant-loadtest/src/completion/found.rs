//! What the service's lists have shown of accepted work.

use std::collections::{BTreeMap, HashMap};

use super::times::{Doubt, Times};

/// State of an item in the service's list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum WorkState {
    /// In the list, not ended.
    Pending,
    /// Ended without a result.
    Failed,
    /// Ended with a result.
    Completed(Times),
    /// In the list as ended with a result, at times that cannot be right.
    NotCredible(Doubt),
    /// Not in the list.
    Unknown,
    /// The service refuses to show the list (401, 403), also after a new login.
    Refused,
    /// The list could not be read: no response, or another status than 200.
    Unreachable,
}

impl WorkState {
    /// Returns whether the state can no longer change.
    fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::Completed(_) | Self::NotCredible(_) | Self::Refused)
    }
}

/// What was found of all accepted work, by the positions of the items in it.
#[derive(Debug)]
pub(super) struct Found {
    states: Vec<Option<WorkState>>,
    /// Items that are doubled, and in what way.
    doubled: BTreeMap<usize, String>,
}

impl Found {
    /// Returns what is known of this many items: nothing.
    pub(super) fn nothing(items: usize) -> Self {
        Self { states: vec![None; items], doubled: BTreeMap::new() }
    }

    /// Returns the state of the item at `index`; `None` if its list has not been read.
    pub(super) fn state(&self, index: usize) -> Option<WorkState> {
        self.states[index]
    }

    /// Returns how the item at `index` is doubled; `None` if it is not.
    pub(super) fn doubled(&self, index: usize) -> Option<&str> {
        self.doubled.get(&index).map(String::as_str)
    }

    /// Returns whether the state of the item at `index` can still change.
    pub(super) fn is_pending(&self, index: usize) -> bool {
        self.states[index].is_none_or(|state| !state.is_final())
    }

    /// Returns whether the state of any item can still change.
    pub(super) fn is_any_pending(&self) -> bool {
        (0..self.states.len()).any(|index| self.is_pending(index))
    }

    /// Adds the items at these positions as doubled.
    pub(super) fn add_doubled(&mut self, indexes: &[usize], problem: &str) {
        self.doubled.extend(indexes.iter().map(|index| (*index, problem.to_owned())));
    }

    /// Adds what a list shows: the states of items, and how often it shows those that it shows more than
    /// once.
    pub(super) fn add(&mut self, states: HashMap<usize, WorkState>, entries: HashMap<usize, u32>) {
        for (index, state) in states {
            // What was seen once is known better than that it cannot be read now.
            let is_unread = matches!(state, WorkState::Unreachable | WorkState::Refused);
            if !(is_unread && self.states[index].is_some()) {
                self.states[index] = Some(state);
            }
        }
        for (index, count) in entries {
            self.doubled.entry(index).or_insert_with(|| format!("{count} entries in the list"));
        }
    }
}
