//! Where to try next. Pure: what was found goes in, the next level comes out.

/// A search for the highest level that holds.
#[derive(Clone, Debug)]
pub struct Search {
    next: f64,
    /// The highest that held.
    held: Option<f64>,
    /// The lowest that broke.
    broke: Option<f64>,
    highest: f64,
    /// Levels closer than this share of each other are not told apart.
    within: f64,
    /// Levels are whole numbers.
    whole: bool,
}

impl Search {
    /// A search that begins at `from`, never exceeds `highest`, and ends when what holds and what
    /// breaks are within a share of each other. `whole` levels are users, others rates.
    #[must_use]
    pub fn new(from: f64, highest: f64, within: f64, whole: bool) -> Self {
        let next = if whole { from.round().max(1.0) } else { from };
        Self { next: next.min(highest), held: None, broke: None, highest, within, whole }
    }

    /// The level to try now; `None` when the search is over.
    #[must_use]
    pub fn next(&self) -> Option<f64> {
        let next = self.next;
        let smallest = if self.whole { 1.0 } else { 0.1 };
        let known = |level: Option<f64>| level.is_some_and(|level| (level - next).abs() < 1e-9);
        (next >= smallest && !known(self.held) && !known(self.broke)).then_some(next)
    }

    /// Learns whether the level tried held.
    pub fn learn(&mut self, level: f64, held: bool) {
        if held {
            self.held = Some(self.held.map_or(level, |other| other.max(level)));
        } else {
            self.broke = Some(self.broke.map_or(level, |other| other.min(level)));
        }
        self.next = match (self.held, self.broke) {
            (Some(held), None) => self.round((held * 2.0).min(self.highest)),
            (None, Some(broke)) => self.round(broke / 2.0),
            (Some(held), Some(broke)) if broke - held <= broke * self.within => held,
            // The geometric mean halves the interval in proportion, which is how it is closed.
            (Some(held), Some(broke)) if !self.whole => (held * broke).sqrt(),
            (Some(held), Some(broke)) if broke - held <= 1.0 => held,
            (Some(held), Some(broke)) => {
                (held * broke).sqrt().round().clamp(held + 1.0, broke - 1.0)
            }
            (None, None) => self.next,
        };
    }

    /// The highest level that held.
    #[must_use]
    pub fn held(&self) -> Option<f64> {
        self.held
    }

    /// The lowest level that broke a promise.
    #[must_use]
    pub fn broke(&self) -> Option<f64> {
        self.broke
    }

    fn round(&self, level: f64) -> f64 {
        if self.whole { level.floor() } else { level }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches a service that holds up to `limit`; the answer and how many trials it took.
    fn find(limit: f64, from: f64, whole: bool) -> (Option<f64>, Option<f64>, u32) {
        let mut search = Search::new(from, 1e6, 0.05, whole);
        let mut trials = 0;
        while let Some(level) = search.next() {
            search.learn(level, level <= limit);
            trials += 1;
            assert!(trials < 40);
        }
        (search.held(), search.broke(), trials)
    }

    #[test]
    fn it_closes_in_on_a_limit_from_below_and_from_above() {
        for from in [1.0, 190.0, 210.0, 5000.0] {
            let (held, broke, _) = find(200.0, from, false);
            let (held, broke) = (held.unwrap(), broke.unwrap());
            assert!(held <= 200.0 && broke > 200.0, "{from}: {held} {broke}");
            assert!((broke - held) / broke <= 0.05, "{from}: {held} {broke}");
        }
    }

    #[test]
    fn users_are_whole_and_single_ones_are_told_apart() {
        assert_eq!(find(3.0, 1.0, true).0, Some(3.0));
        assert_eq!(find(0.0, 4.0, true), (None, Some(1.0), 3), "not even one");
    }

    #[test]
    fn it_ends_at_the_highest_level_allowed() {
        let mut search = Search::new(10.0, 35.0, 0.05, true);
        let mut tried = Vec::new();
        while let Some(level) = search.next() {
            search.learn(level, true);
            tried.push(level);
        }
        assert_eq!(tried, [10.0, 20.0, 35.0]);
        assert_eq!((search.held(), search.broke()), (Some(35.0), None));
    }
}
