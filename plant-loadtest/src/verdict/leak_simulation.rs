//! Simulated memory use: measures how often [`super::leak`] gives each grade.

use std::fmt::Write as _;

use super::{Grade, leak::Leak};
use crate::{
    sla::MemoryGrowthLimit,
    statistics::{as_f64, sample_normal},
};

/// Samples per series: one per minute for a day.
const SAMPLES: u32 = 1440;

/// First-order autoregressive noise of the memory use.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// Standard deviation, in percent of the level.
    pub percent: f64,
    /// Correlation time in hours, after which the autocorrelation is 1/e; 0 for independent values.
    pub correlation_h: f64,
}

/// Simulates one day of memory use, starting at 100 MB and growing by `growth_percent` per day.
/// Returns pairs of seconds and bytes; equal values of `seed` give equal series.
#[must_use]
pub fn simulate_memory(noise: Noise, growth_percent: f64, seed: u64) -> Vec<(f64, f64)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let correlation =
        if noise.correlation_h > 0.0 { (-1.0 / (noise.correlation_h * 60.0)).exp() } else { 0.0 };
    let innovation = (1.0 - correlation * correlation).sqrt();
    let mut deviation = sample_normal(&mut random);
    (0..SAMPLES)
        .map(|minute| {
            deviation = correlation * deviation + innovation * sample_normal(&mut random);
            let growth = growth_percent * f64::from(minute) / f64::from(SAMPLES);
            (f64::from(minute) * 60.0, 1e6 * (100.0 + growth + noise.percent * deviation))
        })
        .collect()
}

/// Returns a Markdown table of how often each grade occurs, with and without a leak. Each row
/// simulates `series` series.
#[must_use]
pub fn table(series: u64) -> String {
    let limit = MemoryGrowthLimit { below_percent: 20.0, over_s: 86_400.0 };
    let mut text = format!(
        "Memory over 24 h, one sample per minute, limit +20 % in 24 h, {series} series per row.\n\n\
         | noise | correlation time | growth in 24 h | PASS | WARNING | FAIL | INCONCLUSIVE | detected |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    for percent in [1.0, 3.0] {
        for correlation_h in [0.0, 0.5, 2.0, 4.0, 8.0] {
            for growth in [0.0, 10.0, 20.0, 30.0, 40.0] {
                let noise = Noise { percent, correlation_h };
                let grades: Vec<Grade> = (0..series)
                    .map(|seed| Leak::detect(&simulate_memory(noise, growth, seed), limit).grade)
                    .collect();
                let percent_with = |grade| {
                    let found = grades.iter().filter(|found| **found == grade).count();
                    as_f64(found) * 100.0 / as_f64(grades.len())
                };
                let (warning, fail) = (percent_with(Grade::Warning), percent_with(Grade::Fail));
                let _ = writeln!(
                    text,
                    "| {percent} % | {correlation_h} h | {growth:+} % | {:.1} % | {warning:.1} % | {fail:.1} % | {:.1} % | {:.1} % |",
                    percent_with(Grade::Pass),
                    percent_with(Grade::Insufficient),
                    warning + fail
                );
            }
        }
    }
    text
}
