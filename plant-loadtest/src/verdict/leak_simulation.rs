//! Memory of services that never were, to see how often [`super::leak`] is right.

use std::fmt::Write as _;

use super::{
    Grade,
    leak::{Leak, Limit},
};
use crate::statistics::{count, normal};

/// One look a minute for a day.
const LOOKS: u32 = 1440;

/// How memory wanders without a leak.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// Its deviation, in percent of the level.
    pub percent: f64,
    /// After how many hours it has forgotten all but 37 % of where it was.
    pub memory_h: f64,
}

/// A day's memory of a service at 100 MB that grows by `growth_percent` in that day, as pairs of
/// seconds and bytes; `seed` makes it one of many.
#[must_use]
pub fn memory(noise: Noise, growth_percent: f64, seed: u64) -> Vec<(f64, f64)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let kept = if noise.memory_h > 0.0 { (-1.0 / (noise.memory_h * 60.0)).exp() } else { 0.0 };
    let fresh = (1.0 - kept * kept).sqrt();
    let mut off = normal(&mut random);
    (0..LOOKS)
        .map(|minute| {
            off = kept * off + fresh * normal(&mut random);
            let grown = growth_percent * f64::from(minute) / f64::from(LOOKS);
            (f64::from(minute) * 60.0, 1e6 * (100.0 + grown + noise.percent * off))
        })
        .collect()
}

/// How often the rule says what, for services with and without a leak, in Markdown.
#[must_use]
pub fn table(series: u64) -> String {
    let limit = Limit { percent: 20.0, over_s: 86_400.0 };
    let mut text = format!(
        "Memory over 24 h, one look a minute, limit +20 % in 24 h, {series} series a line.\n\n\
         | noise | remembers for | growth in 24 h | PASS | WARNING | FAIL | INCONCLUSIVE | noticed |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    for percent in [1.0, 3.0] {
        for memory_h in [0.0, 0.5, 2.0, 4.0, 8.0] {
            for growth in [0.0, 10.0, 20.0, 30.0, 40.0] {
                let noise = Noise { percent, memory_h };
                let grades: Vec<Grade> = (0..series)
                    .map(|seed| Leak::of(&memory(noise, growth, seed), limit).grade)
                    .collect();
                let share = |grade| {
                    let found = grades.iter().filter(|found| **found == grade).count();
                    count(found) * 100.0 / count(grades.len())
                };
                let (warning, fail) = (share(Grade::Warning), share(Grade::Fail));
                let _ = writeln!(
                    text,
                    "| {percent} % | {memory_h} h | {growth:+} % | {:.1} % | {warning:.1} % | {fail:.1} % | {:.1} % | {:.1} % |",
                    share(Grade::Pass),
                    share(Grade::Insufficient),
                    warning + fail
                );
            }
        }
    }
    text
}
