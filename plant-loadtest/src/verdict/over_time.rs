//! Findings about the course of a run: memory growth, drift, recovery.

use super::{
    Grade,
    coverage::MIN_COVERAGE,
    drift::Drift,
    generator,
    leak::Leak,
    recovery::{RECOVERY, Recovery},
};
use crate::{
    duration,
    outcome::Outcome,
    sla::{DriftLimit, MemoryGrowthLimit, RecoveryLimit, Sla},
    statistics::as_f64,
};

/// Default limits where the SLA sets none; the finding then does not affect the verdict.
const DEFAULT_GROWTH: MemoryGrowthLimit =
    MemoryGrowthLimit { below_percent: 20.0, over_s: 86_400.0 };
const DEFAULT_DRIFT: DriftLimit = DriftLimit { below_percent: 20.0, window_s: 300 };
const DEFAULT_RECOVERY: RecoveryLimit = RecoveryLimit { within_percent: 10.0 };

/// Fraction of the period of the memory limit that the judged span must cover for an INSUFFICIENT
/// finding to affect the verdict.
const MIN_PERIOD_FRACTION: f64 = 0.5;

/// Result of one check of the course of a run: of memory growth, drift, recovery or settling.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Name for reports.
    pub name: &'static str,
    /// The grade. Reports print INSUFFICIENT as INCONCLUSIVE ([`Finding::label`]).
    pub grade: Grade,
    /// Whether the SLA sets the limit; a finding by a default limit does not affect the verdict.
    /// Always false for settling.
    pub in_sla: bool,
    /// Whether INSUFFICIENT affects the verdict: the run was long enough that a result could be
    /// expected, or what was measured does not fit a PASS.
    pub must_decide: bool,
    /// Description of the limit.
    pub limit: String,
    /// Summary of what was measured.
    pub summary: String,
}

impl Finding {
    /// Returns the grade for reports. Without a limit in the SLA a FAIL becomes a WARNING.
    #[must_use]
    pub fn reported_grade(&self) -> Grade {
        match self.grade {
            Grade::Fail if !self.in_sla => Grade::Warning,
            grade => grade,
        }
    }

    /// Returns the name of the grade that reports print. Without a limit in the SLA nothing is violated:
    /// what would be is a NOTICE.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self.reported_grade() {
            Grade::Insufficient => "INCONCLUSIVE",
            Grade::Warning if !self.in_sla => "NOTICE",
            grade => grade.name(),
        }
    }

    /// Returns whether the finding affects the verdict.
    #[must_use]
    pub fn affects_verdict(&self) -> bool {
        self.in_sla && (self.grade != Grade::Insufficient || self.must_decide)
    }
}

/// Returns the findings about `outcome`, except those for which it has no data and the SLA sets no
/// limit.
#[must_use]
pub fn findings(outcome: &Outcome, sla: &Sla) -> Vec<Finding> {
    let latencies = [drift(outcome, sla), recovery(outcome, sla)].into_iter().flatten();
    let latencies = latencies.map(|finding| without_freezes(outcome, finding));
    leak(outcome, sla).into_iter().chain(latencies).collect()
}

/// Returns a finding about latencies; one that the load generator may have caused is not decidable.
fn without_freezes(outcome: &Outcome, finding: Finding) -> Finding {
    let run = 0..outcome.planned_seconds();
    match generator::freeze_note(outcome, &run) {
        Some(note) if matches!(finding.grade, Grade::Warning | Grade::Fail) => Finding {
            grade: Grade::Insufficient,
            summary: format!("{}; {note}, which may be why", finding.summary),
            ..finding
        },
        _ => finding,
    }
}

fn leak(outcome: &Outcome, sla: &Sla) -> Option<Finding> {
    let judged = outcome.judged_span();
    let samples = outcome.samples.iter().filter(|sample| judged.contains(&sample.second));
    let memory: Vec<(f64, f64)> = samples
        .filter_map(|sample| Some((f64::from(sample.second), sample.service.memory_bytes?)))
        .collect();
    let in_sla = sla.over_time.memory_growth.is_some();
    if memory.is_empty() && !in_sla {
        return None;
    }
    let limit = sla.over_time.memory_growth.unwrap_or(DEFAULT_GROWTH);
    let leak = Leak::detect(&memory, limit);
    let judged_s = f64::from(judged.end.saturating_sub(judged.start));
    let sampled = as_f64(memory.len());
    let needed_s = Leak::min_judged_s(limit);
    let is_short = outcome.duration_s.min(judged.end.into()) < f64::from(judged.start) + needed_s;
    if is_short && !in_sla && leak.grade != Grade::Warning {
        return None;
    }
    let (grade, summary) = match leak.grade {
        _ if is_short && !leak.exceeds_total => (
            Grade::Insufficient,
            format!("run too short for a leak verdict (needs {})", minutes(needed_s)),
        ),
        Grade::Pass if sampled < judged_s * MIN_COVERAGE => (
            Grade::Insufficient,
            format!("memory was sampled in {sampled:.0} of {judged_s:.0} seconds"),
        ),
        grade => (grade, leak.summary),
    };
    Some(Finding {
        name: "memory growth",
        grade,
        in_sla,
        must_decide: leak.exceeds_total || judged_s >= limit.over_s * MIN_PERIOD_FRACTION,
        limit: format!("≤ {} % in {}", limit.below_percent, hours(limit.over_s)),
        summary,
    })
}

fn drift(outcome: &Outcome, sla: &Sla) -> Option<Finding> {
    let limit = sla.over_time.drift.unwrap_or(DEFAULT_DRIFT);
    let in_sla = sla.over_time.drift.is_some();
    let judged = outcome.judged_span();
    if !in_sla && judged.end - judged.start < 2 * limit.window_s {
        // Half a minute against half a minute shows how a service warms up.
        return None;
    }
    let (grade, summary) = match Drift::detect(outcome, limit) {
        // The limit is one of memory, too.
        Some(Drift { grade: Grade::Pass, memory_bytes: None, summary, .. }) if in_sla => {
            (Grade::Insufficient, format!("{summary}; memory was not sampled"))
        }
        Some(drift) => (drift.grade, drift.summary),
        None if in_sla => {
            let summary = "the judged stages are too short, or differ in load".to_owned();
            (Grade::Insufficient, summary)
        }
        None => return None,
    };
    Some(Finding {
        name: "drift",
        grade,
        in_sla,
        must_decide: true,
        limit: format!("increase ≤ {} %", limit.below_percent),
        summary,
    })
}

fn recovery(outcome: &Outcome, sla: &Sla) -> Option<Finding> {
    let in_sla = sla.over_time.recovery.is_some();
    let percent = sla.over_time.recovery.unwrap_or(DEFAULT_RECOVERY).within_percent;
    let found = Recovery::detect(outcome, percent);
    let (name, grade, summary) = match found.filter(|found| !in_sla || found.name == RECOVERY) {
        Some(found) => (found.name, found.grade, found.summary),
        None if in_sla => {
            let summary = "the load has no spike with a constant load before it".to_owned();
            (RECOVERY, Grade::Insufficient, summary)
        }
        None => return None,
    };
    Some(Finding {
        name,
        grade,
        in_sla,
        must_decide: true,
        limit: format!("P95 and queue depth within {percent} % of the baseline"),
        summary,
    })
}

/// Formats seconds, above two minutes rounded up to minutes.
fn minutes(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float's cast to an integer saturates"
    )]
    let seconds = seconds.ceil() as u64;
    duration::format(if seconds > 120 { seconds.next_multiple_of(60) } else { seconds })
}

fn hours(seconds: f64) -> String {
    format!("{} h", seconds / 3600.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcome::ResourceSample, report::example, sla::OverTime, verdict::Verdict};

    fn leaking(limit: Option<MemoryGrowthLimit>) -> Verdict {
        let mut outcome = example::outcome();
        // Memory doubles in 12 hours.
        outcome.load.stages[1].to_s = 43_205;
        outcome.duration_s = 43_205.2;
        let sample = outcome.samples[10].clone();
        outcome.samples = (0..43_205)
            .map(|second| {
                let mut sample = ResourceSample { second, ..sample.clone() };
                sample.service.memory_bytes = Some(1e8 * (1.0 + f64::from(second) / 43_200.0));
                sample
            })
            .collect();
        outcome.sla.over_time = OverTime { memory_growth: limit, ..OverTime::default() };
        Verdict::judge(&outcome, &outcome.sla)
    }

    #[test]
    fn a_leak_fails_where_the_sla_limits_memory_growth() {
        let verdict = leaking(Some(DEFAULT_GROWTH));
        assert_eq!(verdict.grade, Grade::Fail);
        assert_eq!(verdict.over_time[0].limit, "≤ 20 % in 24 h");
        assert!(verdict.reason.contains("memory growth: leak"), "{}", verdict.reason);
    }

    #[test]
    fn memory_must_be_sampled_in_four_fifths_of_the_seconds_for_a_pass() {
        let mut outcome = example::outcome();
        // 90 judged seconds.
        outcome.load.stages[1].to_s += 60;
        outcome.duration_s += 60.0;
        let limit = MemoryGrowthLimit { below_percent: 20.0, over_s: 60.0 };
        outcome.sla.over_time = OverTime { memory_growth: Some(limit), ..OverTime::default() };
        let sample = outcome.samples[20].clone();
        let grade = |seconds: u32| {
            let samples =
                (5..5 + seconds).map(|second| ResourceSample { second, ..sample.clone() });
            let outcome = Outcome { samples: samples.collect(), ..outcome.clone() };
            leak(&outcome, &outcome.sla).unwrap().grade
        };
        assert_eq!([90, 72, 71].map(grade), [Grade::Pass, Grade::Pass, Grade::Insufficient]);
    }

    #[test]
    fn without_a_limit_only_what_was_measured_is_reported() {
        let find = |change: fn(&mut Outcome), name: &str| {
            let mut outcome = example::outcome();
            change(&mut outcome);
            let mut found = findings(&outcome, &outcome.sla).into_iter();
            found.find(|finding| finding.name == name).map(|finding| finding.grade)
        };
        let no_memory: fn(&mut Outcome) = |outcome| {
            for sample in &mut outcome.samples {
                sample.service.memory_bytes = None;
            }
        };
        let ten_minutes: fn(&mut Outcome) = |outcome| outcome.load.stages[1].to_s = 605;
        assert_eq!(find(ten_minutes, "drift"), Some(Grade::Insufficient));
        assert_eq!(find(no_memory, "drift"), None, "half a minute");
        assert_eq!(find(no_memory, "memory growth"), None);
        assert_eq!(find(|outcome| drop(outcome.load.stages.remove(0)), RECOVERY), None);
    }

    #[test]
    fn a_run_too_short_for_a_leak_verdict_says_how_long_it_needs() {
        let find = |in_sla: bool, seconds: u32| {
            let mut outcome = example::outcome();
            outcome.load.stages[1].to_s = 5 + seconds;
            outcome.duration_s = f64::from(5 + seconds);
            let sample = outcome.samples[10].clone();
            let samples =
                (0..5 + seconds).map(|second| ResourceSample { second, ..sample.clone() });
            outcome.samples = samples.collect();
            outcome.sla.over_time.memory_growth = in_sla.then_some(DEFAULT_GROWTH);
            leak(&outcome, &outcome.sla).map(|finding| (finding.grade, finding.summary))
        };
        let (grade, summary) = find(true, 30).unwrap();
        assert_eq!(grade, Grade::Insufficient);
        assert_eq!(summary, "run too short for a leak verdict (needs 1h7m)");
        assert_eq!(find(true, 3_900).unwrap(), (grade, summary), "constant memory proves nothing");
        assert_eq!(find(true, 4_000).unwrap().0, Grade::Pass);
        assert_eq!(find(false, 600), None, "nothing to say without a limit");
    }

    #[test]
    fn drift_that_the_generator_may_have_caused_is_not_decidable() {
        let mut outcome = example::outcome();
        outcome.sla.over_time.drift = Some(DEFAULT_DRIFT);
        let freeze = |outcome: &mut Outcome| {
            let lag = &mut outcome.samples[25].generator_timer_lag;
            lag.record(std::time::Duration::from_millis(300));
        };
        let cells = outcome.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.cells);
        for cell in cells.filter(|cell| cell.second >= 20) {
            for _ in 0..50 {
                cell.latency.record(std::time::Duration::from_millis(300));
            }
        }
        let drift = |outcome: &Outcome| {
            let found = findings(outcome, &outcome.sla);
            found.into_iter().find(|finding| finding.name == "drift").unwrap()
        };
        assert_eq!(drift(&outcome).grade, Grade::Fail);
        freeze(&mut outcome);
        let frozen = drift(&outcome);
        assert_eq!(frozen.grade, Grade::Insufficient);
        assert!(frozen.summary.contains("stood still for 300 ms"), "{}", frozen.summary);
        let mut steady = example::outcome();
        steady.sla.over_time.drift = Some(DEFAULT_DRIFT);
        freeze(&mut steady);
        assert_eq!(drift(&steady).grade, Grade::Pass, "it caused none");
    }

    #[test]
    fn without_a_limit_a_fail_is_reported_as_a_warning() {
        let reported = |grade, in_sla| {
            let finding = Finding {
                name: "drift",
                grade,
                in_sla,
                must_decide: true,
                limit: String::new(),
                summary: String::new(),
            };
            (finding.reported_grade(), finding.label())
        };
        assert_eq!(reported(Grade::Fail, true), (Grade::Fail, "FAIL"));
        assert_eq!(reported(Grade::Fail, false), (Grade::Warning, "NOTICE"));
        assert_eq!(reported(Grade::Warning, true), (Grade::Warning, "WARNING"));
        assert_eq!(reported(Grade::Pass, false), (Grade::Pass, "PASS"));
        let undecided = (Grade::Insufficient, "INCONCLUSIVE");
        assert_eq!(reported(Grade::Insufficient, true), undecided);
    }

    #[test]
    fn settling_never_affects_the_verdict() {
        let outcome = example::outcome();
        let found = findings(&outcome, &outcome.sla);
        let settling = found.iter().find(|finding| finding.name == "settling").unwrap();
        assert!(!settling.in_sla && !settling.affects_verdict());
    }

    #[test]
    fn a_limit_that_the_run_could_not_be_judged_by_is_never_a_pass() {
        let grade = |over_time: OverTime, change: fn(&mut Outcome)| {
            let mut outcome = example::outcome();
            outcome.sla.over_time = over_time;
            change(&mut outcome);
            let verdict = Verdict::judge(&outcome, &outcome.sla);
            (verdict.grade, verdict.reason)
        };
        let nothing = OverTime::default();
        let memory = OverTime {
            memory_growth: Some(MemoryGrowthLimit { below_percent: 20.0, over_s: 60.0 }),
            ..nothing
        };
        let drift =
            OverTime { drift: Some(DriftLimit { below_percent: 1e6, window_s: 10 }), ..nothing };
        let recovery =
            OverTime { recovery: Some(RecoveryLimit { within_percent: 10.0 }), ..nothing };
        let no_memory: fn(&mut Outcome) = |outcome| {
            for sample in &mut outcome.samples {
                sample.service.memory_bytes = None;
            }
        };
        let half_of_the_memory: fn(&mut Outcome) = |outcome| {
            outcome.load.stages[1].to_s += 60;
            outcome.duration_s += 60.0;
            let sample = outcome.samples[20].clone();
            outcome.samples =
                (0..95).map(|second| ResourceSample { second, ..sample.clone() }).collect();
            for sample in outcome.samples.iter_mut().step_by(2) {
                sample.service.memory_bytes = None;
            }
        };
        let ramps: fn(&mut Outcome) = |outcome| outcome.load.stages[1].from_users = 1;
        for (limits, change) in [
            (memory, no_memory),
            (memory, half_of_the_memory),
            (drift, no_memory),
            (drift, ramps),
            (recovery, |_| {}),
        ] {
            let (grade, reason) = grade(limits, change);
            assert_eq!(grade, Grade::Insufficient, "{limits:?}: {reason}");
        }
        assert_eq!(grade(drift, |_| {}).0, Grade::Pass);
        assert_eq!(grade(nothing, no_memory).0, Grade::Pass);
    }

    #[test]
    fn without_a_limit_a_leak_does_not_affect_the_verdict() {
        let verdict = leaking(None);
        assert_eq!(verdict.grade, Grade::Pass);
        assert!(verdict.over_time.iter().any(|finding| finding.grade == Grade::Fail));
    }
}
