//! Memory leak: memory that grows beyond a limit.

use super::Grade;
use crate::{
    duration,
    sla::MemoryGrowthLimit,
    statistics::{median, trend::Trend},
};

/// Fraction of the time span that is dropped at its start, while caches and pools fill.
const WARM_UP_FRACTION: f64 = 0.1;

/// Shortest time in seconds for a WARNING or a FAIL, unless the limit's period is less than twice as
/// long: in less, filling caches look like a leak.
const MIN_SPAN_S: f64 = 3600.0;

/// Shortest time in seconds for a WARNING about growth that already exceeds the limit of the whole
/// period.
const MIN_SPAN_FOR_TOTAL_S: f64 = 600.0;

/// Growth whose slope in the second half is below this fraction of the whole slope slows down.
const SLOWING_FRACTION: f64 = 0.5;

/// Result of the leak detection.
#[derive(Clone, Debug, PartialEq)]
pub struct Leak {
    /// The first of these that applies. The bounds are the confidence bounds of the growth; growth
    /// is certain if the lower bound is above zero.
    ///
    /// 1. INSUFFICIENT: there are too few samples.
    /// 2. PASS: the upper bound is below the limit, and at most half of it if growth is certain; and
    ///    memory has not grown in a step either (rule 3).
    /// 3. WARNING, or INSUFFICIENT if the samples span less than ten minutes: memory has grown within the
    ///    run by more than the limit allows in the whole period (by the lower bound, or from the first
    ///    twelfth of the samples to the last, as in a step), and rules 5 to 7 cannot judge it.
    /// 4. INSUFFICIENT: growth is not certain; or the samples span less than one hour, or less than
    ///    half of the limit's period if that is shorter.
    /// 5. WARNING: the growth slows down. Its slope in the second half is less than half of the
    ///    whole slope.
    /// 6. FAIL: the lower bound is above the limit.
    /// 7. WARNING: in all other cases.
    pub grade: Grade,
    /// Growth extrapolated to the limit's period; `None` when there are too few samples.
    pub growth: Option<Growth>,
    /// Whether the memory has certainly grown within the run by more than the limit allows in the
    /// whole period.
    pub exceeds_total: bool,
    /// Summary for reports.
    pub summary: String,
}

/// Growth in percent over the limit's period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Best estimate.
    pub estimate: f64,
    /// Lower confidence bound ([`Trend::lower_bound`]).
    pub lower: f64,
    /// Upper confidence bound ([`Trend::upper_bound`]).
    pub upper: f64,
    /// Smallest growth that this run would almost certainly have detected
    /// ([`Trend::detectable_slope`]).
    pub detectable: f64,
}

impl Leak {
    /// Returns the shortest judged time, in seconds, in which memory can be judged by `limit`: an hour after
    /// the warm-up, or half of the limit's period if that is shorter.
    #[must_use]
    pub fn min_judged_s(limit: MemoryGrowthLimit) -> f64 {
        (MIN_SPAN_S / (1.0 - WARM_UP_FRACTION)).min(limit.over_s / 2.0)
    }

    /// Judges `memory`, pairs of seconds and bytes in the order of time, by `limit`.
    ///
    /// Drops the first tenth of the time, in which the service warms up; fits a robust line to the
    /// rest ([`Trend`]), and extrapolates it to the limit's period.
    #[must_use]
    pub fn detect(memory: &[(f64, f64)], limit: MemoryGrowthLimit) -> Self {
        let Some(trend) = after_warm_up(memory).and_then(Trend::fit) else {
            return Self {
                grade: Grade::Insufficient,
                growth: None,
                exceeds_total: false,
                summary: "too few memory samples to detect growth".into(),
            };
        };
        let percent = |slope: f64| slope * limit.over_s / trend.start * 100.0;
        let growth = Growth {
            estimate: percent(trend.slope),
            lower: percent(trend.lower_bound()),
            upper: percent(trend.upper_bound()),
            detectable: percent(trend.detectable_slope()),
        };
        let so_far = trend.lower_bound() * trend.span_s / trend.start * 100.0;
        let step = after_warm_up(memory).and_then(total_growth).unwrap_or_default();
        let exceeds_total = so_far.max(step) > limit.below_percent;
        let (grade, summary) = judge(&trend, growth, exceeds_total, limit);
        Self { grade, growth: Some(growth), exceeds_total, summary }
    }
}

fn after_warm_up(memory: &[(f64, f64)]) -> Option<&[(f64, f64)]> {
    let (first, last) = (memory.first()?.0, memory.last()?.0);
    let warm = first + (last - first) * WARM_UP_FRACTION;
    memory.iter().position(|(second, _)| *second >= warm).map(|from| &memory[from..])
}

/// Returns the growth from the first twelfth of the samples to the last, by their medians, in percent.
/// It also shows a step, through which no line can be fitted.
fn total_growth(memory: &[(f64, f64)]) -> Option<f64> {
    let twelfth = (memory.len() / 12).max(1);
    let level = |samples: &[(f64, f64)]| {
        median(&samples.iter().map(|(_, bytes)| *bytes).collect::<Vec<f64>>())
    };
    let (first, last) = (level(memory.get(..twelfth)?)?, level(&memory[memory.len() - twelfth..])?);
    Some((last / first - 1.0) * 100.0)
}

fn judge(
    trend: &Trend,
    growth: Growth,
    exceeds_total: bool,
    limit: MemoryGrowthLimit,
) -> (Grade, String) {
    let period = duration::format(rounded(limit.over_s));
    let span = duration::format(rounded(trend.span_s));
    let grows = growth.lower > 0.0;
    let slowing = trend.second_half_slope < trend.slope * SLOWING_FRACTION;
    let too_short = trend.span_s < MIN_SPAN_S.min(limit.over_s / 2.0);
    let rate = format!(
        "{} in {period} (between {} and {})",
        signed(growth.estimate),
        signed(growth.lower),
        signed(growth.upper)
    );
    if growth.upper < limit.below_percent
        && !exceeds_total
        && !(grows && growth.upper > limit.below_percent / 2.0)
    {
        let detectable = growth.detectable;
        let summary = if grows {
            format!("grows by {rate}, within the limit")
        } else {
            format!(
                "no leak: {rate}; growth of {detectable:.1} % would have been detected in {span}"
            )
        };
        return (Grade::Pass, summary);
    }
    if exceeds_total && (too_short || !grows) {
        let grade = match trend.span_s >= MIN_SPAN_FOR_TOTAL_S {
            true => Grade::Warning,
            false => Grade::Insufficient,
        };
        return (grade, format!("grew in {span} by more than is allowed in {period}"));
    }
    if !grows {
        return (
            Grade::Insufficient,
            format!(
                "{rate}; growth below {:.0} % in {period} cannot be detected in {span}",
                growth.detectable
            ),
        );
    }
    if too_short {
        return (
            Grade::Insufficient,
            format!(
                "{span} are too short to distinguish a leak from filling caches; memory grew at a \
                 rate of {rate}"
            ),
        );
    }
    if slowing {
        return (Grade::Warning, format!("growth of {rate}, slowing down towards the end"));
    }
    if growth.lower > limit.below_percent {
        return (Grade::Fail, format!("leak: {rate}"));
    }
    (Grade::Warning, format!("grows by {rate}"))
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
fn rounded(seconds: f64) -> u64 {
    seconds.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        statistics::as_f64,
        verdict::leak_simulation::{Noise, simulate_memory},
    };

    const DAY: MemoryGrowthLimit = MemoryGrowthLimit { below_percent: 20.0, over_s: 86_400.0 };

    fn grades(noise: Noise, growth_percent: f64, series: u64) -> Vec<Grade> {
        let leaks = (0..series)
            .map(|seed| Leak::detect(&simulate_memory(noise, growth_percent, seed), DAY));
        leaks.map(|leak| leak.grade).collect()
    }

    fn fraction(grades: &[Grade], selected: &[Grade]) -> f64 {
        let found = grades.iter().filter(|grade| selected.contains(grade)).count();
        as_f64(found) / as_f64(grades.len())
    }

    #[test]
    fn noise_without_a_leak_rarely_gives_a_false_positive() {
        for hours in [0.0, 0.5, 2.0, 4.0] {
            let noise = Noise { percent: 3.0, correlation_h: hours };
            let false_positives =
                fraction(&grades(noise, 0.0, 200), &[Grade::Warning, Grade::Fail]);
            assert!(false_positives <= 0.05, "{hours} h: {false_positives}");
        }
    }

    #[test]
    fn a_leak_of_20_percent_in_a_day_is_always_detected() {
        for hours in [0.0, 0.5, 2.0, 4.0] {
            let noise = Noise { percent: 1.0, correlation_h: hours };
            let detected = fraction(&grades(noise, 20.0, 200), &[Grade::Warning, Grade::Fail]);
            assert!(detected >= 1.0, "{hours} h: {detected}");
        }
    }

    #[test]
    fn only_growth_that_is_certainly_beyond_the_limit_fails() {
        let noise = Noise { percent: 1.0, correlation_h: 1.0 };
        let at_the_limit = fraction(&grades(noise, 20.0, 200), &[Grade::Fail]);
        assert!(at_the_limit <= 0.05, "{at_the_limit}");
        let twice = fraction(&grades(noise, 40.0, 200), &[Grade::Fail]);
        assert!(twice >= 0.95, "{twice}");
    }

    #[test]
    fn memory_that_fills_up_and_stays_constant_does_not_fail() {
        let filling = |at: u32| 100.0 + 60.0 * (1.0 - (-f64::from(at) / 300.0).exp());
        let memory: Vec<(f64, f64)> =
            (0..1440).map(|at| (f64::from(at) * 60.0, filling(at))).collect();
        assert_ne!(Leak::detect(&memory, DAY).grade, Grade::Fail);
    }

    #[test]
    fn a_short_run_names_the_growth_it_can_detect() {
        let mut random = fastrand::Rng::with_seed(3);
        let memory: Vec<(f64, f64)> =
            (0..300).map(|at| (f64::from(at), 100.0 + random.f64())).collect();
        let leak = Leak::detect(&memory, DAY);
        assert_eq!(leak.grade, Grade::Insufficient);
        assert!(leak.summary.contains("cannot be detected"), "{}", leak.summary);
    }

    #[test]
    fn no_leak_needs_the_upper_bound_below_the_limit_and_not_the_estimate() {
        // A slow wave: the slope is about zero, but what lies behind it cannot be seen.
        let wave = |at: u32| 100.0 + 8.0 * (f64::from(at) / 1440.0 * 9.0).sin();
        let memory: Vec<(f64, f64)> =
            (0..1440).map(|at| (f64::from(at) * 60.0, wave(at))).collect();
        let leak =
            Leak::detect(&memory, MemoryGrowthLimit { below_percent: 10.0, over_s: 86_400.0 });
        let growth = leak.growth.unwrap();
        assert!(growth.estimate < 10.0 && growth.upper > 10.0, "{growth:?}");
        assert_eq!(leak.grade, Grade::Insufficient, "{}", leak.summary);
    }

    #[test]
    fn the_warm_up_is_no_leak() {
        let filling = |at: u32| if at < 140 { 50.0 + f64::from(at) } else { 190.0 };
        let memory: Vec<(f64, f64)> =
            (0..1440).map(|at| (f64::from(at) * 60.0, filling(at))).collect();
        let leak = Leak::detect(&memory, DAY);
        assert_eq!(leak.grade, Grade::Pass, "{}", leak.summary);
    }

    #[test]
    fn growth_that_slows_down_warns_and_steady_growth_fails() {
        let series = |of: fn(f64) -> f64| -> Vec<(f64, f64)> {
            (0..1440).map(|at| (f64::from(at) * 60.0, of(f64::from(at) / 1440.0))).collect()
        };
        let slowing = Leak::detect(&series(|day| 100.0 + 100.0 * day.sqrt().min(0.8)), DAY);
        assert_eq!(slowing.grade, Grade::Warning, "{}", slowing.summary);
        assert!(slowing.summary.contains("slowing down"), "{}", slowing.summary);
        let steady = Leak::detect(&series(|day| 100.0 + 80.0 * day), DAY);
        assert_eq!(steady.grade, Grade::Fail, "{}", steady.summary);
        let late = Leak::detect(&series(|day| 100.0 + 80.0 * day * day), DAY);
        assert_eq!(late.grade, Grade::Fail, "growth that speeds up: {}", late.summary);
    }

    #[test]
    fn the_time_of_the_first_sample_does_not_matter() {
        let memory: Vec<(f64, f64)> = (0..1440)
            .map(|at| (5e6 + f64::from(at) * 60.0, 100.0 + f64::from(at) / 14.4))
            .collect();
        assert_eq!(Leak::detect(&memory, DAY).grade, Grade::Fail);
    }

    #[test]
    fn half_of_a_short_period_is_long_enough() {
        let minute = MemoryGrowthLimit { below_percent: 20.0, over_s: 60.0 };
        assert_eq!(Leak::detect(&growing(50, 100.0), minute).grade, Grade::Fail);
        let two_minutes = MemoryGrowthLimit { below_percent: 200.0, over_s: 120.0 };
        assert_eq!(Leak::detect(&growing(50, 100.0), two_minutes).grade, Grade::Insufficient);
    }

    #[test]
    fn a_step_beyond_the_limit_is_never_a_pass() {
        for (seconds, grade) in [(60_u32, Grade::Insufficient), (1_800, Grade::Warning)] {
            let step = |at: u32| if at * 3 < seconds * 2 { 100.0 } else { 600.0 };
            let memory: Vec<(f64, f64)> =
                (0..seconds).map(|at| (f64::from(at), step(at))).collect();
            let leak = Leak::detect(&memory, DAY);
            assert_eq!((leak.grade, leak.exceeds_total), (grade, true), "{}", leak.summary);
        }
    }

    #[test]
    fn a_line_exceeds_the_limit_by_its_ends_and_a_single_sample_does_not() {
        // By 21 % from end to end, and by 19 % from the first twelfth to the last.
        let line = Leak::detect(&growing(700, 24.0), DAY);
        assert_eq!((line.grade, line.exceeds_total), (Grade::Warning, true), "{}", line.summary);
        let mut spike = growing(720, 0.0);
        spike[719].1 = 1_000.0;
        assert!(!Leak::detect(&spike, DAY).exceeds_total);
    }

    #[test]
    fn certain_growth_above_half_of_the_limit_warns() {
        let memory = |percent: f64| -> Vec<(f64, f64)> {
            (0..1440)
                .map(|at| (f64::from(at) * 60.0, 100.0 + percent * f64::from(at) / 1440.0))
                .collect()
        };
        assert_eq!(Leak::detect(&memory(5.0), DAY).grade, Grade::Pass);
        assert_eq!(Leak::detect(&memory(15.0), DAY).grade, Grade::Warning);
        assert_eq!(Leak::detect(&memory(25.0), DAY).grade, Grade::Fail);
    }

    #[test]
    fn the_summary_has_the_growth_in_the_period_of_the_limit() {
        let summary = |percent: f64| {
            let day = |at: u32| f64::from(at) / 1440.0;
            let memory: Vec<(f64, f64)> =
                (0..1440).map(|at| (day(at) * 86_400.0, 100.0 + percent * day(at))).collect();
            Leak::detect(&memory, DAY).summary
        };
        let steady = "no leak: +0.0 % in 24h (between +0.0 % and +0.0 %); growth of 0.0 % would have \
                      been detected in 21h35m";
        assert_eq!(summary(0.0), steady);
        // Of 101.5 after the warm-up.
        let warning = "grows by +14.8 % in 24h (between +14.8 % and +14.8 %)";
        assert_eq!(summary(15.0), warning);
        assert_eq!(summary(150.0), "leak: +130 % in 24h (between +130 % and +130 %)");
    }

    fn growing(seconds: u32, percent: f64) -> Vec<(f64, f64)> {
        let slope = percent / f64::from(seconds);
        (0..seconds).map(|at| (f64::from(at), 100.0 + f64::from(at) * slope)).collect()
    }

    #[test]
    fn fast_growth_in_a_short_run_is_not_yet_a_leak() {
        let leak = Leak::detect(&growing(600, 10.0), DAY);
        assert_eq!((leak.grade, leak.exceeds_total), (Grade::Insufficient, false));
        assert_eq!(Leak::detect(&growing(20, 10.0), DAY).growth, None);
    }

    #[test]
    fn growth_beyond_what_the_whole_period_allows_warns_after_ten_minutes() {
        for (seconds, grade) in [(90, Grade::Insufficient), (700, Grade::Warning)] {
            let leak = Leak::detect(&growing(seconds, 60.0), DAY);
            assert_eq!((leak.grade, leak.exceeds_total), (grade, true), "{seconds} s");
            assert!(leak.summary.contains("more than is allowed"), "{}", leak.summary);
        }
    }
}
