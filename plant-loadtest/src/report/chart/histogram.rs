//! Histogram of latencies on a logarithmic axis.

use std::fmt::Write as _;

use super::{Axis, Frame, HEIGHT, WIDTH, as_f64, coordinate, grid};
use crate::distribution::Distribution;

/// Number of bars.
const BARS: u8 = 40;

/// The latencies of requests, in bars of equal width on a logarithmic axis.
#[derive(Clone, Debug)]
pub struct Histogram {
    axis: Axis,
    /// Number of requests in each bar.
    pub bars: Vec<u64>,
    baseline: Option<Vec<u64>>,
}

/// A latency that the histogram marks.
#[derive(Clone, Debug)]
pub struct Marker {
    /// Color class.
    pub color: &'static str,
    /// The latency in milliseconds.
    pub ms: f64,
}

impl Histogram {
    /// Counts `latency`, and those of a `baseline` for comparison; `None` if it is empty.
    #[must_use]
    pub fn new(latency: &Distribution, baseline: Option<&Distribution>) -> Option<Self> {
        let baseline = baseline.filter(|latency| !latency.is_empty());
        let ends = |latency: &Distribution| [latency.min_ms(), latency.max_ms()];
        let all = ends(latency).into_iter().chain(baseline.into_iter().flat_map(ends));
        let axis = Axis::log(all.flatten());
        let histogram = Self {
            axis,
            bars: count(latency, axis),
            baseline: baseline.map(|one| count(one, axis)),
        };
        (!latency.is_empty()).then_some(histogram)
    }

    /// Returns the latencies at both ends of the horizontal axis, in milliseconds.
    #[must_use]
    pub fn range_ms(&self) -> (f64, f64) {
        match self.axis {
            Axis::Log { from, to } => (from, to),
            Axis::Linear { top, .. } => (0.0, top),
        }
    }

    /// Draws the share of the requests in each bar, in percent, and the `markers`.
    #[must_use]
    pub fn html(&self, title: &str, markers: &[Marker]) -> String {
        let (bars, baseline) = (shares(&self.bars), self.baseline.as_deref().map(shares));
        let highest = bars.iter().chain(baseline.iter().flatten()).copied().fold(0.0, f64::max);
        let scale = Axis::linear(highest);
        let y = |share: f64| coordinate(((1.0 - scale.share(share)) * HEIGHT).round());
        let x = |bar: usize| coordinate(as_f64(bar as u64) / f64::from(BARS) * WIDTH);
        let values: Vec<(f64, String)> =
            scale.labels().into_iter().map(|(value, label)| (scale.share(value), label)).collect();
        let mut path = String::new();
        for (bar, share) in bars.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            // Few requests stay visible.
            let top = ((1.0 - scale.share(*share)) * HEIGHT).round().min(HEIGHT - 8.0);
            let _ = write!(path, "M{} {HEIGHT}V{top}H{}V{HEIGHT}z", x(bar), x(bar + 1));
        }
        let mut shapes = grid(&values) + &format!(r#"<path class="count" d="{path}"/>"#);
        if let Some(baseline) = baseline {
            let mut path = format!("M0 {HEIGHT}");
            for (bar, share) in baseline.iter().enumerate() {
                let _ = write!(path, "V{}H{}", y(*share), x(bar + 1));
            }
            let _ = write!(shapes, r#"<g class="a base"><path class="line" d="{path}"/></g>"#);
        }
        for marker in markers {
            let x = coordinate(self.axis.share(marker.ms) * WIDTH);
            let _ =
                write!(shapes, r#"<path class="marker {}" d="M{x} 0V{HEIGHT}"/>"#, marker.color);
        }
        let labels = self.axis.labels().into_iter();
        Frame {
            title: title.to_owned(),
            view_box: (WIDTH, HEIGHT),
            shapes,
            overlay: String::new(),
            values,
            horizontal: labels.map(|(value, label)| (self.axis.share(value), label)).collect(),
        }
        .html()
    }
}

fn count(latency: &Distribution, axis: Axis) -> Vec<u64> {
    let mut bars = vec![0; usize::from(BARS)];
    for (ms, count) in latency.buckets_ms() {
        bars[place(axis.share(ms), usize::from(BARS))] += count;
    }
    bars
}

/// Returns the index of the part of an axis, divided into `parts`, at `share` of its length.
pub(super) fn place(share: f64, parts: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of parts"
    )]
    let part = (share * as_f64(parts as u64)) as usize;
    part.min(parts - 1)
}

/// Returns the counts in percent of their sum.
fn shares(bars: &[u64]) -> Vec<f64> {
    let all = as_f64(bars.iter().sum::<u64>().max(1));
    bars.iter().map(|count| as_f64(*count) * 100.0 / all).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn latency(micros: &[u64]) -> Distribution {
        let mut latency = Distribution::default();
        for micros in micros {
            latency.record(Duration::from_micros(*micros));
        }
        latency
    }

    #[test]
    fn a_histogram_counts_all_samples() {
        let latency = latency(&[1, 950, 1_000, 80_000, 2_000_000]);
        let histogram = Histogram::new(&latency, None).unwrap();
        assert_eq!(histogram.bars.iter().sum::<u64>(), 5);
        let html = histogram.html("x", &[Marker { color: "b", ms: 80.0 }]);
        assert!(html.matches("V1000z").count() >= 4, "{html}");
        assert!(html.contains(">0.001<") && html.contains(">1000<"), "{html}");
        assert_eq!(html.matches("class=\"marker b\"").count(), 1);
        assert!(Histogram::new(&Distribution::default(), None).is_none());
    }

    #[test]
    fn both_runs_are_on_the_same_axis_and_in_percent() {
        let (new, old) = (latency(&[2_000, 2_000, 2_000]), latency(&[15_000]));
        let histogram = Histogram::new(&new, Some(&old)).unwrap();
        assert_eq!(histogram.range_ms(), (2.0, 20.0));
        let html = histogram.html("x", &[]);
        // Of the latencies no label is 100.
        assert!(html.contains("base") && html.contains(">100<"), "{html}");
        assert!(
            !Histogram::new(&new, Some(&latency(&[]))).unwrap().html("x", &[]).contains("base")
        );
    }
}
