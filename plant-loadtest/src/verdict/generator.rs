//! Whether the load itself can be trusted.

use super::{Grade, Judged};
use crate::{
    distribution::Distribution,
    outcome::{ArrivalSecond, Outcome, ResourceSample},
    sla::milliseconds,
};

/// Above this share of its processors the generator competes with what it measures; what it wanted
/// and others had counts too, since beside a busy neighbour it never gets that far.
const BUSY: f64 = 0.7;

/// A generator later than this share of a promise may have broken the promise by itself.
const LATE: f64 = 0.5;

/// Above this share of the arrivals never sent, a part of the load was never there.
const DROPPED: f64 = 0.001;

/// What the generator says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratorHealth {
    /// Mean processor use in the judged seconds, as a share of all processors; `None` when the
    /// system does not tell.
    pub cpu: Option<f64>,
    /// How late it woke in the judged seconds.
    pub lag: Distribution,
    /// How many arrivals of the judged seconds were never sent.
    pub dropped: u64,
    /// Why the measurement cannot be trusted, if it cannot.
    pub fault: Option<String>,
}

impl GeneratorHealth {
    /// Looks at the judged seconds of `outcome`, as far as they matter to the judged `promises`.
    pub(super) fn of(outcome: &Outcome, promises: &[Judged]) -> Self {
        let samples: Vec<&ResourceSample> =
            outcome.samples.iter().filter(|sample| outcome.is_judged(sample.second)).collect();
        let cpu = mean(samples.iter().filter_map(|sample| sample.generator_cpu).collect());
        let wanted = mean(samples.iter().filter_map(|sample| wanted(sample)).collect());
        let mut lag = Distribution::default();
        for sample in samples {
            lag.merge(&sample.generator_lag);
        }
        let arrivals = arrivals(outcome);
        let fault = too_busy(cpu, wanted)
            .or_else(|| too_late(&lag, promises))
            .or_else(|| too_late(&arrivals.lag, promises))
            .or_else(|| too_few(&arrivals, promises));
        lag.merge(&arrivals.lag);
        Self { cpu, lag, dropped: arrivals.dropped, fault }
    }
}

/// The share of its processors that the generator wanted: what it used and what it waited for.
fn wanted(sample: &ResourceSample) -> Option<f64> {
    let had = 1.0 - sample.generator_waited.unwrap_or(0.0);
    sample.generator_cpu.map(|used| used / had)
}

fn too_busy(used: Option<f64>, wanted: Option<f64>) -> Option<String> {
    let wanted = wanted.filter(|share| *share > BUSY)?;
    Some(format!(
        "the load generator wanted {:.0} % of the processors that it may use (more than {:.0} %) \
         and had {:.0} %, so its measurements cannot be trusted",
        wanted * 100.0,
        BUSY * 100.0,
        used.unwrap_or(0.0) * 100.0
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

/// Whoever was dropped would have waited longest, so drops make every figure look better than it
/// was. A promise broken nevertheless is broken; one that seems kept is not proven.
fn too_few(arrivals: &ArrivalSecond, promises: &[Judged]) -> Option<String> {
    let share = dropped_share(arrivals).filter(|share| *share > DROPPED)?;
    if promises.iter().any(|judged| judged.grade == Grade::Fail) {
        return None;
    }
    Some(format!(
        "{:.1} % of the arrivals were dropped: every user was busy for as long as a request may \
         take, so a part of the load never reached the service",
        share * 100.0
    ))
}

/// What must be known of arrivals that could not start at once.
pub(super) fn arrivals_note(outcome: &Outcome) -> Option<String> {
    let arrivals = arrivals(outcome);
    let waited = share(arrivals.waited, arrivals.due).filter(|share| *share > 0.0)?;
    let dropped = match arrivals.dropped {
        0 => String::new(),
        dropped => format!("; {dropped} of them waited in vain and were never sent"),
    };
    Some(format!(
        "{} of {} arrivals ({:.1} %) found all {} users busy and waited for one, which is part of \
         their latency{dropped}",
        arrivals.waited,
        arrivals.due,
        waited * 100.0,
        outcome.load.users
    ))
}

/// All arrivals of the judged stages together.
fn arrivals(outcome: &Outcome) -> ArrivalSecond {
    let mut all = ArrivalSecond::default();
    for second in outcome.arrivals.iter().filter(|arrival| outcome.is_judged(arrival.second)) {
        all.due += second.due;
        all.waited += second.waited;
        all.dropped += second.dropped;
        all.lag.merge(&second.lag);
    }
    all
}

fn dropped_share(arrivals: &ArrivalSecond) -> Option<f64> {
    share(arrivals.dropped, arrivals.due)
}

#[expect(clippy::cast_precision_loss, reason = "arrivals of a run stay below 2^53")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
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
        outcome::{ArrivalSecond, Outcome},
        report::example,
        verdict::{Grade, Verdict},
    };

    /// The example as an open run of which so many of a thousand arrivals were dropped.
    fn dropping(dropped: u64) -> Outcome {
        let mut outcome = example::outcome();
        let second = outcome.judged_seconds().start;
        let arrival = ArrivalSecond { second, due: 1000, dropped, ..ArrivalSecond::default() };
        outcome.arrivals = vec![arrival];
        outcome
    }

    #[test]
    fn a_load_that_was_never_there_proves_nothing() {
        for (dropped, grade) in [(1, Grade::Pass), (2, Grade::Invalid)] {
            let outcome = dropping(dropped);
            assert_eq!(Verdict::of(&outcome, &outcome.sla).grade, grade, "{dropped}");
        }
    }

    #[test]
    fn a_promise_broken_in_spite_of_drops_is_broken() {
        let mut outcome = dropping(500);
        outcome.target.healthy_after_s = None;
        assert_eq!(Verdict::of(&outcome, &outcome.sla).grade, Grade::Fail);
    }

    #[test]
    fn arrivals_that_start_late_though_a_user_is_free_are_the_generators_fault() {
        let mut outcome = dropping(0);
        outcome.arrivals[0].lag.record(Duration::from_millis(30));
        assert_eq!(Verdict::of(&outcome, &outcome.sla).grade, Grade::Invalid);
    }

    #[test]
    fn a_generator_that_is_kept_from_its_processors_is_invalid() {
        for (waited, grade) in
            [(None, Grade::Pass), (Some(0.2), Grade::Pass), (Some(0.5), Grade::Invalid)]
        {
            let mut outcome = example::outcome();
            for sample in &mut outcome.samples {
                (sample.generator_cpu, sample.generator_waited) = (Some(0.4), waited);
            }
            assert_eq!(Verdict::of(&outcome, &outcome.sla).grade, grade, "{waited:?}");
        }
    }

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
