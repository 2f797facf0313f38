//! The time between two readings of one target.

use std::collections::BTreeMap;

use super::histogram::Histogram;
use super::selector::Selector;
use super::{Exposition, Labels};

/// Two readings of a target. What is computed from them is finite, or left out: neither JSON nor the
/// database has infinity.
#[derive(Debug, Clone)]
pub struct Interval {
    pub before: Exposition,
    pub after: Exposition,
    /// Time between the readings.
    pub seconds: f64,
}

/// Histograms of one metric.
#[derive(Debug, Default)]
pub struct Histograms {
    /// By the values of the labels.
    pub by_labels: BTreeMap<Vec<String>, Histogram>,
    /// Number of histograms that were left out, because they have too many buckets.
    pub too_large: usize,
}

impl Interval {
    /// Returns the increase of each series of a metric. A counter that has decreased was reset; one
    /// that was not there before started at zero.
    fn increases<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Labels, f64)> {
        self.after.series(name).filter_map(move |(labels, after)| {
            let before = self.before.value(name, labels).unwrap_or(0.0);
            let increase = if after >= before { after - before } else { after };
            increase.is_finite().then_some((labels, increase))
        })
    }

    /// Returns the increase of the selected counters; `None` if there are none, or if it is no finite
    /// number.
    pub fn increase(&self, selector: &Selector) -> Option<f64> {
        let selected = self.increases(&selector.name);
        let selected = selected.filter(|(labels, _)| selector.matches(labels));
        let sum = selected.map(|(_, increase)| increase).reduce(|sum, increase| sum + increase);
        sum.filter(|sum| sum.is_finite())
    }

    /// Returns the increase of the selected counters per second, as [`Interval::increase`].
    pub fn rate(&self, selector: &Selector) -> Option<f64> {
        let rate = self.increase(selector)? / self.seconds;
        rate.is_finite().then_some(rate)
    }

    /// Returns the increases of the selected counters by the values of these labels, without those that
    /// are no finite number.
    pub fn increases_by(
        &self,
        selector: &Selector,
        labels: &[String],
    ) -> BTreeMap<Vec<String>, f64> {
        let mut sums: BTreeMap<_, f64> = BTreeMap::new();
        for (series, increase) in self.increases(&selector.name) {
            if selector.matches(series) {
                *sums.entry(values(series, labels)).or_default() += increase;
            }
        }
        sums.retain(|_, sum| sum.is_finite());
        sums
    }

    /// Returns the observations of the selected histograms by the values of these labels. The selector
    /// has the name of the histogram, without `_bucket`.
    pub fn histograms_by(&self, selector: &Selector, labels: &[String]) -> Histograms {
        let mut bounds: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
        let name = format!("{}_bucket", selector.name);
        for (series, increase) in self.increases(&name) {
            let upper = series.get("le").and_then(|upper| super::parse_value(upper));
            if let Some(upper) = upper.filter(|upper| !upper.is_nan())
                && selector.matches(series)
            {
                bounds.entry(values(series, labels)).or_default().push((upper, increase));
            }
        }
        let mut histograms = Histograms::default();
        for (values, bounds) in bounds {
            match Histogram::new(bounds) {
                Some(histogram) => drop(histograms.by_labels.insert(values, histogram)),
                None => histograms.too_large += 1,
            }
        }
        histograms
    }
}

fn values(series: &Labels, labels: &[String]) -> Vec<String> {
    labels.iter().map(|label| series.get(label).cloned().unwrap_or_default()).collect()
}
