//! How long requests took, as HdrHistogram buckets held sparsely.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Three significant digits: every value is kept to within 0.1 %.
const SIGNIFICANT_DIGITS: u8 = 3;

/// An hour: no request is waited for that long, and whatever is longer counts as an hour.
const LONGEST_MICROS: u64 = 3_600_000_000;

/// Only its bucket borders are used: a dense histogram a second and endpoint would cost 100 kB each.
static BORDERS: LazyLock<Histogram<u64>> = LazyLock::new(dense);

/// Latencies in microseconds, counted in HdrHistogram buckets of three significant digits.
///
/// Only buckets that hold something are stored, so one per endpoint and second stays small, in
/// memory and in the outcome file, where it is a list of `[microseconds, count]` pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Distribution {
    buckets: BTreeMap<u64, u64>,
}

impl Distribution {
    /// Counts one latency.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.record_n(micros, 1);
    }

    fn record_n(&mut self, micros: u64, count: u64) {
        // Zero has no bucket of its own in the reports' logarithmic scale.
        let bucket = BORDERS.lowest_equivalent(micros.clamp(1, LONGEST_MICROS));
        *self.buckets.entry(bucket).or_default() += count;
    }

    /// Adds every sample of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The latency in milliseconds that a share `quantile` (0 to 1) of the samples did not exceed,
    /// or `None` without samples.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let wanted = rank(quantile, self.len());
        let mut passed = 0;
        let bucket = self.buckets.iter().find(|(_, count)| {
            passed += **count;
            passed >= wanted
        });
        bucket.map(|(micros, _)| ms(BORDERS.highest_equivalent(*micros)))
    }

    /// Like [`Self::quantile_ms`], as if there were at least `samples` of them and every missing
    /// one had been instant: what the quantile will be at the least once they have come.
    #[must_use]
    pub fn least_quantile_ms(&self, quantile: f64, samples: u64) -> Option<f64> {
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

    /// The shortest latency, in milliseconds.
    #[must_use]
    pub fn min_ms(&self) -> Option<f64> {
        self.buckets.keys().next().copied().map(ms)
    }

    /// The longest latency, in milliseconds.
    #[must_use]
    pub fn max_ms(&self) -> Option<f64> {
        self.buckets.keys().next_back().copied().map(ms)
    }

    /// The mean latency, in milliseconds.
    #[must_use]
    pub fn mean_ms(&self) -> Option<f64> {
        let all = as_f64(self.len());
        let mean = self.buckets.iter().fold(0.0, |mean, (micros, count)| {
            mean + as_f64(BORDERS.median_equivalent(*micros)) * as_f64(*count) / all
        });
        (!self.is_empty()).then(|| mean / 1000.0)
    }

    /// Every filled bucket: its lower border in milliseconds, and how many samples it holds.
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
        distribution.buckets.into_iter().collect()
    }
}

fn dense() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_MICROS, SIGNIFICANT_DIGITS)
        .expect("three digits and a highest value above two are what the crate asks for")
}

/// Which sample, counted from the shortest as 1, is the quantile of so many: as HdrHistogram has it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count is a count"
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

    fn of(millis: impl IntoIterator<Item = u64>) -> Distribution {
        let mut distribution = Distribution::default();
        for value in millis {
            distribution.record(Duration::from_millis(value));
        }
        distribution
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_samples() {
        let latencies = of(1..=1000);
        for (quantile, expected) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            let got = latencies.quantile_ms(quantile).unwrap();
            assert!((got - expected).abs() / expected < 0.001, "{quantile}: {got}");
        }
        assert_eq!(latencies.min_ms(), Some(1.0));
        assert_eq!(latencies.len(), 1000);
    }

    #[test]
    fn figures_are_those_of_the_dense_histogram() {
        let latencies = of((1..=300).map(|value| value * value * 7 % 90_001));
        let mut reference = dense();
        for (micros, count) in &latencies.buckets {
            reference.record_n(*micros, *count).unwrap();
        }
        for quantile in [0.0001, 0.01, 0.5, 0.66, 0.9, 0.95, 0.99, 0.999, 1.0] {
            let expected = ms(reference.value_at_quantile(quantile));
            assert_eq!(latencies.quantile_ms(quantile), Some(expected), "{quantile}");
        }
        let mean = latencies.mean_ms().unwrap();
        assert!((mean - reference.mean() / 1000.0).abs() < 1e-6, "{mean}");
        assert_eq!((of([]).quantile_ms(0.5), of([]).mean_ms()), (None, None));
    }

    #[test]
    fn merging_equals_recording_together() {
        let mut left = of(1..=50);
        left.merge(&of(51..=100));
        assert_eq!(left, of(1..=100));
    }

    #[test]
    fn it_survives_a_round_trip_through_json() {
        let latencies = of([3, 3, 70, 4_000]);
        let text = serde_json::to_string(&latencies).unwrap();
        assert_eq!(serde_json::from_str::<Distribution>(&text).unwrap(), latencies);
    }

    #[test]
    fn missing_samples_are_taken_as_instant() {
        let slow = of([900; 5]);
        assert!(slow.least_quantile_ms(0.95, 20).unwrap() > 890.0);
        assert!(of([900]).least_quantile_ms(0.95, 20).unwrap() < 1.0);
    }
}
