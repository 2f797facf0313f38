//! Time series of a run, with as many points as a chart can show.

use std::ops::Range;

use super::summary;
use crate::{
    failure::FailureKind,
    outcome::{EndpointResults, Outcome, ResourceSample, Tally},
};

/// Maximum points per line; a chart on a screen cannot resolve more.
const MAX_WINDOWS: u32 = 120;

/// Bounds of the number of windows of one endpoint: it has fewer requests, and its charts are smaller.
const ENDPOINT_WINDOWS: Range<u32> = 12..60;

/// Requests per window that the windows of an endpoint aim at.
const REQUESTS_PER_WINDOW: u64 = 20;

/// Requests for a percentile that is part of a line. That of fewer is too noisy, and shown as a point.
const MIN_SAMPLES_FOR_LINE: u64 = 5;

/// Seconds without a sample that are no gap: a sample may be a second late.
const LATE_SAMPLES: usize = 1;

/// Values over time, in windows of equal length since the start of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Length of a window in seconds.
    pub window_s: u32,
    /// One value per window; `None` where nothing was measured.
    pub points: Vec<Option<Point>>,
    /// Number of windows without a value that are no gap in the line.
    joined: usize,
}

/// The value of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The value.
    pub value: f64,
    /// Whether it is a value of too few requests to be part of a line.
    pub few: bool,
}

/// A part of a line, as pairs of seconds since the start and values.
#[derive(Clone, Debug, PartialEq)]
pub enum Segment {
    /// Values of adjacent windows.
    Line(Vec<(f64, f64)>),
    /// A value on its own.
    Dot(f64, f64),
}

impl Series {
    /// Returns the values.
    pub fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().flatten().map(|point| point.value)
    }

    /// Returns whether nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.iter().all(Option::is_none)
    }

    /// Returns the highest value; zero if there is none.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.values().fold(0.0, f64::max)
    }

    /// Returns the series with each value multiplied by `factor`.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        for point in self.points.iter_mut().flatten() {
            point.value *= factor;
        }
        self
    }

    /// Returns the lines through adjacent values, interrupted where nothing was measured, and the values
    /// that are no part of a line.
    #[must_use]
    pub fn segments(&self) -> Vec<Segment> {
        let mut segments = Vec::new();
        let (mut line, mut missing) = (Vec::new(), 0);
        for (index, point) in (0_u32..).zip(&self.points) {
            let at = (f64::from(index) + 0.5) * f64::from(self.window_s);
            match point {
                None => missing += 1,
                Some(Point { value, few: true }) => {
                    segments.extend(segment(std::mem::take(&mut line)));
                    segments.push(Segment::Dot(at, *value));
                }
                Some(Point { value, few: false }) => {
                    if missing > self.joined {
                        segments.extend(segment(std::mem::take(&mut line)));
                    }
                    line.push((at, *value));
                    missing = 0;
                }
            }
        }
        segments.extend(segment(line));
        segments
    }
}

fn segment(line: Vec<(f64, f64)>) -> Option<Segment> {
    match line[..] {
        [] => None,
        [(at, value)] => Some(Segment::Dot(at, value)),
        _ => Some(Segment::Line(line)),
    }
}

/// The requests of a run, in windows of equal length: one or several cells.
#[derive(Debug)]
pub struct Windows {
    /// Length of a window in seconds; the last one may be shorter.
    pub length_s: u32,
    /// The requests of each window.
    pub tallies: Vec<Tally>,
    seconds: u32,
}

impl Windows {
    /// Returns the windows of all endpoints, without the time after the last stage in which running
    /// requests finish.
    #[must_use]
    pub fn new(outcome: &Outcome) -> Self {
        Self::split(outcome, &outcome.endpoints, MAX_WINDOWS)
    }

    /// Returns the windows of one endpoint; the fewer requests it has, the longer they are.
    #[must_use]
    pub fn for_endpoint(outcome: &Outcome, endpoint: &EndpointResults) -> Self {
        let requests = endpoint.counts_in(&(0..u32::MAX)).finished();
        let windows = u32::try_from(requests / REQUESTS_PER_WINDOW).unwrap_or(u32::MAX);
        let windows = windows.clamp(ENDPOINT_WINDOWS.start, ENDPOINT_WINDOWS.end);
        Self::split(outcome, std::slice::from_ref(endpoint), windows)
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
        Self { length_s, tallies, seconds }
    }

    /// Returns the requests sent per second.
    #[must_use]
    pub fn rate(&self) -> Series {
        self.series(|tally, seconds| Some(Point::of(summary::rate(tally, seconds))))
    }

    /// Returns the failed requests per second.
    #[must_use]
    pub fn errors(&self) -> Series {
        self.series(|tally, seconds| {
            let length = f64::from(seconds.end.saturating_sub(seconds.start).max(1));
            Some(Point::of(as_f64(tally.counts.errors()) / length))
        })
    }

    /// Returns the share of the requests that failed with one of `kinds`, in percent.
    #[must_use]
    pub fn failure_percent(&self, kinds: &[FailureKind]) -> Series {
        self.series(|tally, _| {
            let failures = kinds.iter().map(|kind| tally.counts.failures(*kind)).sum::<u64>();
            let finished = tally.counts.finished();
            (finished > 0).then(|| Point::of(as_f64(failures) * 100.0 / as_f64(finished)))
        })
    }

    /// Returns a percentile of latency, in milliseconds.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Series {
        self.series(|tally, _| {
            let few = tally.latency.len() < MIN_SAMPLES_FOR_LINE;
            Some(Point { value: tally.latency.quantile_ms(quantile)?, few })
        })
    }

    fn series(&self, point: impl Fn(&Tally, &Range<u32>) -> Option<Point>) -> Series {
        let points = (0..).zip(&self.tallies).map(|(index, tally)| {
            let from: u32 = index * self.length_s;
            point(tally, &(from..(from + self.length_s).min(self.seconds)))
        });
        Series { window_s: self.length_s, points: points.collect(), joined: 0 }
    }
}

impl Point {
    fn of(value: f64) -> Self {
        Self { value, few: false }
    }
}

/// Returns a value of the resource samples over time: the maximum of each window, so that peaks stay
/// visible.
#[must_use]
pub fn sample_series(outcome: &Outcome, value: impl Fn(&ResourceSample) -> Option<f64>) -> Series {
    let samples = outcome.samples.iter();
    maxima(outcome, samples.filter_map(|sample| Some((sample.second, value(sample)?))))
}

/// Returns the CPU usage of the service over time, in percent of one CPU.
#[must_use]
pub fn service_cpu_percent(outcome: &Outcome) -> Series {
    maxima(outcome, summary::service_cpu_percent(outcome).into_iter())
}

fn maxima(outcome: &Outcome, values: impl Iterator<Item = (u32, f64)>) -> Series {
    let seconds = summary::chart_seconds(outcome);
    let window_s = seconds.div_ceil(MAX_WINDOWS).max(1);
    let mut points: Vec<Option<Point>> = vec![None; seconds.div_ceil(window_s) as usize];
    for (second, value) in values {
        if let Some(point) = points.get_mut((second / window_s) as usize) {
            *point = Some(Point::of(point.map_or(value, |known| known.value.max(value))));
        }
    }
    Series { window_s, points, joined: LATE_SAMPLES }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{distribution::Distribution, report::example};

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
        assert_eq!((windows.tallies.len(), windows.length_s), (120, 720));
    }

    #[test]
    fn the_fewer_requests_an_endpoint_has_the_longer_are_its_windows() {
        let mut outcome = example::outcome();
        outcome.load.stages[1].to_s = 600;
        outcome.duration_s = 600.5;
        let length = |sent: u64| {
            let mut endpoint = outcome.endpoints[0].clone();
            endpoint.cells.truncate(1);
            endpoint.cells[0].counts.succeeded = sent;
            Windows::for_endpoint(&outcome, &endpoint).length_s
        };
        assert_eq!([0, 100, 600, 100_000].map(length), [50, 50, 20, 10]);
    }

    #[test]
    fn the_rate_of_a_shorter_last_window_is_not_lower() {
        let mut outcome = example::outcome();
        outcome.load.stages[1].to_s = 130;
        outcome.duration_s = 129.0;
        let cell = outcome.endpoints[0].cells[10].clone();
        outcome.endpoints.truncate(1);
        let cells = (0..129).map(|second| crate::outcome::EndpointCell { second, ..cell.clone() });
        outcome.endpoints[0].cells = cells.collect();
        let rate = Windows::new(&outcome).rate();
        assert_eq!((rate.window_s, rate.points.len()), (2, 65));
        assert_eq!(rate.points[64], rate.points[0], "one second instead of two");
    }

    #[test]
    fn a_percentile_of_few_requests_is_no_part_of_a_line() {
        let mut outcome = example::outcome();
        outcome.endpoints.truncate(1);
        let is_few = |requests: u64| {
            let mut outcome = outcome.clone();
            let cell = &mut outcome.endpoints[0].cells[10];
            cell.latency = Distribution::default();
            cell.latency.record_times(Duration::from_millis(5), requests);
            let second = cell.second as usize;
            Windows::new(&outcome).quantile(0.95).points[second].unwrap().few
        };
        assert_eq!([4, 5].map(is_few), [true, false]);
    }

    #[test]
    fn downsampling_keeps_the_peaks() {
        let mut outcome = example::outcome();
        outcome.load.stages[1].to_s = 1200;
        outcome.duration_s = 1200.0;
        let series = maxima(&outcome, (0..1200).map(|at| (at, f64::from(at % 7))));
        assert_eq!(series.points.len(), 120);
        assert!(series.values().all(|value| value == 6.0));
    }

    #[test]
    fn a_line_is_interrupted_where_nothing_was_measured() {
        let value = |value| Some(Point::of(value));
        let few = Some(Point { value: 9.0, few: true });
        let points =
            vec![value(1.0), value(2.0), None, None, value(3.0), few, value(4.0), value(5.0)];
        let series = Series { window_s: 2, points, joined: 0 };
        let line = |points: &[(f64, f64)]| Segment::Line(points.to_vec());
        assert_eq!(
            series.segments(),
            [
                line(&[(1.0, 1.0), (3.0, 2.0)]),
                Segment::Dot(9.0, 3.0),
                Segment::Dot(11.0, 9.0),
                line(&[(13.0, 4.0), (15.0, 5.0)])
            ]
        );
    }

    #[test]
    fn one_late_sample_is_no_gap_and_two_missing_ones_are() {
        let outcome = example::outcome();
        let lines = |missing: Range<u32>| {
            let seconds = (0..35).filter(|second| !missing.contains(second));
            maxima(&outcome, seconds.map(|second| (second, 1.0))).segments().len()
        };
        assert_eq!([0..0, 9..10, 9..11].map(lines), [1, 1, 2]);
    }
}
