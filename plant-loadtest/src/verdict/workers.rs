//! The load generators of a merged outcome: which was lost, and who is who in messages.

use std::{iter, ops::Range};

use crate::outcome::{Ended, Outcome, ResourceSample, Worker};

/// By how many seconds a generator may end before the others: their stages end at whole seconds.
const MAX_EARLINESS_S: f64 = 3.0;

/// What messages call the only load generator, or any of several.
pub(super) const ANY: &str = "the load generator";

/// Returns each load generator with the seconds in which it ran: what messages call it, and its samples.
pub(super) fn generators_in_time(
    outcome: &Outcome,
) -> impl Iterator<Item = (String, &[ResourceSample], Range<u32>)> {
    let seconds = move |number: usize| match outcome.workers.get(number) {
        Some(worker) => {
            let end = f64::from(worker.from_s) + worker.duration_s;
            worker.from_s..format!("{:.0}", end.floor()).parse().unwrap_or(u32::MAX)
        }
        None => 0..u32::MAX,
    };
    generators(outcome)
        .enumerate()
        .map(move |(number, (name, samples))| (name, samples, seconds(number)))
}

/// Returns each load generator: what messages call it, and its samples.
pub(super) fn generators(outcome: &Outcome) -> impl Iterator<Item = (String, &[ResourceSample])> {
    let only = iter::once((ANY.to_owned(), outcome.samples.as_slice()));
    let workers = outcome.workers.iter().map(|worker| (name(worker), worker.samples.as_slice()));
    only.filter(|_| outcome.workers.is_empty()).chain(workers)
}

fn name(worker: &Worker) -> String {
    format!("the load generator {}", worker.name)
}

/// Returns a sentence about the first load generator that did not take part until the end, and how many there
/// are: the service did not receive the planned load, and not all of its responses were measured.
pub(super) fn problem(outcome: &Outcome) -> Option<String> {
    let mut lost = outcome.workers.iter().filter(|worker| is_lost(outcome, worker));
    let first = describe(lost.next()?);
    Some(match lost.count() {
        0 => first,
        1 => format!("{first}; another one, too"),
        others => format!("{first}; {others} others, too"),
    })
}

/// Returns notes about the load generators: how many, and each that was lost.
pub(super) fn notes(outcome: &Outcome) -> Vec<String> {
    let workers = &outcome.workers;
    if workers.is_empty() {
        return Vec::new();
    }
    let all = format!("merged from the outcomes of {} load generators", workers.len());
    let lost = workers.iter().filter(|worker| is_lost(outcome, worker)).map(describe);
    iter::once(all).chain(lost).collect()
}

fn is_lost(outcome: &Outcome, worker: &Worker) -> bool {
    worker.ended == Ended::Killed || worker.ended != outcome.ended || ended_early(outcome, worker)
}

/// Returns whether it ended clearly before the load. A number of iterations ends at any time.
fn ended_early(outcome: &Outcome, worker: &Worker) -> bool {
    let stages = &outcome.load.stages;
    let end = f64::from(worker.from_s) + worker.duration_s;
    outcome.ended == Ended::AsPlanned
        && stages.iter().all(|stage| stage.iterations == 0)
        && end + MAX_EARLINESS_S < f64::from(outcome.planned_seconds())
}

fn describe(worker: &Worker) -> String {
    let Worker { generator, from_s, duration_s, ended, lost, .. } = worker;
    let name = name(worker);
    if generator.is_none() {
        return format!("{name} was lost before it had sent any results");
    }
    let at = f64::from(*from_s) + duration_s;
    match ended {
        Ended::Killed => {
            let requests = if *lost == 1 { "request was" } else { "requests were" };
            format!(
                "{name} was lost: its last results are of second {at:.0}, and {lost} {requests} in flight"
            )
        }
        Ended::Interrupted => format!("{name} was interrupted at second {at:.0}"),
        Ended::Aborted => format!("{name} was aborted at second {at:.0}"),
        Ended::AsPlanned => format!("{name} ended at second {at:.0}, before the others"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        report::example,
        verdict::{Grade, Verdict},
    };

    fn worker(name: &str, ended: Ended) -> Worker {
        let outcome = example::outcome();
        let duration_s = match ended {
            Ended::AsPlanned => f64::from(outcome.planned_seconds() - 2),
            _ => 9.6,
        };
        Worker {
            name: name.into(),
            generator: Some(outcome.generator),
            from_s: 2,
            duration_s,
            ended,
            sent: 100,
            lost: 3,
            samples: outcome.samples,
        }
    }

    fn verdict(workers: Vec<Worker>) -> Verdict {
        let outcome = Outcome { workers, ..example::outcome() };
        Verdict::judge(&outcome, &outcome.sla)
    }

    #[test]
    fn a_lost_worker_invalidates_the_run_and_is_named() {
        let healthy = || worker("a", Ended::AsPlanned);
        assert_eq!(verdict(vec![healthy(), worker("b", Ended::AsPlanned)]).grade, Grade::Pass);
        let lost = verdict(vec![healthy(), worker("b", Ended::Killed)]);
        assert_eq!(lost.grade, Grade::Invalid);
        assert_eq!(
            lost.reason,
            "the load generator b was lost: its last results are of second 12, and 3 requests were in flight"
        );
        let left = verdict(vec![healthy(), worker("b", Ended::Interrupted)]);
        assert_eq!(
            (left.grade, left.reason.as_str()),
            (Grade::Invalid, "the load generator b was interrupted at second 12")
        );
        let silent = Worker { generator: None, ..worker("b", Ended::Killed) };
        let silent = verdict(vec![healthy(), silent, worker("c", Ended::Killed)]);
        assert_eq!(
            silent.reason,
            "the load generator b was lost before it had sent any results; another one, too"
        );
        assert_eq!(silent.notes.iter().filter(|note| note.contains("was lost")).count(), 2);
    }

    #[test]
    fn violations_of_the_service_stay_failures() {
        let mut outcome = example::outcome();
        outcome.workers = vec![worker("a", Ended::AsPlanned), worker("b", Ended::Killed)];
        outcome.target.healthy_after_s = None;
        assert_eq!(Verdict::judge(&outcome, &outcome.sla).grade, Grade::Fail);
    }

    #[test]
    fn a_worker_that_ended_before_the_load_invalidates_the_run() {
        let mut early = worker("b", Ended::AsPlanned);
        early.duration_s = 2.0;
        let verdict = verdict(vec![worker("a", Ended::AsPlanned), early]);
        assert_eq!(verdict.grade, Grade::Invalid);
        assert_eq!(verdict.reason, "the load generator b ended at second 4, before the others");
    }

    #[test]
    fn a_worker_that_was_interrupted_in_the_last_second_invalidates_the_run() {
        let mut left = worker("b", Ended::AsPlanned);
        left.ended = Ended::Interrupted;
        assert_eq!(verdict(vec![worker("a", Ended::AsPlanned), left]).grade, Grade::Invalid);
    }

    #[test]
    fn a_worker_that_joined_later_has_measured_itself_since_then() {
        let mut outcome = example::outcome();
        outcome.workers = vec![worker("a", Ended::AsPlanned), worker("b", Ended::AsPlanned)];
        let late = &mut outcome.workers[1];
        let joined_s = outcome.load.stages.last().unwrap().to_s - 10;
        (late.from_s, late.duration_s) = (joined_s, 10.0);
        late.samples.retain(|sample| sample.second >= joined_s);
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        assert_eq!(verdict.grade, Grade::Pass, "{}", verdict.reason);
    }

    #[test]
    fn one_paused_worker_of_several_invalidates_the_run_and_is_named() {
        let mut outcome = example::outcome();
        outcome.workers = vec![worker("a", Ended::AsPlanned), worker("b", Ended::AsPlanned)];
        let seconds = outcome.planned_seconds();
        for worker in &mut outcome.workers {
            (worker.from_s, worker.duration_s) = (0, f64::from(seconds));
        }
        assert_eq!(Verdict::judge(&outcome, &outcome.sla).grade, Grade::Pass);
        outcome.workers[1].samples.retain(|sample| sample.second % 3 == 0);
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        assert_eq!(verdict.grade, Grade::Invalid);
        assert!(
            verdict.reason.starts_with("the load generator b measured itself in"),
            "{}",
            verdict.reason
        );
    }

    #[test]
    fn one_busy_worker_of_several_invalidates_the_run_and_is_named() {
        let mut busy = worker("b", Ended::AsPlanned);
        busy.samples.iter_mut().for_each(|sample| sample.generator_cpu = Some(0.9));
        let verdict = verdict(vec![worker("a", Ended::AsPlanned), busy]);
        assert_eq!(verdict.grade, Grade::Invalid);
        assert!(verdict.reason.contains("the load generator b was 9"), "{}", verdict.reason);
    }

    #[test]
    fn one_late_worker_of_several_invalidates_the_run_and_is_named() {
        let mut late = worker("b", Ended::AsPlanned);
        for sample in &mut late.samples {
            sample.generator_timer_lag.record(std::time::Duration::from_secs(2));
        }
        // Not in the merged samples: there they are few among many.
        let verdict = verdict(vec![worker("a", Ended::AsPlanned), late]);
        assert_eq!(verdict.grade, Grade::Invalid);
        assert!(
            verdict.reason.contains("the load generator b's dispatch lag"),
            "{}",
            verdict.reason
        );
    }
}
