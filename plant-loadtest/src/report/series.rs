//! Time series of a run, with as many points as a chart can show.

use std::ops::Range;

use super::summary;
use crate::{
    failure::FailureKind,
    outcome::{EndpointResults, Outcome, ResourceSample, Tally},
};

/// Maximum points per line; a chart on a screen cannot resolve more.
const MAX_WINDOWS: u32 = 120;

/// Values over time: pairs of seconds since the start and the value.
pub type Points = Vec<(f64, f64)>;

/// The requests of a run, in windows of equal length: one or several cells.
#[derive(Debug)]
pub struct Windows {
    length_s: u32,
    tallies: Vec<Tally>,
}

impl Windows {
    /// Returns the windows of all endpoints, without the time after the last stage in which running
    /// requests finish.
    #[must_use]
    pub fn new(outcome: &Outcome) -> Self {
        Self::split(outcome, &outcome.endpoints, MAX_WINDOWS)
    }

    /// Returns the windows of one endpoint; they are longer because it has fewer requests.
    #[must_use]
    pub fn for_endpoint(outcome: &Outcome, endpoint: &EndpointResults) -> Self {
        Self::split(outcome, std::slice::from_ref(endpoint), MAX_WINDOWS / 2)
    }

    fn split(outcome: &Outcome, endpoints: &[EndpointResults], max_windows: u32) -> Self {
        let seconds = summary::chart_seconds(outcome);
        // Long runs are recorded in cells of several seconds.
        let cell_s = outcome.load.cell_s.max(1);
        let length_s = seconds.div_ceil(max_windows).max(1).next_multiple_of(cell_s);
        let mut tallies = vec![Tally::default(); seconds.div_ceil(length_s) as usize];
        for cell in endpoints.iter().flat_map(|endpoint| &endpoint.cells) {
            if let Some(tally) = tallies.get_mut((cell.second / length_s) as usize) {
                tally.counts.add(&cell.counts);
                tally.latency.merge(&cell.latency);
            }
        }
        Self { length_s, tallies }
    }

    /// Returns the requests sent per second.
    #[must_use]
    pub fn rate(&self) -> Points {
        self.points(|tally, seconds| Some(summary::rate(tally, seconds)))
    }

    /// Returns the failed requests per second.
    #[must_use]
    pub fn errors(&self) -> Points {
        self.failures(FailureKind::ALL)
    }

    /// Returns the requests per second that failed with one of `kinds`.
    #[must_use]
    pub fn failures(&self, kinds: &[FailureKind]) -> Points {
        self.points(|tally, _| {
            let failures = kinds.iter().map(|kind| tally.counts.failures(*kind)).sum::<u64>();
            let failures = u32::try_from(failures).unwrap_or(u32::MAX);
            Some(f64::from(failures) / f64::from(self.length_s))
        })
    }

    /// Returns a percentile of latency, in milliseconds; windows without requests are omitted.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Points {
        self.points(|tally, _| tally.latency.quantile_ms(quantile))
    }

    /// Returns a percentile of latency, in milliseconds; windows with fewer than `min_samples`
    /// requests are omitted.
    #[must_use]
    pub fn quantile_with_min_samples(&self, min_samples: u64, quantile: f64) -> Points {
        self.points(|tally, _| {
            tally.latency.quantile_ms(quantile).filter(|_| tally.latency.len() >= min_samples)
        })
    }

    fn points(&self, value: impl Fn(&Tally, &Range<u32>) -> Option<f64>) -> Points {
        let windows = (0..).zip(&self.tallies);
        let points = windows.filter_map(|(index, tally)| {
            let from: u32 = index * self.length_s;
            let middle = f64::from(from) + f64::from(self.length_s) / 2.0;
            Some((middle, value(tally, &(from..from + self.length_s))?))
        });
        points.collect()
    }
}

/// Returns a value of the resource samples over time, downsampled for a chart.
#[must_use]
pub fn sample_series(outcome: &Outcome, value: impl Fn(&ResourceSample) -> Option<f64>) -> Points {
    let samples = outcome.samples.iter();
    downsample(
        samples.filter_map(|sample| Some((f64::from(sample.second), value(sample)?))).collect(),
        summary::chart_seconds(outcome),
    )
}

/// Returns the CPU usage of the service over time, in percent of one CPU, downsampled for a chart.
#[must_use]
pub fn service_cpu_percent(outcome: &Outcome) -> Points {
    let points = summary::service_cpu_percent(outcome).into_iter();
    let points = points.map(|(second, percent)| (f64::from(second), percent)).collect();
    downsample(points, summary::chart_seconds(outcome))
}

/// Keeps the maximum of each group of adjacent points, so that peaks stay visible.
fn downsample(points: Points, seconds: u32) -> Points {
    let group_size = (points.len()).div_ceil(MAX_WINDOWS as usize).max(1);
    let shown = points.into_iter().filter(|(second, _)| *second <= f64::from(seconds));
    let shown: Points = shown.collect();
    let highest = shown
        .chunks(group_size)
        .filter_map(|group| group.iter().copied().max_by(|left, right| left.1.total_cmp(&right.1)));
    highest.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_short_run_has_one_window_per_second() {
        let outcome = example::outcome();
        let windows = Windows::new(&outcome);
        assert_eq!((windows.length_s, windows.tallies.len()), (1, 35));
        let sent: u64 = windows.tallies.iter().map(|tally| tally.counts.sent).sum();
        assert_eq!(sent, outcome.tally_all().counts.sent);
    }

    #[test]
    fn a_long_run_has_the_maximum_number_of_windows() {
        let mut outcome = example::outcome();
        outcome.load.stages[1].to_s = 86_400;
        outcome.duration_s = 86_400.5;
        let windows = Windows::new(&outcome);
        assert_eq!(windows.tallies.len(), 120);
        assert!(
            (windows.rate()[0].0 - 360.0).abs() < 1e-9,
            "the middle of a window of 720 seconds"
        );
    }

    #[test]
    fn downsampling_keeps_the_peaks() {
        let points: Points = (0..1200).map(|at| (f64::from(at), f64::from(at % 7))).collect();
        let reduced = downsample(points, 1200);
        assert_eq!(reduced.len(), 120);
        assert!(reduced.iter().all(|(_, value)| *value == 6.0));
    }
}
