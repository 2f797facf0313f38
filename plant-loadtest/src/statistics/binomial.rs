//! Exact tests of a share against a limit: percentiles and error rates are shares of requests.

use statrs::function::beta::beta_reg;

/// Highest number of requests that [`Share::total_to_decide`] recommends.
const MAX_TOTAL: u64 = 10_000_000;

/// A number of requests of a kind, of all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Requests of the kind.
    pub count: u64,
    /// All requests.
    pub total: u64,
}

/// Position of a share's confidence interval relative to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The whole interval is below the limit.
    Below,
    /// The whole interval is above the limit.
    Above,
    /// The limit is in the interval.
    Undecided,
}

impl Share {
    /// Compares the confidence interval of the share with `limit`, from 0 to 1. The interval is that
    /// of Clopper and Pearson (1934): each of its ends is missed with a probability of at most
    /// `(1 - confidence) / 2`, whatever the true share is. With a limit of 0 a single request of the
    /// kind is above it, and none is below it.
    #[must_use]
    pub fn compare(self, limit: f64, confidence: f64) -> Position {
        let tail = (1.0 - confidence) / 2.0;
        if self.total == 0 {
            Position::Undecided
        } else if limit <= 0.0 {
            if self.count == 0 { Position::Below } else { Position::Above }
        } else if self.probability_of_at_most(limit) <= tail {
            Position::Below
        } else if self.probability_of_at_least(limit) <= tail {
            Position::Above
        } else {
            Position::Undecided
        }
    }

    /// Returns how many requests would decide the comparison if the share remained the same; `None`
    /// if it is so close to the limit that ten million requests would not.
    #[must_use]
    pub fn total_to_decide(self, limit: f64, confidence: f64) -> Option<u64> {
        let decides = |total: u64| {
            let count = (self.fraction() * as_f64(total)).round();
            Self { count: as_count(count), total }.compare(limit, confidence) != Position::Undecided
        };
        let mut enough = self.total.max(1);
        while !decides(enough) {
            enough = enough.checked_mul(2).filter(|total| *total <= MAX_TOTAL)?;
        }
        let mut too_few = enough / 2;
        while too_few + 1 < enough {
            let middle = u64::midpoint(too_few, enough);
            if decides(middle) {
                enough = middle;
            } else {
                too_few = middle;
            }
        }
        Some(enough.max(self.total))
    }

    /// Returns the share, from 0 to 1; 0 without requests.
    #[must_use]
    pub fn fraction(self) -> f64 {
        if self.total == 0 { 0.0 } else { as_f64(self.count) / as_f64(self.total) }
    }

    /// Returns the probability of at most `count` requests of the kind if the true share is `share`.
    fn probability_of_at_most(self, share: f64) -> f64 {
        if self.count >= self.total || share <= 0.0 {
            return 1.0;
        }
        if share >= 1.0 {
            return 0.0;
        }
        beta_reg(as_f64(self.total - self.count), as_f64(self.count + 1), 1.0 - share)
    }

    /// Returns the probability of at least `count` requests of the kind if the true share is
    /// `share`.
    fn probability_of_at_least(self, share: f64) -> f64 {
        match self.count.checked_sub(1) {
            None => 1.0,
            Some(_) if share >= 1.0 => 1.0,
            Some(fewer) => beta_reg(as_f64(self.count), as_f64(self.total - fewer), share),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "requests of a run stay below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rounded count between 0 and ten million"
)]
fn as_count(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIDENCE: f64 = 0.95;

    fn compare(count: u64, total: u64, limit: f64) -> Position {
        Share { count, total }.compare(limit, CONFIDENCE)
    }

    /// Without a request of the kind, `total` of them must satisfy (1 - limit)^total ≤ 2.5 %.
    #[test]
    fn a_share_of_zero_is_below_a_limit_from_the_number_on_that_the_formula_gives() {
        for (limit, enough) in [(0.5, 6), (0.05, 72), (0.01, 368), (0.0001, 36_887)] {
            assert_eq!(compare(0, enough, limit), Position::Below, "{limit}");
            assert_eq!(compare(0, enough - 1, limit), Position::Undecided, "{limit}");
        }
    }

    /// If all requests are of the kind, `total` of them must satisfy limit^total ≤ 2.5 %.
    #[test]
    fn a_share_of_one_is_above_a_limit_from_the_number_on_that_the_formula_gives() {
        for (limit, enough) in [(0.5, 6), (0.05, 2), (0.01, 1)] {
            assert_eq!(compare(enough, enough, limit), Position::Above, "{limit}");
        }
        assert_eq!(compare(5, 5, 0.5), Position::Undecided);
        assert_eq!(compare(1, 1, 0.05), Position::Undecided);
    }

    /// The ends of the exact 95 % interval of 10 of 100 are 4.9005 % and 17.6223 % (Clopper and
    /// Pearson), of 1 of 300 0.00844 % and 1.8435 %.
    #[test]
    fn the_ends_of_the_interval_are_those_of_the_literature() {
        for (count, total, lower, upper) in
            [(10, 100, 0.049_005, 0.176_223), (1, 300, 0.000_084_4, 0.018_435)]
        {
            assert_eq!(compare(count, total, lower * 0.999), Position::Above);
            assert_eq!(compare(count, total, lower * 1.001), Position::Undecided);
            assert_eq!(compare(count, total, upper * 0.999), Position::Undecided);
            assert_eq!(compare(count, total, upper * 1.001), Position::Below);
        }
    }

    #[test]
    fn a_share_of_a_million_is_compared_like_a_normal_one() {
        // 1.96 standard deviations of 218 are 427 requests.
        assert_eq!(compare(49_560, 1_000_000, 0.05), Position::Below);
        assert_eq!(compare(49_590, 1_000_000, 0.05), Position::Undecided);
        assert_eq!(compare(50_410, 1_000_000, 0.05), Position::Undecided);
        assert_eq!(compare(50_440, 1_000_000, 0.05), Position::Above);
    }

    #[test]
    fn with_a_limit_of_zero_a_single_request_decides() {
        assert_eq!(compare(0, 1, 0.0), Position::Below);
        assert_eq!(compare(1, 1_000, 0.0), Position::Above);
        assert_eq!(compare(0, 0, 0.0), Position::Undecided);
    }

    #[test]
    fn no_share_is_above_a_limit_of_one_or_more() {
        for limit in [1.0, 1.5] {
            assert_eq!(compare(999, 1_000, limit), Position::Below, "{limit}");
            assert_eq!(compare(1_000, 1_000, limit), Position::Undecided, "{limit}");
        }
    }

    #[test]
    fn the_number_that_would_decide_is_found() {
        let needed =
            |count, total, limit| Share { count, total }.total_to_decide(limit, CONFIDENCE);
        assert_eq!(needed(0, 20, 0.05), Some(72));
        assert_eq!(needed(0, 0, 0.01), Some(368));
        assert_eq!(needed(0, 1_000, 0.05), Some(1_000), "decided already");
        assert_eq!(needed(5, 100, 0.05), None, "exactly at the limit");
        let enough = needed(4, 100, 0.05).unwrap();
        assert!((1_800..2_400).contains(&enough), "{enough}");
    }

    /// The true share is missed in at most one of twenty samples.
    #[test]
    fn the_interval_covers_the_true_share() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut wrong = 0;
        for _ in 0..2_000 {
            let count = (0..200).filter(|_| random.f64() < 0.05).count() as u64;
            wrong += u32::from(compare(count, 200, 0.05) != Position::Undecided);
        }
        assert!(wrong <= 100, "{wrong}");
    }
}
