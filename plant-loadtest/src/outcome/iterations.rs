//! Stages with a fixed number of iterations: what was run of them, and how long that took.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::load::Stage;

/// The iterations that were run in a stage with a fixed number of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageIterations {
    /// Name of the stage.
    pub stage: String,
    /// Number of users that ran at least one.
    pub users: u32,
    /// Number of iterations that started before the end of the stage.
    pub started: u32,
    /// Seconds from the start of the stage until the last of them ended.
    pub duration_s: f64,
}

impl Outcome {
    /// Returns how many iterations of `stage` were run; 0 if that is not known, as of a killed run.
    #[must_use]
    pub fn iterations_of(&self, stage: &Stage) -> u32 {
        self.find_iterations(stage).map_or(0, |found| found.started)
    }

    /// Returns the stages of which not all iterations were run.
    pub fn incomplete_stages(&self) -> impl Iterator<Item = &Stage> {
        let stages = self.load.stages.iter();
        stages.filter(|stage| self.iterations_of(stage) < stage.iterations)
    }

    /// Returns the length of `span` in seconds, without the pauses that follow the last iteration of a
    /// stage.
    #[must_use]
    pub fn busy_s(&self, span: &Range<u32>) -> f64 {
        let pauses = self.load.stages.iter().filter_map(|stage| {
            let pause = self.pause_start(stage)?.max(span.start.into());
            Some((f64::from(stage.to_s.min(span.end)) - pause).max(0.0))
        });
        f64::from(span.end.saturating_sub(span.start)) - pauses.sum::<f64>()
    }

    /// Returns `spans` without the whole seconds of the pauses that follow the last iteration of a stage.
    #[must_use]
    pub fn busy_spans(&self, spans: &[Range<u32>]) -> Vec<Range<u32>> {
        let pauses = self.load.stages.iter().filter_map(|stage| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "seconds of a run are not negative, and a float's cast to an integer saturates"
            )]
            let start = self.pause_start(stage)?.ceil() as u32;
            Some(start..stage.to_s)
        });
        let mut busy = spans.to_vec();
        for pause in pauses {
            busy = busy.into_iter().flat_map(|span| without(&span, &pause)).collect();
        }
        busy
    }

    /// Returns when the pause after the last iteration of `stage` began, in seconds of the run; `None` if
    /// there was none.
    fn pause_start(&self, stage: &Stage) -> Option<f64> {
        let found = self.find_iterations(stage)?;
        let start = f64::from(stage.from_s) + found.duration_s;
        (found.started >= stage.iterations && start < f64::from(stage.to_s)).then_some(start)
    }

    fn find_iterations(&self, stage: &Stage) -> Option<&StageIterations> {
        self.iterations.iter().find(|found| found.stage == stage.name)
    }
}

/// Returns what is left of `span` before and after `part`.
fn without(span: &Range<u32>, part: &Range<u32>) -> impl Iterator<Item = Range<u32>> + use<> {
    let before = span.start..span.end.min(part.start);
    let after = span.start.max(part.end)..span.end;
    [before, after].into_iter().filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::report::example;

    /// Returns a run of stages `a` (seconds 0 to 10) and `b` (10 to 20), of whose 5 iterations these many
    /// were started, the last of which ended after these seconds.
    fn outcome(a: (u32, f64), b: (u32, f64)) -> Outcome {
        let mut outcome = example::outcome();
        let stage = |name: &str, from_s, to_s| Stage {
            name: name.into(),
            iterations: 5,
            from_s,
            to_s,
            ..Stage::default()
        };
        outcome.load.stages = vec![stage("a", 0, 10), stage("b", 10, 20)];
        let run = [("a", a), ("b", b)].into_iter().map(|(name, (started, duration_s))| {
            StageIterations { stage: name.into(), users: 1, started, duration_s }
        });
        outcome.iterations = run.collect();
        outcome
    }

    #[test]
    fn the_pause_after_the_last_iteration_is_no_time_of_the_load() {
        let outcome = outcome((5, 2.25), (5, 4.0));
        let busy = |from, to| outcome.busy_s(&(from..to));
        assert_eq!([busy(0, 10), busy(10, 20), busy(0, 20)], [2.25, 4.0, 6.25]);
        assert_eq!([busy(0, 2), busy(2, 5), busy(5, 12)], [2.0, 0.25, 2.0], "parts of stages");
        assert_eq!(outcome.busy_spans(from_ref(&(0..20))), [0..3, 10..14]);
        assert_eq!(outcome.busy_spans(&[4..9, 12..18, 19..20]), from_ref(&(12..14)));
        assert_eq!(outcome.incomplete_stages().count(), 0);
    }

    #[test]
    fn a_stage_that_was_not_completed_has_no_pause() {
        let outcome = outcome((4, 2.0), (5, 11.0));
        assert_eq!(outcome.busy_s(&(0..20)), 20.0, "b took longer than planned");
        assert_eq!(outcome.busy_spans(from_ref(&(0..20))), from_ref(&(0..20)));
        let incomplete: Vec<&str> =
            outcome.incomplete_stages().map(|stage| stage.name.as_str()).collect();
        assert_eq!(incomplete, ["a"]);
        let killed = Outcome { iterations: Vec::new(), ..outcome };
        assert_eq!(killed.incomplete_stages().count(), 2);
    }
}
