//! Custom counters: what the tasks of user classes count.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A custom counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counter {
    /// Name of the counter.
    pub name: String,
    /// Its increments by the cell in which they happened; cells without any are left out.
    #[serde(rename = "seconds")]
    pub cells: Vec<CounterCell>,
}

/// The increments of a counter in one cell (a second, or several in long runs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CounterCell {
    /// First second of the cell, counted from the start of the run.
    pub second: u32,
    /// Sum of the increments.
    pub count: u64,
}

impl Counter {
    /// Returns the sum of the increments in `seconds`.
    #[must_use]
    pub fn count_in(&self, seconds: &Range<u32>) -> u64 {
        let cells = self.cells.iter().filter(|cell| seconds.contains(&cell.second));
        cells.map(|cell| cell.count).sum()
    }

    /// Replaces all cells from the first one of `newer` on.
    pub fn replace_since(&mut self, newer: Self) {
        let Some(first) = newer.cells.first() else { return };
        self.cells.truncate(self.cells.partition_point(|cell| cell.second < first.second));
        self.cells.extend(newer.cells);
    }
}
