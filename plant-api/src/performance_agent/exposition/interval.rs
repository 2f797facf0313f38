//! The time between two readings of one target.

use std::collections::BTreeMap;

use super::histogram::Histogram;
use super::selector::Selector;
use super::{Exposition, Labels};

/// Two readings of a target.
#[derive(Debug, Clone)]
pub struct Interval {
    pub before: Exposition,
    pub after: Exposition,
    /// Time between the readings.
    pub seconds: f64,
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

    /// Returns the increase of the selected counters; `None` if there are none.
    pub fn increase(&self, selector: &Selector) -> Option<f64> {
        let selected = self.increases(&selector.name);
        let selected = selected.filter(|(labels, _)| selector.matches(labels));
        selected.map(|(_, increase)| increase).reduce(|sum, increase| sum + increase)
    }

    /// Returns the increases of the selected counters by the values of these labels.
    pub fn increases_by(
        &self,
        selector: &Selector,
        labels: &[String],
    ) -> BTreeMap<Vec<String>, f64> {
        let mut sums = BTreeMap::new();
        for (series, increase) in self.increases(&selector.name) {
            if selector.matches(series) {
                *sums.entry(values(series, labels)).or_insert(0.0) += increase;
            }
        }
        sums
    }

    /// Returns the observations of the selected histograms by the values of these labels. The selector
    /// has the name of the histogram, without `_bucket`.
    pub fn histograms_by(
        &self,
        selector: &Selector,
        labels: &[String],
    ) -> BTreeMap<Vec<String>, Histogram> {
        let mut histograms: BTreeMap<_, Histogram> = BTreeMap::new();
        let name = format!("{}_bucket", selector.name);
        for (series, increase) in self.increases(&name) {
            let upper = series.get("le").and_then(|upper| super::parse_value(upper));
            if let Some(upper) = upper.filter(|upper| !upper.is_nan())
                && selector.matches(series)
            {
                histograms.entry(values(series, labels)).or_default().add(upper, increase);
            }
        }
        histograms
    }
}

fn values(series: &Labels, labels: &[String]) -> Vec<String> {
    labels.iter().map(|label| series.get(label).cloned().unwrap_or_default()).collect()
}
