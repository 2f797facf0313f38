//! Which seconds of a run share one entry.

use crate::profile::Stage;

/// An endpoint keeps at most about this many entries: two hours have one for every second.
const MOST_ENTRIES: u32 = 7200;

/// Cuts a run into cells of equal length that never cross the border of a stage.
///
/// A day in single seconds takes over a gigabyte, of which nobody sees more than minutes.
#[derive(Clone, Debug)]
pub struct Cells {
    length: u32,
    borders: Vec<u32>,
}

impl Cells {
    /// Cells fit for a run of these `stages`.
    #[must_use]
    pub fn of(stages: &[Stage]) -> Self {
        let seconds = stages.last().map_or(0, |stage| stage.to_s);
        let borders = stages.iter().map(|stage| stage.to_s).collect();
        Self { length: seconds.div_ceil(MOST_ENTRIES).max(1), borders }
    }

    /// How many seconds a cell has, those before a border aside.
    #[must_use]
    pub fn length(&self) -> u32 {
        self.length
    }

    /// The first second of the cell that `second` is in.
    #[must_use]
    pub fn start_of(&self, second: u32) -> u32 {
        if self.length == 1 {
            return second;
        }
        let passed = self.borders.partition_point(|border| *border <= second);
        let border = passed.checked_sub(1).map_or(0, |last| self.borders[last]);
        border + (second - border) / self.length * self.length
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self { length: 1, borders: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(ends: &[u32]) -> Cells {
        let stages: Vec<Stage> =
            ends.iter().map(|&to_s| Stage { to_s, ..Stage::default() }).collect();
        Cells::of(&stages)
    }

    #[test]
    fn two_hours_are_kept_second_by_second() {
        let cells = cells(&[10, 7200]);
        assert_eq!(cells.length(), 1);
        assert_eq!(cells.start_of(4711), 4711);
    }

    #[test]
    fn a_day_is_kept_in_cells_that_end_with_their_stage() {
        let cells = cells(&[10, 86_400]);
        assert_eq!(cells.length(), 12);
        let starts: Vec<u32> = [0, 9, 10, 21, 22, 86_399].map(|s| cells.start_of(s)).into();
        assert_eq!(starts, [0, 0, 10, 10, 22, 86_398]);
    }
}
