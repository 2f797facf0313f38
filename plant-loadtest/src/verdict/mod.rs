//! Judges an outcome by the thresholds of an SLA. The verdict depends on nothing else.

mod coverage;
mod culprit;
mod decide;
mod default_thresholds;
pub mod drift;
mod excess;
mod generator;
mod judge;
pub mod leak;
pub mod leak_simulation;
mod notes;
pub mod over_time;
pub mod recovery;
#[cfg(test)]
mod tests;
mod usage;
mod waiting;
mod workers;

use std::ops::Range;

use serde::Serialize;

pub use generator::GeneratorHealth;
pub use over_time::Finding;
pub use waiting::Waiting;

use crate::{
    duration,
    outcome::{Ended, Outcome},
    sla::{During, Judging, Metric, Sla, Threshold, format_ms},
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
    /// Not decidable: too few samples, or not all of the run was measured.
    Insufficient,
    /// The load generator may have caused the results; for runs only.
    Invalid,
    /// Violated, beyond [`Threshold::fail_limit`].
    Fail,
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
    /// Why the threshold is not decidable; `None` unless the grade is INSUFFICIENT.
    pub undecided: Option<Undecided>,
    /// How the load generator may have caused the grade; `None` if it cannot have.
    pub invalid: Option<String>,
    /// How waiting for a free user explains the violation; `None` if it does not.
    pub waiting: Option<Waiting>,
    /// Which endpoint most of the errors come from, such as `25 of 26 from GET /items`; `None` unless
    /// the error rate of all requests is violated.
    pub culprit: Option<String>,
    /// The worst window, in seconds of the run, which determines the grade; `None` unless the
    /// threshold must be met in every window ([`Threshold::window_s`]).
    pub window: Option<Range<u32>>,
    /// The second at which its violation aborted the run; `None` unless it did.
    pub aborted_after_s: Option<u32>,
}

/// Why a threshold is not decidable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// The reason, as part of a sentence.
    pub reason: String,
    /// Number of samples that would decide it, if the measured values remained the same; `None` if
    /// that is not a question of samples.
    pub samples_needed: Option<u64>,
}

impl Undecided {
    /// Returns the reason of a threshold with too few samples.
    fn by_samples(samples: u64, needed: Option<u64>) -> Self {
        let reason = match needed {
            Some(needed) => format!("{samples} samples, {needed} would decide"),
            None => format!("{samples} samples, too close to the limit to decide"),
        };
        Self { reason, samples_needed: needed }
    }
}

/// Number of thresholds and findings that the reason of a verdict lists.
const MAX_REASONS: usize = 6;

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
    /// Judges `outcome` by the thresholds of `sla`, and by a default one for each endpoint whose
    /// errors the SLA does not limit.
    ///
    /// The grade of the run is, by the first of these rules that applies:
    ///
    /// 1. NO VERDICT if no threshold of the SLA applies to its number of users.
    /// 2. FAIL if that is the grade of a threshold that the load generator cannot have caused, or of a
    ///    finding that affects the verdict ([`Finding::affects_verdict`]).
    /// 3. INVALID if the load generator may have caused the grade of a threshold
    ///    ([`JudgedThreshold::invalid`]), or one of several load generators was lost.
    /// 4. INSUFFICIENT if the run was cut short, if a required threshold or a finding that affects the
    ///    verdict is not decidable, or if no threshold at all was met.
    /// 5. WARNING if that is the grade of a threshold or of a finding that affects the verdict.
    /// 6. PASS.
    #[must_use]
    pub fn judge(outcome: &Outcome, sla: &Sla) -> Self {
        let applies = |threshold: &&Threshold| threshold.users.contains(outcome.load.users);
        let by_sla: Vec<&Threshold> = sla.thresholds.iter().filter(applies).collect();
        let defaults = default_thresholds::missing(outcome, &by_sla);
        let mut thresholds: Vec<JudgedThreshold> = by_sla
            .into_iter()
            .map(|threshold| judge::judge(outcome, threshold, sla.judging))
            // A single request decides whether an endpoint fails always.
            .chain(defaults.iter().map(|default| judge::judge(outcome, default, Judging::Point)))
            .collect();
        for judged in &mut thresholds {
            judged.waiting = waiting::explain(outcome, judged);
            judged.culprit = culprit::describe(outcome, judged);
            let aborted = outcome.aborted.as_ref();
            let aborted = aborted.filter(|aborted| aborted.threshold == judged.threshold);
            judged.aborted_after_s = aborted.map(|aborted| aborted.after_s);
        }
        let generator = GeneratorHealth::check(outcome, &thresholds);
        // Without thresholds there is no grade to invalidate.
        let generator_note = generator::busy_note(outcome).filter(|_| thresholds.is_empty());
        let over_time = over_time::findings(outcome, sla);
        let grade = overall_grade(outcome, &thresholds, &over_time);
        Self {
            grade,
            sla: sla.name.clone(),
            reason: reason(outcome, grade, &thresholds, &over_time, &generator),
            notes: notes::collect(outcome, grade, &thresholds)
                .into_iter()
                .chain(generator_note)
                .collect(),
            thresholds,
            over_time,
            generator,
        }
    }

    /// Returns the grade for headings of reports. A PASS or WARNING names the thresholds that are not
    /// decidable, so that it never stands above rows that seem to contradict it.
    #[must_use]
    pub fn qualified_grade(&self) -> String {
        let undecided = || self.thresholds.iter().filter_map(|judged| judged.undecided.as_ref());
        let count = undecided().count();
        if count == 0 || !matches!(self.grade, Grade::Pass | Grade::Warning) {
            return self.grade.name().to_owned();
        }
        let short = match undecided().all(|undecided| undecided.samples_needed.is_some()) {
            true => "short run: ",
            false => "",
        };
        let all = self.thresholds.len();
        format!("{} ({short}{count} of {all} not decidable)", self.grade.name())
    }

    /// Returns the number of thresholds with `grade`.
    #[must_use]
    pub fn count(&self, grade: Grade) -> usize {
        self.thresholds.iter().filter(|judged| judged.grade == grade).count()
    }
}

/// Returns whether `threshold` is violated beyond its limit for failures by what an unfinished run has
/// measured so far, and the load generator cannot have caused that.
#[must_use]
pub fn is_failed(outcome: &Outcome, threshold: &Threshold, judging: Judging) -> bool {
    judge::judge(outcome, threshold, judging).reported_grade() == Grade::Fail
}

fn overall_grade(
    outcome: &Outcome,
    thresholds: &[JudgedThreshold],
    over_time: &[Finding],
) -> Grade {
    if thresholds.is_empty() {
        return Grade::Unjudged;
    }
    let findings =
        over_time.iter().filter(|finding| finding.affects_verdict()).map(|finding| finding.grade);
    let lost = workers::problem(outcome).map(|_| Grade::Invalid);
    let worst =
        thresholds.iter().map(JudgedThreshold::contribution).chain(findings).chain(lost).max();
    let worst = worst.unwrap_or(Grade::Pass);
    let is_any_met = thresholds.iter().any(|judged| judged.reported_grade() == Grade::Pass);
    let is_any_judged = outcome.load.stages.iter().any(|stage| stage.judged)
        || thresholds.iter().any(|judged| matches!(judged.threshold.during, During::Stages(_)));
    let decidable = outcome.ended == Ended::AsPlanned && is_any_met && is_any_judged;
    if decidable { worst } else { worst.max(Grade::Insufficient) }
}

fn reason(
    outcome: &Outcome,
    grade: Grade,
    thresholds: &[JudgedThreshold],
    over_time: &[Finding],
    generator: &GeneratorHealth,
) -> String {
    let all_with = |grade| -> String {
        let judged = thresholds.iter().filter(|judged| judged.contribution() == grade);
        let findings = over_time
            .iter()
            .filter(|finding| finding.affects_verdict() && finding.grade == grade)
            .map(|finding| format!("{}: {}", finding.name, finding.summary));
        // The endpoints that held the users are the cause; those that waited for one are counted.
        let (waited, mut caused): (Vec<_>, Vec<_>) = judged
            .filter(|judged| judged.grade == grade)
            .partition(|judged| judged.waiting.is_some() && judged.aborted_after_s.is_none());
        caused.sort_by_key(|judged| judged.aborted_after_s.is_none());
        let waited = (!waited.is_empty())
            .then(|| format!("{} more only by waiting for a free user", waited.len()));
        let caused = caused.into_iter().map(JudgedThreshold::summary);
        let sentences: Vec<String> = caused.chain(findings).chain(waited).collect();
        let more = match sentences.len().saturating_sub(MAX_REASONS) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let first: Vec<String> = sentences.into_iter().take(MAX_REASONS).collect();
        first.join("; ") + &more
    };
    match grade {
        Grade::Pass => {
            let met = thresholds.iter().filter(|judged| judged.grade == Grade::Pass).count();
            let inconclusive: Vec<&str> = over_time
                .iter()
                .filter(|finding| finding.in_sla && finding.grade == Grade::Insufficient)
                .map(|finding| finding.name)
                .collect();
            let inconclusive = match inconclusive[..] {
                [] => String::new(),
                _ => format!("; {} not decidable in so short a run", inconclusive.join(", ")),
            };
            let all = thresholds.len();
            match met == all {
                true if all == 1 => format!("the threshold was met{inconclusive}"),
                true => format!("all {met} thresholds met{inconclusive}"),
                false => format!("{met} of {all} thresholds met{inconclusive}"),
            }
        }
        Grade::Warning | Grade::Fail => all_with(grade),
        Grade::Unjudged => describe_load(outcome),
        Grade::Invalid => generator.invalid_reason.clone().unwrap_or_default(),
        Grade::Insufficient if is_load_complete(outcome) => {
            let waiting: u64 = outcome
                .completions
                .iter()
                .map(|completion| completion.cut_short_in(&(0..u32::MAX)))
                .sum();
            format!(
                "the run was interrupted while {waiting} items of accepted work had not ended, so the \
                 thresholds cannot be called met"
            )
        }
        Grade::Insufficient if outcome.ended != Ended::AsPlanned => format!(
            "the run was {} after {:.0} of {} seconds, so the thresholds cannot be called met",
            match outcome.ended {
                Ended::Killed => "killed",
                Ended::Aborted => "aborted",
                _ => "interrupted",
            },
            outcome.duration_s,
            outcome.planned_seconds()
        ),
        Grade::Insufficient => match all_with(grade) {
            all if all.is_empty() => "no threshold is decidable".to_owned(),
            all => format!("not decidable: {all}"),
        },
    }
}

/// Returns whether a run was interrupted only after its whole load, in the wait for accepted work.
fn is_load_complete(outcome: &Outcome) -> bool {
    outcome.ended == Ended::Interrupted
        && outcome.duration_s >= f64::from(outcome.planned_seconds())
        && outcome.completions.iter().any(|completion| completion.cut_short)
}

/// Describes the judged load of a run without thresholds.
fn describe_load(outcome: &Outcome) -> String {
    let stages = outcome.load.stages.iter().filter(|stage| stage.judged);
    let seconds = stages.map(|stage| outcome.busy_s(&stage.seconds())).sum();
    let judged = outcome.tally_judged();
    let (rate, _) = usage::throughput(&judged, seconds);
    let p95 = judged.latency.quantile_ms(0.95);
    format!(
        "{:.1} successful responses per second, P95 {}, errors: {}; no thresholds apply to this load",
        rate.unwrap_or_default(),
        p95.map_or_else(|| "n/a".to_owned(), format_ms),
        judged.counts.errors(),
    )
}

impl JudgedThreshold {
    /// Returns the worst grade of the run that follows from this threshold alone: PASS if it is not
    /// decidable but not required either, INVALID if the load generator may have caused its grade.
    #[must_use]
    pub fn contribution(&self) -> Grade {
        match self.reported_grade() {
            Grade::Insufficient if !self.threshold.required => Grade::Pass,
            grade => grade,
        }
    }

    /// Returns the grade that reports print: INVALID if the load generator may have caused it.
    #[must_use]
    pub fn reported_grade(&self) -> Grade {
        if self.invalid.is_some() { Grade::Invalid } else { self.grade }
    }

    /// Returns the grade as reports print it: NOT DECIDABLE for a threshold that is neither decidable nor
    /// required, because INSUFFICIENT would be the grade of the run.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self.reported_grade() {
            Grade::Insufficient if !self.threshold.required => "NOT DECIDABLE",
            grade => grade.name(),
        }
    }

    /// Returns the same threshold as not decidable for a reason that is not a question of samples.
    fn not_decidable(self, reason: String) -> Self {
        let undecided = Some(Undecided { reason, samples_needed: None });
        Self { grade: Grade::Insufficient, undecided, ..self }
    }

    /// Describes the measured value and the threshold.
    #[must_use]
    pub fn summary(&self) -> String {
        let Threshold { subject, metric, .. } = &self.threshold;
        let (limit, when) = (self.threshold.format_limit(), self.when());
        let measured = match self.measured {
            Some(measured) => format!("{metric} {}{when}", metric.format(measured)),
            None if *metric == Metric::SecondsToHealthy => {
                "no successful health check after the load".into()
            }
            None => format!("{metric} not measured{when}"),
        };
        let undecided = self.undecided.as_ref().map(|undecided| format!(" ({})", undecided.reason));
        let waiting = self.waiting.as_ref().map(|waiting| format!(" ({waiting})"));
        let culprit = self.culprit.as_ref().map(|culprit| format!(" ({culprit})"));
        let note = undecided.or(waiting).or(culprit).unwrap_or_default();
        let aborted = self.aborted_after_s.map(|second| {
            format!("; it aborted the run after {}", duration::format(second.into()))
        });
        format!("{subject}: {measured}, threshold {limit}{note}{}", aborted.unwrap_or_default())
    }

    /// Describes the stage and the window; empty where the threshold applies to the judged stages
    /// as a whole.
    fn when(&self) -> String {
        let display = |second: u32| duration::format(second.into());
        let stage = match &self.threshold.during {
            during @ During::Stages(_) => during.suffix(),
            During::Judged | During::Run => String::new(),
        };
        let window = self.window.as_ref().map(|window| {
            format!(" between {} and {}", display(window.start), display(window.end))
        });
        stage + &window.unwrap_or_default()
    }
}
