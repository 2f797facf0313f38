//! Whether memory grows without end.

use super::Grade;
use crate::{statistics::trend::Trend, timespan};

/// The first share of the judged time, in which caches and pools are still filling.
const WARM_UP: f64 = 0.1;

/// A shorter look cannot FAIL a promise about a day: what fills up in minutes also grows.
const LEAST_SPAN_S: f64 = 3600.0;

/// Growth that slows down to this share of its mean pace is no longer extrapolated.
const SLOWING: f64 = 0.5;

/// How much memory may grow over how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// In percent of what is used after the warm-up.
    pub percent: f64,
    /// Over how many seconds.
    pub over_s: f64,
}

/// What a run says of a leak. All figures in percent over the limit's time.
#[derive(Clone, Debug, PartialEq)]
pub struct Leak {
    /// PASS: no growth beyond the limit is possible. WARNING: memory grows, and may use up more
    /// than half of what is allowed. FAIL: it certainly grows beyond. INSUFFICIENT: inconclusive.
    pub grade: Grade,
    /// The growth seen, extrapolated; `None` when there was too little to see.
    pub growth: Option<Growth>,
    /// In words.
    pub sentence: String,
}

/// Growth in percent over the limit's time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// What is most likely.
    pub estimate: f64,
    /// It is hardly ever below this.
    pub lower: f64,
    /// It is hardly ever above this.
    pub upper: f64,
    /// The smallest growth that this run would almost surely have noticed.
    pub detectable: f64,
}

impl Leak {
    /// Judges `memory`, pairs of seconds and bytes in the order of time, by `limit`.
    ///
    /// The warm-up is dropped, a robust line laid through the rest ([`Trend`]) and extended to the
    /// limit's time. It is a FAIL only when even the lower bound of the growth lies beyond the
    /// limit, after at least an hour, and the growth is not about to end by itself.
    #[must_use]
    pub fn of(memory: &[(f64, f64)], limit: Limit) -> Self {
        let Some(trend) = after_warm_up(memory).and_then(Trend::fit) else {
            return Self {
                grade: Grade::Insufficient,
                growth: None,
                sentence: "too few looks at the memory to see any growth".into(),
            };
        };
        let percent = |slope: f64| slope * limit.over_s / trend.start * 100.0;
        let growth = Growth {
            estimate: percent(trend.slope),
            lower: percent(trend.lower()),
            upper: percent(trend.upper()),
            detectable: percent(trend.detectable()),
        };
        let (grade, sentence) = judge(&trend, growth, limit);
        Self { grade, growth: Some(growth), sentence }
    }
}

fn after_warm_up(memory: &[(f64, f64)]) -> Option<&[(f64, f64)]> {
    let (first, last) = (memory.first()?.0, memory.last()?.0);
    let warm = first + (last - first) * WARM_UP;
    memory.iter().position(|(second, _)| *second >= warm).map(|from| &memory[from..])
}

fn judge(trend: &Trend, growth: Growth, limit: Limit) -> (Grade, String) {
    let over = timespan::display(whole(limit.over_s));
    let saw = timespan::display(whole(trend.span_s));
    let proven = growth.lower > 0.0;
    let slowing = trend.late_slope < trend.slope * SLOWING;
    let short = trend.span_s < LEAST_SPAN_S.min(limit.over_s / 2.0);
    let grew = format!(
        "{} in {over} (between {} and {})",
        signed(growth.estimate),
        signed(growth.lower),
        signed(growth.upper)
    );
    if growth.upper < limit.percent && !(proven && growth.upper > limit.percent / 2.0) {
        let least = growth.detectable;
        let sentence = if proven {
            format!("grows by {grew}, which stays within the limit")
        } else {
            format!("no leak: {grew}; one of {least:.1} % would have been noticed in {saw}")
        };
        return (Grade::Pass, sentence);
    }
    if !proven {
        return (
            Grade::Insufficient,
            format!(
                "{grew}; in {saw} nothing below {:.0} % in {over} can be noticed",
                growth.detectable
            ),
        );
    }
    if short {
        return (
            Grade::Insufficient,
            format!(
                "{saw} are too short to tell a leak from caches that fill; memory grew \
                 at a pace of {grew}"
            ),
        );
    }
    if slowing {
        return (Grade::Warning, format!("grew by {grew}, more slowly towards the end"));
    }
    if growth.lower > limit.percent {
        return (Grade::Fail, format!("leaks: {grew}"));
    }
    (Grade::Warning, format!("grows by {grew}"))
}

fn signed(percent: f64) -> String {
    let digits = usize::from(percent.abs() < 99.95);
    format!("{percent:+.digits$} %")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float's cast to an integer saturates"
)]
fn whole(seconds: f64) -> u64 {
    seconds.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::leak_simulation::{Noise, memory};

    const DAY: Limit = Limit { percent: 20.0, over_s: 86_400.0 };

    fn grades(noise: Noise, growth_percent: f64, series: u64) -> Vec<Grade> {
        let leaks = (0..series).map(|seed| Leak::of(&memory(noise, growth_percent, seed), DAY));
        leaks.map(|leak| leak.grade).collect()
    }

    fn share(grades: &[Grade], wanted: &[Grade]) -> f64 {
        let found = grades.iter().filter(|grade| wanted.contains(grade)).count();
        crate::statistics::count(found) / crate::statistics::count(grades.len())
    }

    #[test]
    fn wandering_memory_without_a_leak_rarely_raises_an_alarm() {
        for hours in [0.0, 0.5, 2.0, 4.0] {
            let noise = Noise { percent: 3.0, memory_h: hours };
            let alarms = share(&grades(noise, 0.0, 200), &[Grade::Warning, Grade::Fail]);
            assert!(alarms <= 0.05, "{hours} h: {alarms}");
        }
    }

    #[test]
    fn a_leak_of_a_fifth_in_a_day_is_always_noticed() {
        for hours in [0.0, 0.5, 2.0, 4.0] {
            let noise = Noise { percent: 1.0, memory_h: hours };
            let noticed = share(&grades(noise, 20.0, 200), &[Grade::Warning, Grade::Fail]);
            assert!(noticed >= 1.0, "{hours} h: {noticed}");
        }
    }

    #[test]
    fn only_growth_that_is_certainly_beyond_the_limit_fails() {
        let noise = Noise { percent: 1.0, memory_h: 1.0 };
        let at_the_limit = share(&grades(noise, 20.0, 200), &[Grade::Fail]);
        assert!(at_the_limit <= 0.05, "{at_the_limit}");
        let twice = share(&grades(noise, 40.0, 200), &[Grade::Fail]);
        assert!(twice >= 0.95, "{twice}");
    }

    #[test]
    fn memory_that_fills_up_and_stays_is_no_failure() {
        let filling = |at: u32| 100.0 + 60.0 * (1.0 - (-f64::from(at) / 300.0).exp());
        let memory: Vec<(f64, f64)> =
            (0..1440).map(|at| (f64::from(at) * 60.0, filling(at))).collect();
        assert_ne!(Leak::of(&memory, DAY).grade, Grade::Fail);
    }

    #[test]
    fn a_short_run_names_what_it_could_have_noticed() {
        let mut random = fastrand::Rng::with_seed(3);
        let memory: Vec<(f64, f64)> =
            (0..300).map(|at| (f64::from(at), 100.0 + random.f64())).collect();
        let leak = Leak::of(&memory, DAY);
        assert_eq!(leak.grade, Grade::Insufficient);
        assert!(leak.sentence.contains("nothing below"), "{}", leak.sentence);
    }

    #[test]
    fn quick_growth_in_a_short_run_is_no_leak_yet() {
        let memory: Vec<(f64, f64)> =
            (0..600).map(|at| (f64::from(at), 100.0 + f64::from(at) / 10.0)).collect();
        assert_eq!(Leak::of(&memory, DAY).grade, Grade::Insufficient);
        assert_eq!(Leak::of(&memory[..20], DAY).growth, None);
    }
}
