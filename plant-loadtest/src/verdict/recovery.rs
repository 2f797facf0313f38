//! How long the service takes to be itself again after a spike.

use std::ops::Range;

use super::Grade;
use crate::{
    outcome::{Model, Outcome},
    profile::Stage,
    sla::milliseconds,
    statistics::median,
};

/// A P95 takes at least this many requests.
const LEAST_REQUESTS: u64 = 20;

/// The window that slides over the time after the spike, in seconds, while traffic is dense.
const WINDOW_S: u32 = 5;

/// It grows with thin traffic, but no further than this.
const LONGEST_WINDOW_S: u32 = 60;

/// A queue this short counts as empty, whatever it was before.
const EMPTY_QUEUE: f64 = 1.0;

/// A spike, and the time after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// "recovery", or "settling" where the load stayed as high as it had become.
    pub name: &'static str,
    /// PASS: recovered. FAIL: not while the run lasted. INSUFFICIENT: too few requests to say.
    pub grade: Grade,
    /// Seconds from the end of the spike until P95 and queue were back; `None` when they were not.
    pub seconds: Option<u32>,
    /// P95 before the spike, in milliseconds.
    pub before_p95_ms: Option<f64>,
    /// In words.
    pub sentence: String,
}

impl Recovery {
    /// Looks for the first moment after the highest load from which P95 and queue are within
    /// `percent` of what they were before it, and stay there for a while.
    ///
    /// A load that rises and stays has no before: then the moment counts from the end of the rise,
    /// and what is to be reached is the second half of what follows. `None` without a rise.
    #[must_use]
    pub fn of(outcome: &Outcome, percent: f64) -> Option<Self> {
        let Spike { kind, name, before, after } = spike(outcome).or_else(|| rise(outcome))?;
        let calm = outcome.over(&before);
        let before_p95_ms =
            calm.latency.quantile_ms(0.95).filter(|_| calm.latency.len() >= LEAST_REQUESTS);
        let Some(p95) = before_p95_ms else {
            let sentence = format!("too few requests to know what is normal around {name}");
            let grade = Grade::Insufficient;
            return Some(Self { name: kind, grade, seconds: None, before_p95_ms, sentence });
        };
        let allowed = 1.0 + percent / 100.0;
        let queue_before = queue(outcome, &before);
        let highest = Highest {
            p95_ms: p95 * allowed,
            queue: queue_before.map(|depth| (depth * allowed).max(depth + EMPTY_QUEUE)),
        };
        let window = window(outcome, &after);
        let seconds = after
            .clone()
            .take_while(|second| second + window <= after.end)
            .find(|second| {
                let (near, far) = (second + window, (second + 3 * window).min(after.end));
                highest.holds(outcome, &(*second..near)) && highest.holds(outcome, &(*second..far))
            })
            .map(|second| second - after.start);
        let watched = after.end.saturating_sub(after.start);
        let was = if kind == RECOVERY {
            format!("P95 was {} before", milliseconds(p95))
        } else {
            format!("P95 then is {}", milliseconds(p95))
        };
        let (grade, sentence) = match seconds {
            _ if watched < 2 * window => {
                (Grade::Insufficient, format!("{watched} s after {name} are too few to see it"))
            }
            Some(seconds) => (
                Grade::Pass,
                format!("{seconds} s after {name}, within windows of {window} s; {was}"),
            ),
            None => (Grade::Fail, format!("not within {watched} s after {name}; {was}")),
        };
        Some(Self { name: kind, grade, seconds, before_p95_ms, sentence })
    }
}

const RECOVERY: &str = "recovery";
const SETTLING: &str = "settling";

struct Spike {
    kind: &'static str,
    name: String,
    before: Range<u32>,
    after: Range<u32>,
}

struct Highest {
    p95_ms: f64,
    queue: Option<f64>,
}

impl Highest {
    fn holds(&self, outcome: &Outcome, seconds: &Range<u32>) -> bool {
        let latency = outcome.over(seconds).latency;
        let quick = latency.len() >= LEAST_REQUESTS
            && latency.quantile_ms(0.95).is_some_and(|p95| p95 <= self.p95_ms);
        let drained = match (self.queue, queue(outcome, seconds)) {
            (Some(most), Some(depth)) => depth <= most,
            _ => true,
        };
        quick && drained
    }
}

/// The stages up to the highest load, and what comes after them. Before is the last hold below
/// the height.
fn spike(outcome: &Outcome) -> Option<Spike> {
    let stages = &outcome.load.stages;
    let load = |stage: &Stage| match outcome.load.model {
        Model::Closed => (f64::from(stage.from_users), f64::from(stage.to_users)),
        Model::Open => (stage.from_rate, stage.to_rate),
    };
    let height = stages.iter().map(|stage| load(stage).1).reduce(f64::max)?;
    let at_height = |stage: &Stage| load(stage).1 == height;
    let last = stages.iter().rposition(at_height)?;
    let first = stages.iter().position(at_height)?;
    let holds = |stage: &&Stage| load(stage).0 == load(stage).1 && load(stage).1 > 0.0;
    let before = stages[..first].iter().rfind(holds)?;
    let end = stages[last].to_s;
    let until = stages.last()?.to_s.min(lasted(outcome));
    (end < until).then(|| Spike {
        kind: RECOVERY,
        name: format!("\u{201c}{}\u{201d}", stages[last].name),
        before: before.seconds(),
        after: end..until,
    })
}

/// A rise, and the hold that ends the run.
fn rise(outcome: &Outcome) -> Option<Spike> {
    let [.., rise, hold] = &outcome.load.stages[..] else { return None };
    let rises =
        |stage: &Stage| (stage.from_users, stage.from_rate) != (stage.to_users, stage.to_rate);
    let until = hold.to_s.min(lasted(outcome));
    let middle = u32::midpoint(hold.from_s, until);
    (rises(rise) && !rises(hold) && middle >= hold.from_s + 2 * WINDOW_S).then(|| Spike {
        kind: SETTLING,
        name: format!("\u{201c}{}\u{201d}", rise.name),
        before: middle..until,
        after: hold.from_s..middle,
    })
}

/// As many seconds as it takes for a P95, at the rate after the spike.
fn window(outcome: &Outcome, after: &Range<u32>) -> u32 {
    let requests = outcome.over(after).latency.len().max(1);
    let seconds = u64::from(after.end - after.start) * LEAST_REQUESTS * 2 / requests;
    u32::try_from(seconds).unwrap_or(LONGEST_WINDOW_S).clamp(WINDOW_S, LONGEST_WINDOW_S)
}

fn queue(outcome: &Outcome, seconds: &Range<u32>) -> Option<f64> {
    let samples = outcome.samples.iter().filter(|sample| seconds.contains(&sample.second));
    let depths: Vec<f64> = samples.filter_map(|sample| sample.service.queue_depth).collect();
    median(&depths)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and a float's cast to an integer saturates"
)]
fn lasted(outcome: &Outcome) -> u32 {
    outcome.duration_s.ceil() as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        outcome::{Counts, ResourceSample, Second},
        report::example,
    };

    fn stage(name: &str, users: (u32, u32), seconds: Range<u32>) -> Stage {
        let mut stage = example::outcome().load.stages.remove(0);
        (stage.name, stage.from_users, stage.to_users) = (name.into(), users.0, users.1);
        (stage.from_s, stage.to_s) = (seconds.start, seconds.end);
        stage
    }

    /// A hold of 30 s, a spike of 10 s, 40 s after it; slow until `slow_until`, a queue that is
    /// empty again at `queue_until`.
    fn spiked(slow_until: u32, queue_until: u32) -> Outcome {
        let mut outcome = example::outcome();
        outcome.duration_s = 80.0;
        outcome.load.stages = vec![
            stage("hold", (10, 10), 0..30),
            stage("spike", (10, 50), 30..40),
            stage("recovery", (10, 10), 40..80),
        ];
        outcome.endpoints.truncate(1);
        outcome.endpoints[0].seconds = (0..80)
            .map(|second| {
                let slow = (30..slow_until).contains(&second);
                let mut of = Second { second, ..Second::default() };
                of.counts = Counts { sent: 20, succeeded: 20, ..Counts::default() };
                for step in 0..20 {
                    let millis = if slow { 400 } else { 20 + step / 10 };
                    of.latency.record(Duration::from_millis(millis));
                }
                of
            })
            .collect();
        outcome.samples = (0..80)
            .map(|second| {
                let mut sample = ResourceSample { second, users: 10, ..ResourceSample::default() };
                let waiting = (30..queue_until).contains(&second);
                sample.service.queue_depth = Some(if waiting { 500.0 } else { 0.0 });
                sample
            })
            .collect();
        outcome
    }

    #[test]
    fn seconds_count_from_the_end_of_the_spike_until_p95_is_back() {
        let recovery = Recovery::of(&spiked(52, 30), 10.0).unwrap();
        assert_eq!((recovery.grade, recovery.seconds), (Grade::Pass, Some(12)));
    }

    #[test]
    fn a_queue_that_is_still_long_is_no_recovery_yet() {
        let recovery = Recovery::of(&spiked(45, 60), 10.0).unwrap();
        assert_eq!(recovery.grade, Grade::Pass, "{}", recovery.sentence);
        assert!(recovery.seconds.unwrap() > 12, "{}", recovery.sentence);
    }

    #[test]
    fn a_service_that_stays_slow_fails() {
        let recovery = Recovery::of(&spiked(80, 30), 10.0).unwrap();
        assert_eq!((recovery.grade, recovery.seconds), (Grade::Fail, None));
        assert!(recovery.sentence.contains("not within 40 s"), "{}", recovery.sentence);
    }

    #[test]
    fn a_load_that_rises_and_stays_settles() {
        let settling = Recovery::of(&example::outcome(), 10.0).unwrap();
        assert_eq!((settling.name, settling.grade), ("settling", Grade::Pass));
        let mut held = example::outcome();
        held.load.stages.remove(0);
        assert_eq!(Recovery::of(&held, 10.0), None, "nothing rose");
    }
}
