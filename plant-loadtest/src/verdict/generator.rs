//! Whether the load itself can be trusted.

use super::{Grade, Judged};
use crate::{
    distribution::Distribution,
    outcome::{Outcome, ResourceSample},
    sla::milliseconds,
};

/// Above this share of all processors the generator competes with what it measures.
const BUSY: f64 = 0.7;

/// A generator later than this share of a promise may have broken the promise by itself.
const LATE: f64 = 0.5;

/// What the generator says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratorHealth {
    /// Mean processor use in the judged seconds, as a share of all processors; `None` when the
    /// system does not tell.
    pub cpu: Option<f64>,
    /// How late it woke in the judged seconds.
    pub lag: Distribution,
    /// Why the measurement cannot be trusted, if it cannot.
    pub fault: Option<String>,
}

impl GeneratorHealth {
    /// Looks at the judged seconds of `outcome`, as far as they matter to the judged `promises`.
    pub(super) fn of(outcome: &Outcome, promises: &[Judged]) -> Self {
        let judged = outcome.judged_seconds();
        let samples: Vec<&ResourceSample> =
            outcome.samples.iter().filter(|sample| judged.contains(&sample.second)).collect();
        let cpu = mean(samples.iter().filter_map(|sample| sample.generator_cpu).collect());
        let mut lag = Distribution::default();
        for sample in samples {
            lag.merge(&sample.generator_lag);
        }
        let fault = too_busy(cpu).or_else(|| too_late(&lag, promises));
        Self { cpu, lag, fault }
    }
}

fn too_busy(cpu: Option<f64>) -> Option<String> {
    let share = cpu.filter(|share| *share > BUSY)?;
    Some(format!(
        "the load generator used {:.0} % of all processors (more than {:.0} %), so its \
         measurements cannot be trusted",
        share * 100.0,
        BUSY * 100.0
    ))
}

/// Compares each percentile promised with the same percentile of the generator's own lateness.
fn too_late(lag: &Distribution, promises: &[Judged]) -> Option<String> {
    promises.iter().filter(|judged| judged.grade != Grade::Insufficient).find_map(|judged| {
        let promise = &judged.promise;
        let late = lag.quantile_ms(promise.figure.quantile()?)?;
        (late > promise.below * LATE).then(|| {
            format!(
                "the load generator itself was late by {} ({} of its lateness), which is too much \
                 to measure {}: {} {}",
                milliseconds(late),
                promise.figure,
                promise.subject,
                promise.figure,
                promise.limit()
            )
        })
    })
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
        report::example,
        verdict::{Grade, Verdict},
    };

    fn grade_when_late_by(millis: u64, in_every: usize) -> Grade {
        let mut outcome = example::outcome();
        for (index, sample) in outcome.samples.iter_mut().enumerate() {
            let late = if index.is_multiple_of(in_every) { millis } else { 0 };
            sample.generator_lag = Distribution::default();
            sample.generator_lag.record(Duration::from_millis(late));
        }
        Verdict::of(&outcome, &outcome.sla).grade
    }

    #[test]
    fn a_generator_that_wakes_too_late_for_a_promise_is_invalid() {
        // The tightest promises are those of GET /health: 50, 100 and 200 ms.
        assert_eq!(grade_when_late_by(30, 1), Grade::Invalid);
        assert_eq!(grade_when_late_by(20, 1), Grade::Pass);
    }

    #[test]
    fn lateness_counts_at_the_percentile_that_was_promised() {
        assert_eq!(grade_when_late_by(90, 30), Grade::Pass, "under P99's 100 ms");
        assert_eq!(grade_when_late_by(150, 30), Grade::Invalid, "over it");
    }
}
