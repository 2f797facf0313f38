//! Selects the level of the next trial from the results so far.

/// Result of the trial at one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelResult {
    /// All thresholds were met.
    Met,
    /// A threshold was violated.
    Violated,
    /// A threshold was not decidable.
    Undecided,
}

/// Search for the highest level of load at which all thresholds are met.
#[derive(Clone, Debug)]
pub struct Search {
    next: f64,
    /// Highest level that met all thresholds.
    met: Option<f64>,
    /// Highest level that was not decidable.
    undecided: Option<f64>,
    /// Lowest level that violated a threshold.
    violated: Option<f64>,
    max_level: f64,
    /// Relative distance of the two levels at which the search ends.
    precision: f64,
    /// Whether levels are integers.
    integer: bool,
}

impl Search {
    /// Returns a search that starts at `from`, never exceeds `max_level`, and ends when the highest
    /// level that met and the lowest that violated the thresholds are within `precision` (a
    /// fraction) of each other. Levels are numbers of users if `integer`, else rates.
    #[must_use]
    pub fn new(from: f64, max_level: f64, precision: f64, integer: bool) -> Self {
        let next = if integer { from.round().max(1.0) } else { from };
        Self {
            next: next.min(max_level),
            met: None,
            undecided: None,
            violated: None,
            max_level,
            precision,
            integer,
        }
    }

    /// Returns the level of the next trial; `None` at the end of the search.
    #[must_use]
    pub fn next_level(&self) -> Option<f64> {
        let next = self.next;
        let min_level = if self.integer { 1.0 } else { 0.1 };
        let is_tried = |level: Option<f64>| level.is_some_and(|level| (level - next).abs() < 1e-9);
        let tried = [self.met, self.undecided, self.violated].into_iter().any(is_tried);
        (next >= min_level && !tried).then_some(next)
    }

    /// Records the result of the trial at `level`, and selects the next level. A level that is not
    /// decidable is not met, but higher ones have more requests and may be decided.
    pub fn record(&mut self, level: f64, result: LevelResult) {
        let highest = |other: Option<f64>| Some(other.map_or(level, |other| other.max(level)));
        match result {
            LevelResult::Met => self.met = highest(self.met),
            LevelResult::Undecided => self.undecided = highest(self.undecided),
            LevelResult::Violated => {
                self.violated = Some(self.violated.map_or(level, |other| other.min(level)));
            }
        }
        let not_violated = self.met.into_iter().chain(self.undecided).reduce(f64::max);
        self.next = match (not_violated, self.violated) {
            (Some(lower), None) => self.round((lower * 2.0).min(self.max_level)),
            (None, Some(violated)) => self.round(violated / 2.0),
            (Some(lower), Some(violated)) if violated - lower <= violated * self.precision => lower,
            // The geometric mean bisects the interval in relative terms, as the precision is
            // relative.
            (Some(lower), Some(violated)) if !self.integer => (lower * violated).sqrt(),
            (Some(lower), Some(violated)) if violated - lower <= 1.0 => lower,
            (Some(lower), Some(violated)) => {
                (lower * violated).sqrt().round().clamp(lower + 1.0, violated - 1.0)
            }
            (None, None) => self.next,
        };
    }

    /// Returns the highest level that met all thresholds.
    #[must_use]
    pub fn highest_met(&self) -> Option<f64> {
        self.met
    }

    /// Returns the lowest level that violated a threshold.
    #[must_use]
    pub fn lowest_violated(&self) -> Option<f64> {
        self.violated
    }

    fn round(&self, level: f64) -> f64 {
        if self.integer { level.floor() } else { level }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches a service that meets its thresholds up to `limit`. Returns the highest level met,
    /// the lowest level violated and the number of trials.
    fn find(limit: f64, from: f64, integer: bool) -> (Option<f64>, Option<f64>, u32) {
        let mut search = Search::new(from, 1e6, 0.05, integer);
        let mut trials = 0;
        while let Some(level) = search.next_level() {
            let met = level <= limit;
            search.record(level, if met { LevelResult::Met } else { LevelResult::Violated });
            trials += 1;
            assert!(trials < 40);
        }
        (search.highest_met(), search.lowest_violated(), trials)
    }

    #[test]
    fn the_search_converges_from_below_and_from_above() {
        for from in [1.0, 190.0, 210.0, 5000.0] {
            let (met, violated, _) = find(200.0, from, false);
            let (met, violated) = (met.unwrap(), violated.unwrap());
            assert!(met <= 200.0 && violated > 200.0, "{from}: {met} {violated}");
            assert!((violated - met) / violated <= 0.05, "{from}: {met} {violated}");
        }
    }

    #[test]
    fn a_search_over_users_is_exact_to_one_user() {
        assert_eq!(find(3.0, 1.0, true).0, Some(3.0));
        assert_eq!(find(0.0, 4.0, true), (None, Some(1.0), 3), "violated by a single user");
    }

    #[test]
    fn a_level_that_is_not_decidable_is_not_held_and_a_higher_one_is_tried() {
        let mut search = Search::new(1.0, 100.0, 0.05, true);
        let mut tried = Vec::new();
        while let Some(level) = search.next_level() {
            tried.push(level);
            search.record(
                level,
                match level {
                    ..4.0 => LevelResult::Undecided,
                    4.0..6.0 => LevelResult::Met,
                    _ => LevelResult::Violated,
                },
            );
        }
        assert_eq!(tried, [1.0, 2.0, 4.0, 8.0, 6.0, 5.0]);
        assert_eq!((search.highest_met(), search.lowest_violated()), (Some(5.0), Some(6.0)));
        let mut never = Search::new(1.0, 4.0, 0.05, true);
        while let Some(level) = never.next_level() {
            never.record(level, LevelResult::Undecided);
        }
        assert_eq!((never.highest_met(), never.lowest_violated()), (None, None));
    }

    #[test]
    fn the_search_ends_at_the_maximum_level() {
        let mut search = Search::new(10.0, 35.0, 0.05, true);
        let mut tried = Vec::new();
        while let Some(level) = search.next_level() {
            search.record(level, LevelResult::Met);
            tried.push(level);
        }
        assert_eq!(tried, [10.0, 20.0, 35.0]);
        assert_eq!((search.highest_met(), search.lowest_violated()), (Some(35.0), None));
    }
}
