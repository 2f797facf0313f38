//! Compares an outcome with the promises. Pure: the same outcome always gets the same verdict.

pub mod drift;
mod generator;
mod judge;
pub mod leak;
pub mod leak_simulation;
mod notes;
pub mod over_time;
pub mod recovery;
mod usage;

use std::ops::Range;

use serde::Serialize;

pub use generator::GeneratorHealth;
pub use over_time::Finding;

use crate::{
    outcome::{Ended, Outcome},
    profile::Stage,
    sla::{During, Figure, Kind, Promise, Sla, milliseconds},
    timespan,
};

/// How well promises were kept, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Grade {
    /// Nothing was promised.
    #[serde(rename = "NO VERDICT")]
    Unjudged,
    /// Kept.
    Pass,
    /// Missed, within the tolerated band.
    Warning,
    /// Too little was measured to say.
    Insufficient,
    /// Broken.
    Fail,
    /// The measurement itself cannot be trusted.
    Invalid,
}

impl Grade {
    /// As reports print it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unjudged => "NO VERDICT",
            Self::Pass => "PASS",
            Self::Warning => "WARNING",
            Self::Insufficient => "INSUFFICIENT",
            Self::Fail => "FAIL",
            Self::Invalid => "INVALID",
        }
    }
}

/// One promise, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The promise.
    pub promise: Promise,
    /// How well it was kept.
    pub grade: Grade,
    /// The figure measured, in the figure's unit; `None` when nothing was.
    pub measured: Option<f64>,
    /// How many requests the figure comes from.
    pub samples: u64,
    /// How many it takes to call the promise kept.
    pub needed: u64,
    /// The window that the figure comes from, of a promise that must hold in every window.
    pub window: Option<Range<u32>>,
}

/// The answer to the one question: did the service hold its promises?
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The answer.
    pub grade: Grade,
    /// What the SLA calls itself.
    pub sla: String,
    /// In a sentence: why not better.
    pub reason: String,
    /// Every promise that was made for this load, in the SLA's order.
    pub promises: Vec<Judged>,
    /// What the course of the run shows: leak, drift, recovery.
    pub over_time: Vec<Finding>,
    /// Whether the load itself can be trusted.
    pub generator: GeneratorHealth,
    /// What else must be known to read the verdict rightly.
    pub notes: Vec<String>,
}

impl Verdict {
    /// Judges `outcome` by the promises of `sla`.
    ///
    /// The overall grade is the worst of the promises', but: an untrustworthy measurement is
    /// INVALID whatever it says, and a promise with too few samples does not spoil the rest as
    /// long as at least one of its kind (latency, errors, survival) could be judged. Of a run that
    /// was killed the end is not known, so nothing is proven kept.
    #[must_use]
    pub fn of(outcome: &Outcome, sla: &Sla) -> Self {
        let promises: Vec<Judged> = sla
            .promises
            .iter()
            .filter(|promise| promise.users.contains(outcome.load.users))
            .map(|promise| judge::judge(outcome, promise))
            .collect();
        let mut generator = GeneratorHealth::of(outcome, &promises);
        // Where nothing is promised nothing can be judged wrongly: the figures stand, with a doubt.
        let doubt = generator.fault.take_if(|_| promises.is_empty());
        let over_time = over_time::findings(outcome, sla);
        let grade = overall(outcome, &promises, &over_time, &generator);
        Self {
            grade,
            sla: sla.name.clone(),
            reason: reason(outcome, grade, &promises, &over_time, &generator),
            notes: notes::of(outcome, &promises).into_iter().chain(doubt).collect(),
            promises,
            over_time,
            generator,
        }
    }

    /// How many promises got `grade`.
    #[must_use]
    pub fn count(&self, grade: Grade) -> usize {
        self.promises.iter().filter(|judged| judged.grade == grade).count()
    }
}

fn overall(
    outcome: &Outcome,
    promises: &[Judged],
    over_time: &[Finding],
    generator: &GeneratorHealth,
) -> Grade {
    if generator.fault.is_some() {
        return Grade::Invalid;
    }
    if promises.is_empty() {
        return Grade::Unjudged;
    }
    let judged = || promises.iter().filter(|judged| judged.grade != Grade::Insufficient);
    let seen = over_time.iter().filter(|finding| finding.counts()).map(|finding| finding.grade);
    let grades = judged().map(|judged| judged.grade).chain(seen);
    let worst = grades.max().unwrap_or(Grade::Insufficient);
    let whole = outcome.ended != Ended::Killed && unjudged_kinds(promises).is_empty();
    if worst == Grade::Fail || whole { worst } else { Grade::Insufficient }
}

/// The kinds of which promises were made and none could be judged.
fn unjudged_kinds(promises: &[Judged]) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = promises.iter().map(|judged| judged.promise.kind()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.retain(|kind| {
        let mut ours = promises.iter().filter(|judged| judged.promise.kind() == *kind);
        ours.all(|judged| judged.grade == Grade::Insufficient)
    });
    kinds
}

fn reason(
    outcome: &Outcome,
    grade: Grade,
    promises: &[Judged],
    over_time: &[Finding],
    generator: &GeneratorHealth,
) -> String {
    if let Some(fault) = &generator.fault {
        return fault.clone();
    }
    let named = |grade| -> String {
        let ours = promises.iter().filter(|judged| judged.grade == grade);
        let seen = over_time
            .iter()
            .filter(|finding| finding.counts() && finding.grade == grade)
            .map(|finding| format!("{}: {}", finding.name, finding.sentence));
        let named: Vec<String> = ours.map(Judged::sentence).chain(seen).collect();
        named.join("; ")
    };
    match grade {
        Grade::Pass => {
            let kept = promises.iter().filter(|judged| judged.grade == Grade::Pass).count();
            format!("{kept} of {} promises judged, all of them kept", promises.len())
        }
        Grade::Warning | Grade::Fail => named(grade),
        Grade::Unjudged => what_it_did(outcome),
        _ if over_time.iter().any(|finding| finding.counts() && finding.grade == grade) => {
            named(grade)
        }
        _ if outcome.ended == Ended::Killed => {
            "the run was killed, so how it would have ended is not known".into()
        }
        _ => "too few requests to judge: run longer, or at a larger --time-scale".into(),
    }
}

/// What there is to say without promises.
fn what_it_did(outcome: &Outcome) -> String {
    let stages = outcome.load.stages.iter().filter(|stage| stage.judged);
    let spans: Vec<Range<u32>> = stages.map(Stage::seconds).collect();
    let judged = outcome.judged();
    let (rate, _) = usage::throughput(&judged, &spans);
    let p95 = judged.latency.quantile_ms(0.95);
    format!(
        "{:.1} requests a second were answered rightly, P95 {}, errors: {}. Nothing was promised \
         for this load",
        rate.unwrap_or_default(),
        p95.map_or_else(|| "n/a".to_owned(), milliseconds),
        judged.counts.errors(),
    )
}

impl Judged {
    /// What was measured against what was promised.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Promise { subject, figure, .. } = &self.promise;
        let promised = self.promise.limit();
        match self.measured {
            Some(measured) => {
                let measured = figure.display(measured);
                let when = self.when();
                format!("{subject}: {figure} {measured}{when}, promised {promised}")
            }
            None if *figure == Figure::SecondsToHealthy => {
                format!(
                    "{subject}: no answer to /health once the load was gone, promised {promised}"
                )
            }
            None => {
                let when = self.when();
                format!("{subject}: {figure} not measured{when}, promised {promised}")
            }
        }
    }

    /// The part of the run that it is about, if that is not all that is judged.
    fn when(&self) -> String {
        let display = |second: u32| timespan::display(second.into());
        let stage = match &self.promise.during {
            During::Stage(name) => format!(" in {name}"),
            During::Judged | During::Run => String::new(),
        };
        let window = self.window.as_ref().map(|window| {
            format!(" between {} and {}", display(window.start), display(window.end))
        });
        stage + &window.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcome::FailureKind, report::example};

    fn verdict(change: impl FnOnce(&mut Outcome)) -> Verdict {
        let mut outcome = example::outcome();
        change(&mut outcome);
        let sla = outcome.sla.clone();
        Verdict::of(&outcome, &sla)
    }

    fn fail_some(outcome: &mut Outcome, kind: FailureKind, every: u64) {
        for second in &mut outcome.endpoints[0].seconds {
            let failed = second.counts.sent / every;
            for _ in 0..failed {
                second.counts.succeeded -= 1;
                second.counts.count(Some(kind));
            }
        }
    }

    #[test]
    fn a_service_that_keeps_every_promise_passes() {
        let verdict = verdict(|_| ());
        assert_eq!(verdict.grade, Grade::Pass, "{}", verdict.reason);
    }

    #[test]
    fn where_nothing_is_promised_a_busy_generator_is_a_doubt_and_no_fault() {
        let mut outcome = example::outcome();
        outcome.samples.iter_mut().for_each(|sample| sample.generator_cpu = Some(0.9));
        assert_eq!(Verdict::of(&outcome, &outcome.sla).grade, Grade::Invalid);
        outcome.sla.promises.clear();
        let verdict = Verdict::of(&outcome, &outcome.sla);
        assert_eq!(verdict.grade, Grade::Unjudged);
        assert!(verdict.notes.iter().any(|note| note.contains("cannot be trusted")));
    }

    #[test]
    fn a_killed_run_may_have_broken_a_promise_but_never_kept_them() {
        let killed = verdict(|outcome| outcome.ended = Ended::Killed);
        assert_eq!(killed.grade, Grade::Insufficient);
        assert!(killed.reason.contains("killed"), "{}", killed.reason);
        let failed = verdict(|outcome| {
            outcome.ended = Ended::Killed;
            fail_some(outcome, FailureKind::ServerError, 2);
        });
        assert_eq!(failed.grade, Grade::Fail, "{}", failed.reason);
    }

    #[test]
    fn errors_between_target_and_limit_warn_and_beyond_fail() {
        let warned = verdict(|outcome| fail_some(outcome, FailureKind::ServerError, 10));
        assert_eq!(warned.grade, Grade::Warning, "{}", warned.reason);
        let failed = verdict(|outcome| fail_some(outcome, FailureKind::ServerError, 2));
        assert_eq!(failed.grade, Grade::Fail, "{}", failed.reason);
        assert!(failed.reason.contains("errors"), "{}", failed.reason);
    }

    #[test]
    fn a_service_that_is_gone_after_the_run_fails() {
        let verdict = verdict(|outcome| outcome.target.healthy_after_s = None);
        assert_eq!(verdict.grade, Grade::Fail);
        assert!(verdict.reason.contains("no answer to /health"), "{}", verdict.reason);
    }

    #[test]
    fn a_service_that_was_started_anew_fails_though_it_answers_again() {
        let verdict = verdict(|outcome| {
            for sample in outcome.samples.iter_mut().skip(9) {
                sample.service.started_at = Some(1_800_000_000.0);
            }
        });
        assert_eq!(verdict.grade, Grade::Fail);
        assert_eq!(verdict.reason, "the service: restarts 1, promised 0");
    }

    #[test]
    fn a_busy_generator_invalidates_even_a_failure() {
        let verdict = verdict(|outcome| {
            fail_some(outcome, FailureKind::ServerError, 1);
            for sample in &mut outcome.samples {
                sample.generator_cpu = Some(0.95);
            }
        });
        assert_eq!(verdict.grade, Grade::Invalid);
    }

    #[test]
    fn nothing_measured_is_insufficient_and_never_a_pass() {
        let verdict = verdict(|outcome| {
            for endpoint in &mut outcome.endpoints {
                endpoint.seconds.clear();
            }
        });
        assert_eq!(verdict.grade, Grade::Insufficient);
        assert_eq!(verdict.count(Grade::Pass), 2, "only the survival could be judged");
    }

    #[test]
    fn promises_for_other_loads_are_left_out() {
        let verdict = verdict(|outcome| outcome.load.users = 150);
        let spike = verdict.promises.iter().filter(|judged| judged.promise.kind() == Kind::Errors);
        let below: Vec<u32> = spike.map(|judged| judged.promise.users.from).collect();
        assert_eq!(below, [101]);
    }

    #[test]
    fn a_scaled_run_says_so() {
        let verdict = verdict(|outcome| outcome.load.time_scale = 0.1);
        assert!(verdict.notes[0].contains("scaled by 0.1"), "{:?}", verdict.notes);
    }
}
