//! What the course of a run shows, beside its figures: leak, drift, recovery.

use super::{
    Grade,
    drift::{self, Drift},
    leak::{self, Leak},
    recovery::Recovery,
};
use crate::{
    outcome::Outcome,
    sla::{DriftLimit, MemoryGrowth, RecoveryLimit, Sla},
};

/// Used where the SLA promises nothing, for information only.
const USUAL_GROWTH: MemoryGrowth = MemoryGrowth { below_percent: 20.0, over_s: 86_400.0 };
const USUAL_DRIFT: DriftLimit = DriftLimit { below_percent: 20.0, window_s: 300 };
const USUAL_RECOVERY: RecoveryLimit = RecoveryLimit { within_percent: 10.0 };

/// From this share of the promised time on, a run that cannot tell leaves its verdict open.
const LONG_ENOUGH: f64 = 0.5;

/// One thing seen over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it is about.
    pub name: &'static str,
    /// How good it is; INSUFFICIENT reads INCONCLUSIVE in its sentence.
    pub grade: Grade,
    /// Whether the SLA promises anything of it, so that it takes part in the verdict.
    pub promised: bool,
    /// Whether not being able to tell leaves the verdict open: the run was long enough to tell.
    pub open: bool,
    /// The limit, in words.
    pub limit: String,
    /// What was seen, in words.
    pub sentence: String,
}

impl Finding {
    /// Its grade for reports: what nobody promised is no failure.
    #[must_use]
    pub fn shown(&self) -> Grade {
        match self.grade {
            Grade::Fail if !self.promised => Grade::Warning,
            grade => grade,
        }
    }

    /// Its grade as reports print it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.shown() {
            Grade::Insufficient => "INCONCLUSIVE",
            grade => grade.name(),
        }
    }

    /// Whether it takes part in the verdict.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.promised && (self.grade != Grade::Insufficient || self.open)
    }
}

/// Everything that can be told about the course of `outcome`.
#[must_use]
pub fn findings(outcome: &Outcome, sla: &Sla) -> Vec<Finding> {
    [leak(outcome, sla), drift(outcome, sla), recovery(outcome, sla)]
        .into_iter()
        .flatten()
        .collect()
}

fn leak(outcome: &Outcome, sla: &Sla) -> Option<Finding> {
    let judged = outcome.judged_seconds();
    let samples = outcome.samples.iter().filter(|sample| judged.contains(&sample.second));
    let memory: Vec<(f64, f64)> = samples
        .filter_map(|sample| Some((f64::from(sample.second), sample.service.memory_bytes?)))
        .collect();
    if memory.is_empty() {
        return None;
    }
    let promise = sla.over_time.memory_growth.unwrap_or(USUAL_GROWTH);
    let limit = leak::Limit { percent: promise.below_percent, over_s: promise.over_s };
    let leak = Leak::of(&memory, limit);
    let watched = f64::from(judged.end.saturating_sub(judged.start));
    let promised = sla.over_time.memory_growth.is_some();
    Some(Finding {
        name: "memory growth",
        grade: leak.grade,
        promised,
        open: watched >= promise.over_s * LONG_ENOUGH,
        limit: format!("≤ {} % in {}", promise.below_percent, hours(promise.over_s)),
        sentence: leak.sentence,
    })
}

fn drift(outcome: &Outcome, sla: &Sla) -> Option<Finding> {
    let promise = sla.over_time.drift.unwrap_or(USUAL_DRIFT);
    let limit = drift::Limit { percent: promise.below_percent, window_s: promise.window_s };
    let drift = Drift::of(outcome, limit)?;
    Some(Finding {
        name: "drift",
        grade: drift.grade,
        promised: sla.over_time.drift.is_some(),
        open: true,
        limit: format!("≤ {} % more", promise.below_percent),
        sentence: drift.sentence,
    })
}

fn recovery(outcome: &Outcome, sla: &Sla) -> Option<Finding> {
    let promise = sla.over_time.recovery.unwrap_or(USUAL_RECOVERY);
    let recovery = Recovery::of(outcome, promise.within_percent)?;
    Some(Finding {
        name: recovery.name,
        grade: recovery.grade,
        promised: sla.over_time.recovery.is_some() && recovery.name == "recovery",
        open: true,
        limit: format!("P95 and queue within {} % of before", promise.within_percent),
        sentence: recovery.sentence,
    })
}

fn hours(seconds: f64) -> String {
    format!("{} h", seconds / 3600.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::example, sla::OverTime, verdict::Verdict};

    fn leaking(promise: Option<MemoryGrowth>) -> Verdict {
        let mut outcome = example::outcome();
        // Seconds stand for minutes here: 12 hours in which memory doubles.
        outcome.load.stages[1].to_s = 43_200;
        let looks: Vec<_> = (0..720)
            .map(|minute| {
                let mut sample = outcome.samples[10].clone();
                sample.second = 5 + minute * 60;
                sample.service.memory_bytes = Some(1e8 * (1.0 + f64::from(minute) / 720.0));
                sample
            })
            .collect();
        outcome.samples = looks;
        outcome.sla.over_time = OverTime { memory_growth: promise, ..OverTime::default() };
        Verdict::of(&outcome, &outcome.sla)
    }

    #[test]
    fn a_leak_fails_where_the_sla_promises_that_there_is_none() {
        let verdict = leaking(Some(USUAL_GROWTH));
        assert_eq!(verdict.grade, Grade::Fail);
        assert!(verdict.reason.contains("memory growth: leaks"), "{}", verdict.reason);
    }

    #[test]
    fn without_a_promise_a_leak_is_told_and_nothing_more() {
        let verdict = leaking(None);
        assert_eq!(verdict.grade, Grade::Pass);
        assert!(verdict.over_time.iter().any(|finding| finding.grade == Grade::Fail));
    }
}
