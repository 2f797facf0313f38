//! Intended start times of the arrivals of an open load, computed from its stages.

use std::time::Duration;

use crate::load::{Share, Spacing, Stage};

/// Iterator over the intended start times of all arrivals of a run, in order, relative to its
/// start.
///
/// Within a stage the rate is linear in time. Its integral Λ(t) is the expected number of arrivals
/// up to t. The n-th steady arrival starts where Λ reaches n. Poisson arrivals start where Λ has
/// grown by exponentially distributed steps (time rescaling: Daley and Vere-Jones, An Introduction
/// to the Theory of Point Processes, section 7.4). The arrivals of a burst all start with their
/// stage.
///
/// The rates of a share are a part of those of the whole load, so its Λ grows by 1 where that of all grows by
/// the number of shares. The first steady arrival of each share is another one of all, and so are the next.
#[derive(Debug)]
pub struct ArrivalTimes<'a> {
    stages: std::slice::Iter<'a, Stage>,
    spacing: Spacing,
    rng: fastrand::Rng,
    stage: Option<CurrentStage>,
    /// Λ at the next arrival, counted from the start of the current stage.
    next_arrival: f64,
}

#[derive(Clone, Copy, Debug)]
struct CurrentStage {
    from_s: f64,
    length_s: f64,
    from_rate: f64,
    to_rate: f64,
    burst: u32,
}

impl<'a> ArrivalTimes<'a> {
    /// Returns the arrival times of the `stages` of a share. `rng` provides the random numbers for Poisson
    /// arrivals.
    #[must_use]
    pub fn new(stages: &'a [Stage], spacing: Spacing, share: Share, rng: fastrand::Rng) -> Self {
        let next_arrival = f64::from(share.index()) / f64::from(share.count());
        let mut times = Self { stages: stages.iter(), spacing, rng, stage: None, next_arrival };
        if spacing == Spacing::Poisson {
            times.next_arrival = times.sample_step();
        }
        times
    }

    /// Returns the growth of Λ from one arrival to the next.
    fn sample_step(&mut self) -> f64 {
        match self.spacing {
            Spacing::Steady => 1.0,
            // 1 - f64() lies in (0, 1], where the logarithm is finite.
            Spacing::Poisson => -(1.0 - self.rng.f64()).ln(),
        }
    }
}

impl Iterator for ArrivalTimes<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        loop {
            let Some(stage) = &mut self.stage else {
                self.stage = Some(CurrentStage::new(self.stages.next()?));
                continue;
            };
            if stage.burst > 0 {
                stage.burst -= 1;
                return Some(Duration::from_secs_f64(stage.from_s));
            }
            // An arrival within the rounding error of the end belongs to the next stage.
            if self.next_arrival < stage.arrivals() - 1e-6 {
                let start_s = stage.from_s + stage.seconds_until(self.next_arrival);
                self.next_arrival += self.sample_step();
                return Some(Duration::from_secs_f64(start_s));
            }
            self.next_arrival = (self.next_arrival - stage.arrivals()).max(0.0);
            self.stage = None;
        }
    }
}

impl CurrentStage {
    fn new(stage: &Stage) -> Self {
        Self {
            from_s: f64::from(stage.from_s),
            length_s: f64::from(stage.to_s - stage.from_s),
            from_rate: stage.from_rate,
            to_rate: stage.to_rate,
            burst: stage.burst,
        }
    }

    /// Returns the growth of Λ over the whole stage.
    fn arrivals(&self) -> f64 {
        f64::midpoint(self.from_rate, self.to_rate) * self.length_s
    }

    /// Returns the x at which `from_rate · x + slope / 2 · x²` reaches `arrivals`, with the form of
    /// the quadratic formula that is also valid for a slope of zero.
    fn seconds_until(&self, arrivals: f64) -> f64 {
        let slope = (self.to_rate - self.from_rate) / self.length_s;
        let root = (self.from_rate * self.from_rate + 2.0 * slope * arrivals).max(0.0).sqrt();
        let sum = self.from_rate + root;
        if sum == 0.0 { 0.0 } else { (2.0 * arrivals / sum).min(self.length_s) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(from_s: u32, to_s: u32, from_rate: f64, to_rate: f64) -> Stage {
        Stage { from_s, to_s, from_rate, to_rate, ..Stage::default() }
    }

    fn times(stages: &[Stage], spacing: Spacing) -> Vec<f64> {
        let times =
            ArrivalTimes::new(stages, spacing, Share::default(), fastrand::Rng::with_seed(7));
        times.map(|time| time.as_secs_f64()).collect()
    }

    #[test]
    fn steady_arrivals_have_equal_intervals() {
        let times = times(&[stage(0, 2, 4.0, 4.0)], Spacing::Steady);
        assert_eq!(times, [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]);
    }

    #[test]
    fn every_stage_has_the_arrivals_of_its_rate() {
        let stages = [stage(0, 10, 100.0, 100.0), stage(10, 20, 80.0, 80.0)];
        let times = times(&stages, Spacing::Steady);
        assert_eq!(times.len(), 1800);
        assert_eq!(times.iter().filter(|time| **time < 10.0).count(), 1000);
        assert!(times.is_sorted());
    }

    #[test]
    fn a_ramp_from_zero_grows_linearly() {
        let times = times(&[stage(0, 10, 0.0, 20.0)], Spacing::Steady);
        // Λ(t) = t², so the n-th arrival starts at √n.
        assert_eq!(times.len(), 100);
        for (time, n) in times.iter().zip(0_u8..) {
            assert!((time - f64::from(n).sqrt()).abs() < 1e-9, "{n}: {time}");
        }
    }

    #[test]
    fn poisson_arrivals_have_the_expected_rate_and_exponential_intervals() {
        let times = times(&[stage(0, 400, 50.0, 50.0)], Spacing::Poisson);
        let n = times.len() as f64;
        // 20,000 expected, with a standard deviation of 141.
        assert!((n - 20_000.0).abs() < 700.0, "{n}");
        let intervals: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = intervals.iter().sum::<f64>() / intervals.len() as f64;
        let variance = intervals.iter().map(|interval| (interval - mean).powi(2)).sum::<f64>()
            / intervals.len() as f64;
        // An exponential distribution's standard deviation is its mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{}", variance.sqrt() / mean);
    }

    #[test]
    fn steady_arrivals_of_all_shares_are_those_of_the_whole_load() {
        let all = [stage(0, 3, 0.0, 10.0), stage(3, 5, 7.0, 7.0), stage(5, 9, 7.0, 3.0)];
        let mut of_shares = Vec::new();
        for share in (0..3).map(|index| Share::new(index, 3).unwrap()) {
            let stages = all.clone().map(|stage| Stage {
                from_rate: stage.from_rate / 3.0,
                to_rate: stage.to_rate / 3.0,
                ..stage
            });
            let rng = fastrand::Rng::with_seed(7);
            let times = ArrivalTimes::new(&stages, Spacing::Steady, share, rng);
            of_shares.extend(times.map(|time| time.as_secs_f64()));
        }
        of_shares.sort_by(f64::total_cmp);
        let whole = times(&all, Spacing::Steady);
        assert_eq!(of_shares.len(), whole.len());
        for (one, two) in of_shares.iter().zip(&whole) {
            assert!((one - two).abs() < 1e-6, "{one} and {two}");
        }
    }

    #[test]
    fn arrivals_of_a_burst_all_start_with_the_stage() {
        let stage = Stage { burst: 1000, ..stage(0, 1, 0.0, 0.0) };
        let times = times(&[stage], Spacing::Steady);
        assert_eq!(times, vec![0.0; 1000]);
    }
}
