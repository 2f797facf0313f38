//! The order in which items take turns: in exact proportion to their weights.

/// Items that take turns, each as often as its weight: one turn each round, as long as its weight lasts.
#[derive(Debug)]
pub struct Turns {
    /// The weights, divided by their greatest common divisor.
    counts: Vec<usize>,
    total: usize,
}

impl Turns {
    /// Returns the turns of items with these weights, at least one of them above 0.
    #[must_use]
    pub fn new(weights: &[usize]) -> Self {
        let divisor = weights.iter().copied().fold(0, gcd).max(1);
        let counts: Vec<usize> = weights.iter().map(|weight| weight / divisor).collect();
        Self { total: counts.iter().sum(), counts }
    }

    /// Returns the index of the item that has turn `number` (from 0), and how many turns it had before.
    #[must_use]
    pub fn at(&self, number: usize) -> (usize, usize) {
        let (cycle, mut rest) = (number / self.total.max(1), number % self.total.max(1));
        let mut first_round = 0;
        // Weights can be large, so rounds of the same items are counted together.
        loop {
            let indices = 0..self.counts.len();
            let taking: Vec<usize> =
                indices.filter(|index| self.counts[*index] > first_round).collect();
            let counts = taking.iter().map(|index| self.counts[*index]);
            let Some(end_round) = counts.min() else { return (0, 0) };
            let turns = (end_round - first_round) * taking.len();
            if rest < turns {
                let index = taking[rest % taking.len()];
                let round = first_round + rest / taking.len();
                return (index, cycle * self.counts[index] + round);
            }
            rest -= turns;
            first_round = end_round;
        }
    }
}

/// Returns the greatest common divisor.
#[must_use]
pub fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_has_as_many_turns_as_its_weight() {
        let turns = |weights: &[usize], count| -> Vec<(usize, usize)> {
            let turns = Turns::new(weights);
            (0..count).map(|number| turns.at(number)).collect()
        };
        let even = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)];
        assert_eq!(turns(&[1, 1, 1], 5), even);
        let two_to_one = [(0, 0), (2, 0), (0, 1), (0, 2), (2, 1), (0, 3), (0, 4)];
        assert_eq!(turns(&[4, 0, 2], 7), two_to_one);
        let one = usize::try_from(u32::MAX).unwrap();
        assert_eq!(turns(&[one, 1], 4), [(0, 0), (1, 0), (0, 1), (0, 2)]);
        assert_eq!(Turns::new(&[one, 1]).at(one + 1), (0, one), "the second cycle");
    }
}
