//! Quantiles of a histogram with cumulative buckets, as `histogram_quantile` of Prometheus.

/// Maximum number of different upper bounds of a histogram.
pub const MAX_BUCKETS: usize = 1_000;

/// Cumulative buckets: the number of observations up to each upper bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram(Vec<Bucket>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    upper: f64,
    count: f64,
}

impl Histogram {
    /// Creates a histogram of upper bounds and counts in any order; counts of the same bound are added.
    /// `None` if it has more than [`MAX_BUCKETS`] bounds.
    pub fn new(mut bounds: Vec<(f64, f64)>) -> Option<Self> {
        bounds.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut buckets: Vec<Bucket> = Vec::new();
        for (upper, count) in bounds {
            if let Some(last) = buckets.last_mut().filter(|last| last.upper == upper) {
                last.count += count;
            } else if buckets.len() < MAX_BUCKETS {
                buckets.push(Bucket { upper, count });
            } else {
                return None;
            }
        }
        Some(Self(buckets))
    }

    /// Returns the number of observations; zero without a bucket for `+Inf`.
    pub fn count(&self) -> f64 {
        self.0.last().filter(|last| last.upper == f64::INFINITY).map_or(0.0, |last| last.count)
    }

    /// Returns the `q`-quantile (0 to 1), interpolated linearly within its bucket. In the last bucket
    /// it is the upper bound of the last but one. `None` without observations, without finite
    /// buckets, or if it is no finite number.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.interpolate(q).filter(|quantile| quantile.is_finite())
    }

    fn interpolate(&self, q: f64) -> Option<f64> {
        let total = self.count();
        if !total.is_finite() || total <= 0.0 || self.0.len() < 2 {
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
