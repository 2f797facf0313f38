//! Distributions of latencies, as sparse HdrHistogram buckets.

use std::{cmp::Ordering, sync::LazyLock, time::Duration};

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Three significant digits: every value is accurate to 0.1 %.
const SIGNIFICANT_DIGITS: u8 = 3;

/// One hour, well above any request timeout; longer latencies are recorded as one hour.
const MAX_MICROS: u64 = 3_600_000_000;

/// Number of distributions up to which merging is faster than a dense histogram.
const MAX_MERGED: usize = 8;

/// Only the bucket boundaries of this histogram are used: a dense histogram for each second and
/// endpoint would take 100 kB each.
static BUCKET_BOUNDS: LazyLock<Histogram<u64>> = LazyLock::new(dense_histogram);

/// Latencies in microseconds, counted in HdrHistogram buckets of three significant digits.
///
/// Only non-empty buckets are stored, so one distribution per endpoint and cell stays small in
/// memory and in the outcome file, where it is a list of `[microseconds, count]` pairs. They are in
/// ascending order, so that merging, which verdicts and reports do most, is one pass over both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Distribution {
    buckets: Vec<(u64, u64)>,
}

impl Distribution {
    /// Counts one latency.
    pub fn record(&mut self, latency: Duration) {
        self.record_times(latency, 1);
    }

    /// Counts a latency `count` times.
    pub fn record_times(&mut self, latency: Duration, count: u64) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.record_n(micros, count);
    }

    fn record_n(&mut self, micros: u64, count: u64) {
        // The reports' logarithmic scale has no place for zero.
        let bucket = BUCKET_BOUNDS.lowest_equivalent(micros.clamp(1, MAX_MICROS));
        match self.buckets.binary_search_by_key(&bucket, |(micros, _)| *micros) {
            Ok(index) => self.buckets[index].1 += count,
            Err(index) => self.buckets.insert(index, (bucket, count)),
        }
    }

    /// Adds every sample of `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        let mut merged = Vec::with_capacity(self.buckets.len() + other.buckets.len());
        let (mut ours, mut theirs) = (self.buckets.as_slice(), other.buckets.as_slice());
        while let (
            [(our_micros, our_count), our_rest @ ..],
            [(their_micros, their_count), their_rest @ ..],
        ) = (ours, theirs)
        {
            match our_micros.cmp(their_micros) {
                Ordering::Less => {
                    merged.push((*our_micros, *our_count));
                    ours = our_rest;
                }
                Ordering::Greater => {
                    merged.push((*their_micros, *their_count));
                    theirs = their_rest;
                }
                Ordering::Equal => {
                    merged.push((*our_micros, our_count + their_count));
                    (ours, theirs) = (our_rest, their_rest);
                }
            }
        }
        merged.extend_from_slice(ours);
        merged.extend_from_slice(theirs);
        self.buckets = merged;
    }

    /// Returns all samples of `distributions`. Much faster than merging many of them one by one.
    #[must_use]
    pub fn sum<'d>(distributions: impl IntoIterator<Item = &'d Self>) -> Self {
        let mut rest = distributions.into_iter().filter(|distribution| !distribution.is_empty());
        let mut sum = Self::default();
        for distribution in rest.by_ref().take(MAX_MERGED) {
            sum.merge(distribution);
        }
        let Some(next) = rest.next() else { return sum };
        let mut dense = dense_histogram();
        let mut add = |one: &Self| {
            for (micros, count) in &one.buckets {
                dense.saturating_record_n(*micros, *count);
            }
        };
        add(&sum);
        add(next);
        rest.for_each(&mut add);
        let buckets = dense.iter_recorded().map(|bucket| {
            let micros = dense.lowest_equivalent(bucket.value_iterated_to());
            (micros, bucket.count_at_value())
        });
        Self { buckets: buckets.collect() }
    }

    /// Returns the number of samples.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// Returns whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Returns the `quantile` (0 to 1) of the latencies in milliseconds, by nearest rank: the
    /// smallest value such that a fraction `quantile` of the values is at most this value. `None`
    /// without samples.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let rank = rank(quantile, self.len());
        let mut cumulative = 0;
        let bucket = self.buckets.iter().find(|(_, count)| {
            cumulative += *count;
            cumulative >= rank
        });
        bucket.map(|(micros, _)| ms(BUCKET_BOUNDS.highest_equivalent(*micros)))
    }

    /// Returns a lower bound, in milliseconds, of the `quantile` (0 to 1) that the distribution will
    /// have once it contains `samples` samples. Each missing sample is assumed to be as short as
    /// possible. `None` without samples.
    #[must_use]
    pub fn quantile_lower_bound_ms(&self, quantile: f64, samples: u64) -> Option<f64> {
        if self.is_empty() {
            return None;
        }
        let mut padded = self.clone();
        let missing = samples.saturating_sub(self.len());
        if missing > 0 {
            padded.record_n(1, missing);
        }
        padded.quantile_ms(quantile)
    }

    /// Returns the number of the slowest samples that are all `slow`, in milliseconds as
    /// [`Self::quantile_ms`] reports them: by the upper end of their bucket.
    #[must_use]
    pub fn count_slowest(&self, slow: impl Fn(f64) -> bool) -> u64 {
        let slowest = self
            .buckets
            .iter()
            .rev()
            .take_while(|(micros, _)| slow(ms(BUCKET_BOUNDS.highest_equivalent(*micros))));
        slowest.map(|(_, count)| count).sum()
    }

    /// Returns the samples that are longer than `limit_ms`.
    #[must_use]
    pub fn above(&self, limit_ms: f64) -> Self {
        let slow = self.buckets.iter().filter(|(micros, _)| ms(*micros) > limit_ms);
        Self { buckets: slow.copied().collect() }
    }

    /// Returns the standard deviation in milliseconds; `None` without samples.
    #[must_use]
    pub fn standard_deviation_ms(&self) -> Option<f64> {
        let (mean, total) = (self.mean_ms()?, as_f64(self.len()));
        let variance = self.buckets.iter().fold(0.0, |variance, (micros, count)| {
            let deviation = ms(BUCKET_BOUNDS.median_equivalent(*micros)) - mean;
            variance + deviation * deviation * as_f64(*count) / total
        });
        Some(variance.sqrt())
    }

    /// Returns the minimum latency in milliseconds; `None` without samples.
    #[must_use]
    pub fn min_ms(&self) -> Option<f64> {
        self.buckets.first().map(|(micros, _)| ms(*micros))
    }

    /// Returns the maximum latency in milliseconds; `None` without samples.
    #[must_use]
    pub fn max_ms(&self) -> Option<f64> {
        self.buckets.last().map(|(micros, _)| ms(*micros))
    }

    /// Returns the mean latency in milliseconds; `None` without samples.
    #[must_use]
    pub fn mean_ms(&self) -> Option<f64> {
        let total = as_f64(self.len());
        let mean = self.buckets.iter().fold(0.0, |mean, (micros, count)| {
            mean + as_f64(BUCKET_BOUNDS.median_equivalent(*micros)) * as_f64(*count) / total
        });
        (!self.is_empty()).then(|| mean / 1000.0)
    }

    /// Returns the non-empty buckets: lower bound in milliseconds and number of samples.
    pub fn buckets_ms(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.buckets.iter().map(|(micros, count)| (ms(*micros), *count))
    }
}

impl From<Vec<(u64, u64)>> for Distribution {
    fn from(pairs: Vec<(u64, u64)>) -> Self {
        let mut distribution = Self::default();
        for (micros, count) in pairs {
            distribution.record_n(micros, count);
        }
        distribution
    }
}

impl From<Distribution> for Vec<(u64, u64)> {
    fn from(distribution: Distribution) -> Self {
        distribution.buckets
    }
}

fn dense_histogram() -> Histogram<u64> {
    Histogram::new_with_max(MAX_MICROS, SIGNIFICANT_DIGITS)
        .expect("three digits and a maximum of at least two are valid")
}

/// Returns the rank of a quantile among `samples` in ascending order, counted from 1, as
/// HdrHistogram defines it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the product is between 0 and the number of samples"
)]
fn rank(quantile: f64, samples: u64) -> u64 {
    ((quantile.min(1.0) * as_f64(samples)).ceil() as u64).max(1)
}

fn ms(micros: u64) -> f64 {
    as_f64(micros) / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "microseconds and counts stay far below 2^53")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(millis: impl IntoIterator<Item = u64>) -> Distribution {
        let mut distribution = Distribution::default();
        for value in millis {
            distribution.record(Duration::from_millis(value));
        }
        distribution
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_samples() {
        let latencies = distribution(1..=1000);
        for (quantile, expected) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            let got = latencies.quantile_ms(quantile).unwrap();
            assert!((got - expected).abs() / expected < 0.001, "{quantile}: {got}");
        }
        assert_eq!(latencies.min_ms(), Some(1.0));
        assert_eq!(latencies.len(), 1000);
    }

    #[test]
    fn quantiles_and_mean_equal_those_of_a_dense_histogram() {
        let latencies = distribution((1..=300).map(|value| value * value * 7 % 90_001));
        let mut reference = dense_histogram();
        for (micros, count) in &latencies.buckets {
            reference.record_n(*micros, *count).unwrap();
        }
        for quantile in [0.0001, 0.01, 0.5, 0.66, 0.9, 0.95, 0.99, 0.999, 1.0] {
            let expected = ms(reference.value_at_quantile(quantile));
            assert_eq!(latencies.quantile_ms(quantile), Some(expected), "{quantile}");
        }
        let mean = latencies.mean_ms().unwrap();
        assert!((mean - reference.mean() / 1000.0).abs() < 1e-6, "{mean}");
        assert_eq!((distribution([]).quantile_ms(0.5), distribution([]).mean_ms()), (None, None));
    }

    #[test]
    fn merging_equals_recording_together() {
        let mut merged = distribution(1..=50);
        merged.merge(&distribution(51..=100));
        assert_eq!(merged, distribution(1..=100));
        let (even, odd) = ((0..50).map(|n| n * 2), (0..50).map(|n| n * 2 + 1));
        let mut interleaved = distribution(even);
        interleaved.merge(&distribution(odd));
        assert_eq!(interleaved, distribution(0..100));
        interleaved.merge(&distribution([7, 7, 500]));
        assert_eq!(interleaved, distribution((0..100).chain([7, 7, 500])));
        interleaved.merge(&Distribution::default());
        assert_eq!(interleaved.len(), 103);
    }

    #[test]
    fn the_sum_of_many_equals_recording_together() {
        for parts in [0, 1, 8, 9, 40] {
            let all = distribution((0..400).map(|n| n * n).take(parts * 10));
            let parts: Vec<Distribution> = (0..parts as u64)
                .map(|part| distribution((part * 10..part * 10 + 10).map(|n| n * n)))
                .collect();
            assert_eq!(Distribution::sum(&parts), all, "{}", parts.len());
        }
        let hour = Duration::from_secs(7200);
        let mut long = Distribution::default();
        long.record(hour);
        let sum = Distribution::sum(&vec![long.clone(); 20]);
        assert_eq!((sum.len(), sum.max_ms()), (20, long.max_ms()));
    }

    #[test]
    fn json_round_trip_preserves_all_samples() {
        let latencies = distribution([3, 3, 70, 4_000]);
        let text = serde_json::to_string(&latencies).unwrap();
        assert_eq!(serde_json::from_str::<Distribution>(&text).unwrap(), latencies);
    }

    #[test]
    fn the_lower_bound_assumes_that_missing_samples_are_short() {
        let slow = distribution([900; 5]);
        assert!(slow.quantile_lower_bound_ms(0.95, 20).unwrap() > 890.0);
        assert!(distribution([900]).quantile_lower_bound_ms(0.95, 20).unwrap() < 1.0);
    }
}
