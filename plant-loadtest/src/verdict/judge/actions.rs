//! Judges the actions of a run.

use super::{as_f64, from_value, judged, nothing_measured};
use crate::{
    outcome::Outcome,
    sla::Threshold,
    verdict::{Grade, JudgedThreshold},
};

/// How much later than the load an action may end, in seconds: their clocks start with different users.
const MAX_LATE_END_S: f64 = 0.5;

/// Judges the number of failed actions. It is not decidable if a planned action was not started, as in a run
/// that was cut short, or if one outlasted the load, so that nothing was measured during its end.
pub(super) fn judge_failed(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    let (planned, started) = (outcome.load.actions.len(), outcome.actions.len());
    if planned == 0 {
        return nothing_measured(threshold);
    }
    let failed = as_f64(outcome.failed_actions() as u64);
    let judged = judged(threshold, from_value(threshold, Some(failed), started as u64));
    if judged.grade == Grade::Pass && started < planned {
        return judged.not_decidable(format!("only {started} of {planned} actions were started"));
    }
    let load_s = outcome.duration_s + MAX_LATE_END_S;
    let mut actions = outcome.actions.iter();
    match actions.find(|action| action.started_s + action.duration_s > load_s) {
        Some(action) if judged.grade == Grade::Pass => {
            judged.not_decidable(format!("action {} outlasted the load", action.name))
        }
        _ => judged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        load::Action,
        outcome::ActionResult,
        report::example,
        sla::{During, Limit, Metric, Subject, UserRange},
        verdict::Verdict,
    };

    /// Returns a run with two actions, of which these were started: `true` succeeded.
    fn outcome(started: &[bool]) -> Outcome {
        let mut outcome = example::outcome();
        let action = |name: &str| Action {
            name: name.into(),
            at_s: 1.0,
            script: "run.sh".into(),
            args: Vec::new(),
        };
        outcome.load.actions = vec![action("backup"), action("migration")];
        let result = |(action, succeeded): (&Action, &bool)| ActionResult {
            name: action.name.clone(),
            started_s: 1.0,
            duration_s: 2.0,
            exit_code: Some(i32::from(!succeeded)),
            problem: (!succeeded).then(|| "exit code 1".into()),
            output: vec!["the last line".into()],
        };
        outcome.actions = outcome.load.actions.iter().zip(started).map(result).collect();
        outcome
    }

    fn grade(outcome: &Outcome, limit: Limit) -> Grade {
        let threshold = Threshold {
            subject: Subject::Run,
            metric: Metric::FailedActions,
            limit,
            fail_limit: Some(limit),
            users: UserRange::ANY,
            during: During::Run,
            ..outcome.sla.thresholds[0].clone()
        };
        judge_failed(outcome, &threshold).grade
    }

    #[test]
    fn a_failed_action_violates_and_one_that_was_not_started_is_not_decidable() {
        let none = Limit::at_most(0.0);
        assert_eq!(grade(&outcome(&[true, true]), none), Grade::Pass);
        assert_eq!(grade(&outcome(&[true, false]), none), Grade::Fail);
        assert_eq!(grade(&outcome(&[true, false]), Limit::at_most(1.0)), Grade::Pass);
        assert_eq!(grade(&outcome(&[true]), none), Grade::Insufficient);
        assert_eq!(grade(&outcome(&[false]), none), Grade::Fail, "whatever follows");
        assert_eq!(grade(&example::outcome(), none), Grade::Insufficient, "no actions");
        let mut late = outcome(&[true, true]);
        late.actions[1].duration_s = late.duration_s;
        assert_eq!(grade(&late, none), Grade::Insufficient, "outlasted the load");
    }

    #[test]
    fn actions_are_judged_without_a_threshold_of_the_sla_too() {
        let verdict = |outcome: &Outcome| Verdict::judge(outcome, &outcome.sla);
        let before = verdict(&example::outcome());
        assert_eq!(before.grade, Grade::Pass);
        let good = verdict(&outcome(&[true, true]));
        assert_eq!((good.grade, good.thresholds.len()), (Grade::Pass, before.thresholds.len() + 1));
        let failed = verdict(&outcome(&[true, false]));
        assert_eq!(failed.grade, Grade::Fail);
        assert!(failed.reason.contains("failed actions 1"), "{}", failed.reason);
        let note = "action migration failed after 2.0 s, started at 1.0 s: exit code 1; its last line: the \
                    last line";
        assert!(failed.notes.iter().any(|one| one == note), "{:?}", failed.notes);
        assert_eq!(verdict(&outcome(&[true])).grade, Grade::Insufficient);
    }
}
