//! When arrivals are meant to start. Pure: stages in, moments out.

use std::time::Duration;

use crate::{outcome::Spacing, profile::Stage};

/// The moments of all arrivals of a run, in order, counted from its start.
///
/// The rate over time is a line in each stage. Its integral Λ(t) counts arrivals, so the n-th steady
/// one is due where Λ reaches n, and Poisson arrivals are due where it grows by exponentially
/// distributed steps (time rescaling: Daley and Vere-Jones, An Introduction to the Theory of Point
/// Processes, section 7.4).
#[derive(Debug)]
pub struct Pace<'a> {
    stages: std::slice::Iter<'a, Stage>,
    spacing: Spacing,
    random: fastrand::Rng,
    stage: Option<Current>,
    /// How much Λ must grow within the current stage until the next arrival.
    mass: f64,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    from_s: f64,
    length_s: f64,
    from_rate: f64,
    to_rate: f64,
    at_once: u32,
}

impl<'a> Pace<'a> {
    /// The arrivals of `stages`.
    #[must_use]
    pub fn new(stages: &'a [Stage], spacing: Spacing, random: fastrand::Rng) -> Self {
        let mut pace = Self { stages: stages.iter(), spacing, random, stage: None, mass: 0.0 };
        if spacing == Spacing::Poisson {
            pace.mass = pace.step();
        }
        pace
    }

    fn step(&mut self) -> f64 {
        match self.spacing {
            Spacing::Steady => 1.0,
            // 1 - f64() lies in (0, 1], where the logarithm is finite.
            Spacing::Poisson => -(1.0 - self.random.f64()).ln(),
        }
    }
}

impl Iterator for Pace<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        loop {
            let Some(stage) = &mut self.stage else {
                self.stage = Some(Current::of(self.stages.next()?));
                continue;
            };
            if stage.at_once > 0 {
                stage.at_once -= 1;
                return Some(Duration::from_secs_f64(stage.from_s));
            }
            // What rounding leaves of the last arrival's place belongs to the next stage.
            if self.mass < stage.arrivals() - 1e-6 {
                let due = stage.from_s + stage.seconds_until(self.mass);
                self.mass += self.step();
                return Some(Duration::from_secs_f64(due));
            }
            self.mass = (self.mass - stage.arrivals()).max(0.0);
            self.stage = None;
        }
    }
}

impl Current {
    fn of(stage: &Stage) -> Self {
        Self {
            from_s: f64::from(stage.from_s),
            length_s: f64::from(stage.to_s - stage.from_s),
            from_rate: stage.from_rate,
            to_rate: stage.to_rate,
            at_once: stage.at_once,
        }
    }

    /// Λ over the whole stage.
    fn arrivals(&self) -> f64 {
        f64::midpoint(self.from_rate, self.to_rate) * self.length_s
    }

    /// The x at which `from_rate · x + slope / 2 · x²` reaches `mass`, in the form of the quadratic
    /// formula that also holds for a slope of zero.
    fn seconds_until(&self, mass: f64) -> f64 {
        let slope = (self.to_rate - self.from_rate) / self.length_s;
        let root = (self.from_rate * self.from_rate + 2.0 * slope * mass).max(0.0).sqrt();
        let sum = self.from_rate + root;
        if sum == 0.0 { 0.0 } else { (2.0 * mass / sum).min(self.length_s) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(from_s: u32, to_s: u32, from_rate: f64, to_rate: f64) -> Stage {
        Stage { from_s, to_s, from_rate, to_rate, ..Stage::default() }
    }

    fn moments(stages: &[Stage], spacing: Spacing) -> Vec<f64> {
        let pace = Pace::new(stages, spacing, fastrand::Rng::with_seed(7));
        pace.map(|moment| moment.as_secs_f64()).collect()
    }

    #[test]
    fn steady_arrivals_come_at_even_distances() {
        let moments = moments(&[stage(0, 2, 4.0, 4.0)], Spacing::Steady);
        assert_eq!(moments, [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]);
    }

    #[test]
    fn every_stage_has_the_arrivals_of_its_rate() {
        let stages = [stage(0, 10, 100.0, 100.0), stage(10, 20, 80.0, 80.0)];
        let moments = moments(&stages, Spacing::Steady);
        assert_eq!(moments.len(), 1800);
        assert_eq!(moments.iter().filter(|moment| **moment < 10.0).count(), 1000);
        assert!(moments.is_sorted());
    }

    #[test]
    fn a_ramp_from_nothing_grows_evenly() {
        let moments = moments(&[stage(0, 10, 0.0, 20.0)], Spacing::Steady);
        // Λ(t) = t², so the n-th arrival is due at √n.
        assert_eq!(moments.len(), 100);
        for (moment, n) in moments.iter().zip(0_u8..) {
            assert!((moment - f64::from(n).sqrt()).abs() < 1e-9, "{n}: {moment}");
        }
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_chance() {
        let moments = moments(&[stage(0, 400, 50.0, 50.0)], Spacing::Poisson);
        let n = moments.len() as f64;
        // 20,000 expected, with a standard deviation of 141.
        assert!((n - 20_000.0).abs() < 700.0, "{n}");
        let gaps: Vec<f64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // An exponential distribution's standard deviation is its mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{}", variance.sqrt() / mean);
    }

    #[test]
    fn a_crowd_arrives_all_at_once() {
        let crowd = Stage { at_once: 1000, ..stage(0, 1, 0.0, 0.0) };
        let moments = moments(&[crowd], Spacing::Steady);
        assert_eq!(moments, vec![0.0; 1000]);
    }
}
