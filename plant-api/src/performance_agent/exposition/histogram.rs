//! Quantiles of a histogram with cumulative buckets, as `histogram_quantile` of Prometheus.

/// Cumulative buckets: the number of observations up to each upper bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram(Vec<Bucket>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    upper: f64,
    count: f64,
}

impl Histogram {
    /// Adds a bucket; one with the same upper bound is added to it.
    pub fn add(&mut self, upper: f64, count: f64) {
        let at = self.0.partition_point(|bucket| bucket.upper < upper);
        match self.0.get_mut(at) {
            Some(bucket) if bucket.upper == upper => bucket.count += count,
            _ => self.0.insert(at, Bucket { upper, count }),
        }
    }

    /// Returns the number of observations; zero without a bucket for `+Inf`.
    pub fn count(&self) -> f64 {
        self.0.last().filter(|last| last.upper == f64::INFINITY).map_or(0.0, |last| last.count)
    }

    /// Returns the `q`-quantile (0 to 1), interpolated linearly within its bucket. In the last bucket
    /// it is the upper bound of the last but one. `None` without observations, or without finite
    /// buckets.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.count();
        if total <= 0.0 || self.0.len() < 2 {
            return None;
        }
        let rank = q * total;
        // Two readings of a histogram need not be consistent; a count never decreases with its bound.
        let mut reached = 0.0_f64;
        let mut lower = Bucket { upper: 0.0, count: 0.0 };
        for (index, bucket) in self.0.iter().enumerate() {
            reached = reached.max(bucket.count);
            let bucket = Bucket { count: reached, ..*bucket };
            if bucket.count >= rank {
                if bucket.upper == f64::INFINITY {
                    return Some(self.0[self.0.len() - 2].upper);
                }
                if index == 0 && bucket.upper <= 0.0 {
                    return Some(bucket.upper);
                }
                let within = bucket.count - lower.count;
                if within <= 0.0 {
                    return Some(bucket.upper);
                }
                let share = (rank - lower.count) / within;
                return Some(lower.upper + (bucket.upper - lower.upper) * share);
            }
            lower = bucket;
        }
        None
    }
}
