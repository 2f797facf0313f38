//! Judges an outcome by the thresholds of an SLA. The verdict depends on nothing else.

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
    duration,
    load::Stage,
    outcome::{Ended, Outcome},
    sla::{During, Metric, Sla, Threshold, ThresholdKind, format_ms},
};

/// Grade of a threshold, a finding or a run, ordered by severity. [`Verdict::judge`] states how the
/// grade of a run follows from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Grade {
    /// NO VERDICT: no thresholds apply; for runs only.
    #[serde(rename = "NO VERDICT")]
    Unjudged,
    /// Met.
    Pass,
    /// Violated, but not beyond [`Threshold::fail_limit`].
    Warning,
    /// Too few samples to judge.
    Insufficient,
    /// Violated, beyond [`Threshold::fail_limit`].
    Fail,
    /// The load generator may have caused the results; for runs only.
    Invalid,
}

impl Grade {
    /// Returns the name that reports print.
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

/// A judged threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedThreshold {
    /// The threshold.
    pub threshold: Threshold,
    /// Grade of the threshold.
    pub grade: Grade,
    /// Measured value in the metric's unit; `None` when there is none.
    pub measured: Option<f64>,
    /// Number of samples that the value was computed from.
    pub samples: u64,
    /// Samples needed for a PASS. With fewer the grade is INSUFFICIENT, unless the threshold would be
    /// violated whatever the missing samples were.
    pub min_samples: u64,
    /// The worst window, in seconds of the run, which determines the grade; `None` unless the
    /// threshold must be met in every window ([`Threshold::window_s`]).
    pub window: Option<Range<u32>>,
}

/// Verdict of a run: whether the service met the thresholds of its SLA.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Overall grade.
    pub grade: Grade,
    /// Name of the SLA.
    pub sla: String,
    /// Reason for the grade.
    pub reason: String,
    /// All thresholds that apply to this load, in the SLA's order.
    pub thresholds: Vec<JudgedThreshold>,
    /// Findings about the course of the run: memory growth, drift, recovery.
    pub over_time: Vec<Finding>,
    /// Health of the load generator.
    pub generator: GeneratorHealth,
    /// Notes that qualify the verdict.
    pub notes: Vec<String>,
}

impl Verdict {
    /// Judges `outcome` by the thresholds of `sla`.
    ///
    /// The grade of the run is, by the first of these rules that applies:
    ///
    /// 1. NO VERDICT if no threshold applies to its number of users.
    /// 2. INVALID if the load generator may have caused the results
    ///    ([`GeneratorHealth::invalid_reason`]).
    /// 3. FAIL if that is the grade of a threshold, or of a finding that affects the verdict
    ///    ([`Finding::affects_verdict`]).
    /// 4. INSUFFICIENT if the run was killed, because its end is unknown; or if all thresholds of one
    ///    [`ThresholdKind`] are INSUFFICIENT.
    /// 5. Otherwise the worst grade of the findings that affect the verdict and of the thresholds
    ///    that are not INSUFFICIENT.
    #[must_use]
    pub fn judge(outcome: &Outcome, sla: &Sla) -> Self {
        let thresholds: Vec<JudgedThreshold> = sla
            .thresholds
            .iter()
            .filter(|threshold| threshold.users.contains(outcome.load.users))
            .map(|threshold| judge::judge(outcome, threshold))
            .collect();
        let mut generator = GeneratorHealth::check(outcome, &thresholds);
        // Without thresholds there is no grade to invalidate, so the reason becomes a note.
        let generator_note = generator.invalid_reason.take_if(|_| thresholds.is_empty());
        let over_time = over_time::findings(outcome, sla);
        let grade = overall_grade(outcome, &thresholds, &over_time, &generator);
        Self {
            grade,
            sla: sla.name.clone(),
            reason: reason(outcome, grade, &thresholds, &over_time, &generator),
            notes: notes::collect(outcome, &thresholds).into_iter().chain(generator_note).collect(),
            thresholds,
            over_time,
            generator,
        }
    }

    /// Returns the number of thresholds with `grade`.
    #[must_use]
    pub fn count(&self, grade: Grade) -> usize {
        self.thresholds.iter().filter(|judged| judged.grade == grade).count()
    }
}

fn overall_grade(
    outcome: &Outcome,
    thresholds: &[JudgedThreshold],
    over_time: &[Finding],
    generator: &GeneratorHealth,
) -> Grade {
    if generator.invalid_reason.is_some() {
        return Grade::Invalid;
    }
    if thresholds.is_empty() {
        return Grade::Unjudged;
    }
    let judged = || thresholds.iter().filter(|judged| judged.grade != Grade::Insufficient);
    let findings =
        over_time.iter().filter(|finding| finding.affects_verdict()).map(|finding| finding.grade);
    let grades = judged().map(|judged| judged.grade).chain(findings);
    let worst = grades.max().unwrap_or(Grade::Insufficient);
    let complete = outcome.ended != Ended::Killed && unjudged_kinds(thresholds).is_empty();
    if worst == Grade::Fail || complete { worst } else { Grade::Insufficient }
}

/// Returns the kinds of thresholds of which none could be judged.
fn unjudged_kinds(thresholds: &[JudgedThreshold]) -> Vec<ThresholdKind> {
    let mut kinds: Vec<ThresholdKind> =
        thresholds.iter().map(|judged| judged.threshold.kind()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.retain(|kind| {
        let mut of_kind = thresholds.iter().filter(|judged| judged.threshold.kind() == *kind);
        of_kind.all(|judged| judged.grade == Grade::Insufficient)
    });
    kinds
}

fn reason(
    outcome: &Outcome,
    grade: Grade,
    thresholds: &[JudgedThreshold],
    over_time: &[Finding],
    generator: &GeneratorHealth,
) -> String {
    if let Some(invalid_reason) = &generator.invalid_reason {
        return invalid_reason.clone();
    }
    let all_with = |grade| -> String {
        let judged = thresholds.iter().filter(|judged| judged.grade == grade);
        let findings = over_time
            .iter()
            .filter(|finding| finding.affects_verdict() && finding.grade == grade)
            .map(|finding| format!("{}: {}", finding.name, finding.summary));
        let sentences: Vec<String> = judged.map(JudgedThreshold::summary).chain(findings).collect();
        sentences.join("; ")
    };
    match grade {
        Grade::Pass => {
            let met = thresholds.iter().filter(|judged| judged.grade == Grade::Pass).count();
            format!("{met} of {} thresholds judged, all of them met", thresholds.len())
        }
        Grade::Warning | Grade::Fail => all_with(grade),
        Grade::Unjudged => describe_load(outcome),
        _ if over_time
            .iter()
            .any(|finding| finding.affects_verdict() && finding.grade == grade) =>
        {
            all_with(grade)
        }
        _ if outcome.ended == Ended::Killed => {
            "the run was killed before its end, so the thresholds cannot be called met".into()
        }
        _ => "too few requests to judge: run longer or use a larger --time-scale".into(),
    }
}

/// Describes the judged load of a run without thresholds.
fn describe_load(outcome: &Outcome) -> String {
    let stages = outcome.load.stages.iter().filter(|stage| stage.judged);
    let spans: Vec<Range<u32>> = stages.map(Stage::seconds).collect();
    let judged = outcome.tally_judged();
    let (rate, _) = usage::throughput(&judged, &spans);
    let p95 = judged.latency.quantile_ms(0.95);
    format!(
        "{:.1} successful responses per second, P95 {}, errors: {}; no thresholds apply to this load",
        rate.unwrap_or_default(),
        p95.map_or_else(|| "n/a".to_owned(), format_ms),
        judged.counts.errors(),
    )
}

impl JudgedThreshold {
    /// Describes the measured value and the threshold.
    #[must_use]
    pub fn summary(&self) -> String {
        let Threshold { subject, metric, .. } = &self.threshold;
        let limit = self.threshold.format_limit();
        match self.measured {
            Some(measured) => {
                let measured = metric.format(measured);
                let when = self.when();
                format!("{subject}: {metric} {measured}{when}, threshold {limit}")
            }
            None if *metric == Metric::SecondsToHealthy => {
                format!("{subject}: no response from /health after the load, threshold {limit}")
            }
            None => {
                let when = self.when();
                format!("{subject}: {metric} not measured{when}, threshold {limit}")
            }
        }
    }

    /// Describes the stage and the window; empty where the threshold applies to the judged stages
    /// as a whole.
    fn when(&self) -> String {
        let display = |second: u32| duration::format(second.into());
        let stage = match &self.threshold.during {
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
    use crate::{failure::FailureKind, report::example};

    fn verdict(change: impl FnOnce(&mut Outcome)) -> Verdict {
        let mut outcome = example::outcome();
        change(&mut outcome);
        let sla = outcome.sla.clone();
        Verdict::judge(&outcome, &sla)
    }

    fn fail_some(outcome: &mut Outcome, kind: FailureKind, every: u64) {
        for cell in &mut outcome.endpoints[0].cells {
            let failed = cell.counts.sent / every;
            for _ in 0..failed {
                cell.counts.succeeded -= 1;
                cell.counts.count(Some(kind));
            }
        }
    }

    #[test]
    fn a_service_that_meets_every_threshold_passes() {
        let verdict = verdict(|_| ());
        assert_eq!(verdict.grade, Grade::Pass, "{}", verdict.reason);
    }

    #[test]
    fn without_thresholds_a_busy_generator_is_only_a_note() {
        let mut outcome = example::outcome();
        outcome.samples.iter_mut().for_each(|sample| sample.generator_cpu = Some(0.9));
        assert_eq!(Verdict::judge(&outcome, &outcome.sla).grade, Grade::Invalid);
        outcome.sla.thresholds.clear();
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        assert_eq!(verdict.grade, Grade::Unjudged);
        assert!(verdict.notes.iter().any(|note| note.contains("cannot be trusted")));
    }

    #[test]
    fn a_killed_run_can_violate_thresholds_but_never_meet_them() {
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
    fn errors_within_the_tolerance_warn_and_beyond_it_fail() {
        let within = verdict(|outcome| fail_some(outcome, FailureKind::ServerError, 10));
        assert_eq!(within.grade, Grade::Warning, "{}", within.reason);
        let beyond = verdict(|outcome| fail_some(outcome, FailureKind::ServerError, 2));
        assert_eq!(beyond.grade, Grade::Fail, "{}", beyond.reason);
        assert!(beyond.reason.contains("errors"), "{}", beyond.reason);
    }

    #[test]
    fn a_service_unavailable_after_the_run_fails() {
        let verdict = verdict(|outcome| outcome.target.healthy_after_s = None);
        assert_eq!(verdict.grade, Grade::Fail);
        assert!(verdict.reason.contains("no response from /health"), "{}", verdict.reason);
    }

    #[test]
    fn a_restarted_service_fails_even_if_it_is_healthy_again() {
        let verdict = verdict(|outcome| {
            for sample in outcome.samples.iter_mut().skip(9) {
                sample.service.started_at = Some(1_800_000_000.0);
            }
        });
        assert_eq!(verdict.grade, Grade::Fail);
        assert_eq!(verdict.reason, "the service: restarts 1, threshold 0");
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
                endpoint.cells.clear();
            }
        });
        assert_eq!(verdict.grade, Grade::Insufficient);
        assert_eq!(verdict.count(Grade::Pass), 2, "only health and restarts could be judged");
    }

    #[test]
    fn thresholds_for_other_loads_are_left_out() {
        let verdict = verdict(|outcome| outcome.load.users = 150);
        let errors = verdict
            .thresholds
            .iter()
            .filter(|judged| judged.threshold.kind() == ThresholdKind::Errors);
        let from_users: Vec<u32> = errors.map(|judged| judged.threshold.users.from).collect();
        assert_eq!(from_users, [101]);
    }

    #[test]
    fn a_scaled_run_has_a_note() {
        let verdict = verdict(|outcome| outcome.load.time_scale = 0.1);
        assert!(verdict.notes[0].contains("scaled by 0.1"), "{:?}", verdict.notes);
    }
}
