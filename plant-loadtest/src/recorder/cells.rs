//! Cells: the units of time of a recording, each one second or several.

use crate::load::Stage;

/// Approximate limit of cells in a run: cells of one second for up to two hours.
const MAX_CELLS: u32 = 7200;

/// Divides a run into cells of one length: a second, or several in runs of more than two hours. A
/// cell never spans two stages, so the last cell of a stage may be shorter.
///
/// With cells of one second, a run of a day would take over a gigabyte of memory, for a resolution
/// that no report shows.
#[derive(Clone, Debug)]
pub struct Cells {
    length: u32,
    stage_ends: Vec<u32>,
}

impl Cells {
    /// Returns the cells for a run of `stages`.
    #[must_use]
    pub fn for_stages(stages: &[Stage]) -> Self {
        let seconds = stages.last().map_or(0, |stage| stage.to_s);
        let stage_ends = stages.iter().map(|stage| stage.to_s).collect();
        Self { length: seconds.div_ceil(MAX_CELLS).max(1), stage_ends }
    }

    /// Returns the length of a cell in seconds, without regard to shorter ones at the end of stages.
    #[must_use]
    pub fn length_s(&self) -> u32 {
        self.length
    }

    /// Returns the first second of the cell that contains `second`.
    #[must_use]
    pub fn start_of(&self, second: u32) -> u32 {
        if self.length == 1 {
            return second;
        }
        let ended = self.stage_ends.partition_point(|end| *end <= second);
        let stage_start = ended.checked_sub(1).map_or(0, |last| self.stage_ends[last]);
        stage_start + (second - stage_start) / self.length * self.length
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self { length: 1, stage_ends: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(ends: &[u32]) -> Cells {
        let stages: Vec<Stage> =
            ends.iter().map(|&to_s| Stage { to_s, ..Stage::default() }).collect();
        Cells::for_stages(&stages)
    }

    #[test]
    fn runs_of_two_hours_use_cells_of_one_second() {
        let cells = cells(&[10, 7200]);
        assert_eq!(cells.length_s(), 1);
        assert_eq!(cells.start_of(4711), 4711);
    }

    #[test]
    fn a_run_of_a_day_uses_longer_cells_that_end_with_their_stage() {
        let cells = cells(&[10, 86_400]);
        assert_eq!(cells.length_s(), 12);
        let starts: Vec<u32> = [0, 9, 10, 21, 22, 86_399].map(|s| cells.start_of(s)).into();
        assert_eq!(starts, [0, 0, 10, 10, 22, 86_398]);
    }
}
