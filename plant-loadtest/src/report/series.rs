//! What a run looked like over time, in as many windows as a chart can show.

use std::ops::Range;

use super::summary;
use crate::outcome::{Endpoint, FailureKind, Outcome, ResourceSample, Tally};

/// More points than this no chart on a screen can tell apart.
const MOST_WINDOWS: u32 = 120;

/// Values over time: seconds from the start, and the value.
pub type Points = Vec<(f64, f64)>;

/// A run cut into windows of equal length.
#[derive(Debug)]
pub struct Windows {
    length: u32,
    tallies: Vec<Tally>,
}

impl Windows {
    /// Cuts `outcome`; the users' way out after the last stage is left out.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        Self::cut(outcome, &outcome.endpoints, MOST_WINDOWS)
    }

    /// Cuts what happened on one endpoint, more coarsely: it has fewer requests.
    #[must_use]
    pub fn of_endpoint(outcome: &Outcome, endpoint: &Endpoint) -> Self {
        Self::cut(outcome, std::slice::from_ref(endpoint), MOST_WINDOWS / 2)
    }

    fn cut(outcome: &Outcome, endpoints: &[Endpoint], most: u32) -> Self {
        let seconds = shown_seconds(outcome);
        // Runs of hours are recorded in cells of several seconds.
        let cell = outcome.load.cell_s.max(1);
        let length = seconds.div_ceil(most).max(1).next_multiple_of(cell);
        let mut tallies = vec![Tally::default(); seconds.div_ceil(length) as usize];
        for second in endpoints.iter().flat_map(|endpoint| &endpoint.seconds) {
            if let Some(tally) = tallies.get_mut((second.second / length) as usize) {
                tally.counts.add(&second.counts);
                tally.latency.merge(&second.latency);
            }
        }
        Self { length, tallies }
    }

    /// Requests sent a second.
    #[must_use]
    pub fn rate(&self) -> Points {
        self.points(|tally, seconds| Some(summary::rate(tally, seconds)))
    }

    /// Requests a second that failed.
    #[must_use]
    pub fn errors(&self) -> Points {
        self.failures(&FailureKind::ALL)
    }

    /// Requests a second that failed in one of these ways.
    #[must_use]
    pub fn failures(&self, kinds: &[FailureKind]) -> Points {
        self.points(|tally, _| {
            let failures = kinds.iter().map(|kind| tally.counts.failures(*kind)).sum::<u64>();
            let failures = u32::try_from(failures).unwrap_or(u32::MAX);
            Some(f64::from(failures) / f64::from(self.length))
        })
    }

    /// A percentile of latency, in milliseconds; windows without requests are left out.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Points {
        self.points(|tally, _| tally.latency.quantile_ms(quantile))
    }

    /// Like [`Self::quantile`], without windows that have fewer than `least` requests.
    #[must_use]
    pub fn quantile_of(&self, least: u64, quantile: f64) -> Points {
        self.points(|tally, _| {
            tally.latency.quantile_ms(quantile).filter(|_| tally.latency.len() >= least)
        })
    }

    fn points(&self, value: impl Fn(&Tally, &Range<u32>) -> Option<f64>) -> Points {
        let windows = (0..).zip(&self.tallies);
        let points = windows.filter_map(|(index, tally)| {
            let from: u32 = index * self.length;
            let middle = f64::from(from) + f64::from(self.length) / 2.0;
            Some((middle, value(tally, &(from..from + self.length))?))
        });
        points.collect()
    }
}

/// A figure of the once-a-second samples, thinned out to what a chart can show.
#[must_use]
pub fn sampled(outcome: &Outcome, pick: impl Fn(&ResourceSample) -> Option<f64>) -> Points {
    let points = outcome.samples.iter();
    thinned(
        points.filter_map(|sample| Some((f64::from(sample.second), pick(sample)?))).collect(),
        shown_seconds(outcome),
    )
}

/// The service's processor use in percent of one processor.
#[must_use]
pub fn service_cpu(outcome: &Outcome) -> Points {
    let points = summary::cpu_percent(outcome).into_iter();
    let points = points.map(|(second, percent)| (f64::from(second), percent)).collect();
    thinned(points, shown_seconds(outcome))
}

/// How many seconds charts span: as planned, or less when the run was cut short.
#[must_use]
pub fn shown_seconds(outcome: &Outcome) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative, and a float's cast to an integer saturates"
    )]
    let lasted = outcome.duration_s.ceil() as u32;
    outcome.planned_seconds().min(lasted).max(1)
}

/// The highest of each run of neighbours, so that peaks stay.
fn thinned(points: Points, seconds: u32) -> Points {
    let together = (points.len()).div_ceil(MOST_WINDOWS as usize).max(1);
    let shown = points.into_iter().filter(|(second, _)| *second <= f64::from(seconds));
    let shown: Points = shown.collect();
    let highest = shown.chunks(together).filter_map(|neighbours| {
        neighbours.iter().copied().max_by(|left, right| left.1.total_cmp(&right.1))
    });
    highest.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_short_run_has_a_window_for_every_second() {
        let outcome = example::outcome();
        let windows = Windows::of(&outcome);
        assert_eq!((windows.length, windows.tallies.len()), (1, 35));
        let sent: u64 = windows.tallies.iter().map(|tally| tally.counts.sent).sum();
        assert_eq!(sent, outcome.whole().counts.sent);
    }

    #[test]
    fn a_long_run_is_cut_into_as_many_windows_as_can_be_told_apart() {
        let mut outcome = example::outcome();
        outcome.load.stages[1].to_s = 86_400;
        outcome.duration_s = 86_400.5;
        let windows = Windows::of(&outcome);
        assert_eq!(windows.tallies.len(), 120);
        assert!((windows.rate()[0].0 - 360.0).abs() < 1e-9, "the middle of 720 seconds");
    }

    #[test]
    fn thinning_keeps_the_peaks() {
        let points: Points = (0..1200).map(|at| (f64::from(at), f64::from(at % 7))).collect();
        let thin = thinned(points, 1200);
        assert_eq!(thin.len(), 120);
        assert!(thin.iter().all(|(_, value)| *value == 6.0));
    }
}
