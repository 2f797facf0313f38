//! Checks of the load generator: was it fast enough for valid measurements?

use super::{Grade, JudgedThreshold};
use crate::{
    distribution::Distribution,
    outcome::{ArrivalCell, Outcome, ResourceSample},
    sla::format_ms,
};

/// Highest CPU demand of the generator, as a fraction of all CPUs. Above it the generator competes
/// with the service under test. Demand is what the usage would be without waiting for a CPU
/// (run-queue delay).
const MAX_CPU_DEMAND: f64 = 0.7;

/// Highest dispatch lag as a fraction of a latency threshold. Above it the lag alone may violate the
/// threshold.
const MAX_LAG_FRACTION: f64 = 0.5;

/// Highest fraction of dropped arrivals. Above it the service did not receive the planned load.
const MAX_DROPPED_FRACTION: f64 = 0.001;

/// Health of the load generator during the run.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratorHealth {
    /// Mean CPU usage in the judged stages, as a fraction of all CPUs (0 to 1); `None` when the
    /// system does not report it.
    pub cpu: Option<f64>,
    /// Delays by the load generator in the judged stages: the lag of its timers and the dispatch lag
    /// of arrivals.
    pub dispatch_lag: Distribution,
    /// Number of dropped arrivals in the judged stages.
    pub dropped_arrivals: u64,
    /// Why the measurement is invalid; `None` when it is valid.
    pub invalid_reason: Option<String>,
}

impl GeneratorHealth {
    /// Checks the generator in the judged stages of `outcome`, against the judged `thresholds`.
    pub(super) fn check(outcome: &Outcome, thresholds: &[JudgedThreshold]) -> Self {
        let samples: Vec<&ResourceSample> =
            outcome.samples.iter().filter(|sample| outcome.is_judged(sample.second)).collect();
        let cpu = mean(samples.iter().filter_map(|sample| sample.generator_cpu).collect());
        let demand = mean(samples.iter().filter_map(|sample| cpu_demand(sample)).collect());
        let mut dispatch_lag = Distribution::default();
        for sample in samples {
            dispatch_lag.merge(&sample.generator_timer_lag);
        }
        let arrivals = arrivals(outcome);
        let invalid_reason = check_cpu(cpu, demand)
            .or_else(|| check_lag(&dispatch_lag, thresholds))
            .or_else(|| check_lag(&arrivals.dispatch_lag, thresholds))
            .or_else(|| check_dropped(&arrivals, thresholds));
        dispatch_lag.merge(&arrivals.dispatch_lag);
        Self { cpu, dispatch_lag, dropped_arrivals: arrivals.dropped, invalid_reason }
    }
}

/// Returns the generator's CPU demand as a fraction of all CPUs: its usage if it had never waited for
/// a CPU.
fn cpu_demand(sample: &ResourceSample) -> Option<f64> {
    let running = 1.0 - sample.generator_cpu_wait.unwrap_or(0.0);
    sample.generator_cpu.map(|used| used / running)
}

fn check_cpu(used: Option<f64>, demand: Option<f64>) -> Option<String> {
    let demand = demand.filter(|demand| *demand > MAX_CPU_DEMAND)?;
    Some(format!(
        "the CPU demand of the load generator was {:.0} % of the CPUs available to it (limit {:.0} \
         %), its CPU usage {:.0} %, so its measurements cannot be trusted",
        demand * 100.0,
        MAX_CPU_DEMAND * 100.0,
        used.unwrap_or(0.0) * 100.0
    ))
}

/// Compares each percentile that has a threshold with the same percentile of the dispatch lag.
fn check_lag(lag: &Distribution, thresholds: &[JudgedThreshold]) -> Option<String> {
    thresholds.iter().filter(|judged| judged.grade != Grade::Insufficient).find_map(|judged| {
        let threshold = &judged.threshold;
        let lag_ms = lag.quantile_ms(threshold.metric.quantile()?)?;
        (lag_ms > threshold.limit * MAX_LAG_FRACTION).then(|| {
            format!(
                "the load generator's dispatch lag was {} at {}, which is too much to measure {}: \
                 {} {}",
                format_ms(lag_ms),
                threshold.metric,
                threshold.subject,
                threshold.metric,
                threshold.format_limit()
            )
        })
    })
}

/// Compares the fraction of dropped arrivals with its limit, unless a threshold is violated already.
///
/// Dropped arrivals would have waited longest, so every metric looks better without them: a FAIL
/// stays valid, other grades do not.
fn check_dropped(arrivals: &ArrivalCell, thresholds: &[JudgedThreshold]) -> Option<String> {
    let dropped = fraction(arrivals.dropped, arrivals.scheduled)
        .filter(|dropped| *dropped > MAX_DROPPED_FRACTION)?;
    if thresholds.iter().any(|judged| judged.grade == Grade::Fail) {
        return None;
    }
    Some(format!(
        "{:.1} % of the arrivals were dropped because no user became free within the request \
         timeout, so the service did not receive the planned load",
        dropped * 100.0
    ))
}

/// Returns a note about arrivals that waited for a free user or were dropped; `None` when none
/// waited.
pub(super) fn arrivals_note(outcome: &Outcome) -> Option<String> {
    let arrivals = arrivals(outcome);
    let waited = fraction(arrivals.waited, arrivals.scheduled).filter(|waited| *waited > 0.0)?;
    let dropped = match arrivals.dropped {
        0 => String::new(),
        dropped => format!("; {dropped} of them were dropped"),
    };
    Some(format!(
        "{} of {} arrivals ({:.1} %) waited because all {} users were busy; the wait is part of \
         their latency{dropped}",
        arrivals.waited,
        arrivals.scheduled,
        waited * 100.0,
        outcome.load.users
    ))
}

/// Returns the sum of all arrivals in the judged stages.
fn arrivals(outcome: &Outcome) -> ArrivalCell {
    let mut all = ArrivalCell::default();
    for cell in outcome.arrivals.iter().filter(|arrival| outcome.is_judged(arrival.second)) {
        all.scheduled += cell.scheduled;
        all.waited += cell.waited;
        all.dropped += cell.dropped;
        all.dispatch_lag.merge(&cell.dispatch_lag);
    }
    all
}

#[expect(clippy::cast_precision_loss, reason = "arrivals of a run stay below 2^53")]
fn fraction(part: u64, total: u64) -> Option<f64> {
    (total > 0).then(|| part as f64 / total as f64)
}

fn mean(values: Vec<f64>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "one value a second stays below 2^53")]
    let count = values.len() as f64;
    (count > 0.0).then(|| values.into_iter().sum::<f64>() / count)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        distribution::Distribution,
        outcome::{ArrivalCell, Outcome},
        report::example,
        verdict::{Grade, Verdict},
    };

    /// Returns the example as an open run with `dropped` of 1000 arrivals dropped.
    fn with_dropped(dropped: u64) -> Outcome {
        let mut outcome = example::outcome();
        let second = outcome.judged_span().start;
        let arrival = ArrivalCell { second, scheduled: 1000, dropped, ..ArrivalCell::default() };
        outcome.arrivals = vec![arrival];
        outcome
    }

    #[test]
    fn too_many_dropped_arrivals_are_invalid() {
        for (dropped, grade) in [(1, Grade::Pass), (2, Grade::Invalid)] {
            let outcome = with_dropped(dropped);
            assert_eq!(Verdict::judge(&outcome, &outcome.sla).grade, grade, "{dropped}");
        }
    }

    #[test]
    fn a_threshold_violated_despite_dropped_arrivals_fails() {
        let mut outcome = with_dropped(500);
        outcome.target.healthy_after_s = None;
        assert_eq!(Verdict::judge(&outcome, &outcome.sla).grade, Grade::Fail);
    }

    #[test]
    fn dispatch_lag_of_arrivals_is_invalid() {
        let mut outcome = with_dropped(0);
        outcome.arrivals[0].dispatch_lag.record(Duration::from_millis(30));
        assert_eq!(Verdict::judge(&outcome, &outcome.sla).grade, Grade::Invalid);
    }

    #[test]
    fn a_generator_without_enough_cpu_time_is_invalid() {
        for (waited, grade) in
            [(None, Grade::Pass), (Some(0.2), Grade::Pass), (Some(0.5), Grade::Invalid)]
        {
            let mut outcome = example::outcome();
            for sample in &mut outcome.samples {
                (sample.generator_cpu, sample.generator_cpu_wait) = (Some(0.4), waited);
            }
            assert_eq!(Verdict::judge(&outcome, &outcome.sla).grade, grade, "{waited:?}");
        }
    }

    fn grade_with_lag(millis: u64, every: usize) -> Grade {
        let mut outcome = example::outcome();
        for (index, sample) in outcome.samples.iter_mut().enumerate() {
            let lag = if index.is_multiple_of(every) { millis } else { 0 };
            sample.generator_timer_lag = Distribution::default();
            sample.generator_timer_lag.record(Duration::from_millis(lag));
        }
        Verdict::judge(&outcome, &outcome.sla).grade
    }

    #[test]
    fn dispatch_lag_above_half_of_a_threshold_is_invalid() {
        // The lowest thresholds are those of GET /health: 50, 100 and 200 ms.
        assert_eq!(grade_with_lag(30, 1), Grade::Invalid);
        assert_eq!(grade_with_lag(20, 1), Grade::Pass);
    }

    #[test]
    fn dispatch_lag_is_compared_at_the_percentile_of_the_threshold() {
        assert_eq!(grade_with_lag(90, 30), Grade::Pass, "below the 100 ms allowed at P99");
        assert_eq!(grade_with_lag(150, 30), Grade::Invalid, "above it");
    }
}
