//! Sums of the measurements of all parts.

use std::collections::BTreeMap;

use super::Measured;
use crate::{
    outcome::{
        ActionResult, ArrivalCell, Completion, CompletionCell, Counter, CounterCell, EndpointCell,
        EndpointResults, Failure, SlowRequest, StageIterations, Tally,
    },
    recorder::{Failures, KEPT_SLOWEST, Occurrences},
};

pub(super) fn endpoints(parts: &[Measured]) -> Vec<EndpointResults> {
    let mut merged: BTreeMap<&str, (EndpointResults, BTreeMap<u32, Tally>)> = BTreeMap::new();
    for part in parts {
        for theirs in &part.outcome.endpoints {
            let (ours, cells) = merged.entry(&theirs.name).or_default();
            for (status, count) in &theirs.statuses {
                *ours.statuses.entry(*status).or_default() += count;
            }
            ours.bytes += theirs.bytes;
            ours.first_byte.merge(&theirs.first_byte);
            ours.service_time.merge(&theirs.service_time);
            ours.outside_load.add(&theirs.outside_load);
            ours.skipped += theirs.skipped;
            let slowest = theirs.slowest.iter().cloned();
            ours.slowest.extend(
                slowest.map(|slow| SlowRequest { second: part.second(slow.second), ..slow }),
            );
            for cell in &theirs.cells {
                cells.entry(part.second(cell.second)).or_default().add(&tally(cell));
            }
        }
    }
    let endpoints = merged.into_iter().map(|(name, (endpoint, cells))| EndpointResults {
        name: name.to_owned(),
        slowest: slowest(endpoint.slowest),
        cells: cells.into_iter().map(cell).collect(),
        ..endpoint
    });
    endpoints.collect()
}

fn tally(cell: &EndpointCell) -> Tally {
    Tally {
        counts: cell.counts,
        latency: cell.latency.clone(),
        failure_latency: cell.failure_latency.clone(),
        throughput_count: cell.throughput_count,
        statuses: cell.statuses.clone(),
    }
}

fn cell((second, tally): (u32, Tally)) -> EndpointCell {
    EndpointCell {
        second,
        counts: tally.counts,
        latency: tally.latency,
        failure_latency: tally.failure_latency,
        throughput_count: tally.throughput_count,
        statuses: tally.statuses,
    }
}

/// Returns the slowest of all requests, and of those that are sampled.
fn slowest(mut requests: Vec<SlowRequest>) -> Vec<SlowRequest> {
    requests.sort_by(|one, two| two.latency_ms.total_cmp(&one.latency_ms));
    let sampled: Vec<SlowRequest> =
        requests.iter().filter(|request| request.sampled).take(KEPT_SLOWEST).cloned().collect();
    requests.truncate(KEPT_SLOWEST);
    for request in sampled {
        if requests.iter().all(|known| known.trace_id != request.trace_id) {
            requests.push(request);
        }
    }
    requests
}

pub(super) fn failures(parts: &[Measured]) -> Vec<Failure> {
    let mut failures = Failures::unlimited();
    for part in parts {
        for failure in &part.outcome.failures {
            let occurrences = Occurrences {
                count: failure.count,
                first: part.second(failure.first_second),
                last: part.second(failure.last_second),
            };
            failures.add(&failure.endpoint, failure.kind, failure.message.clone(), occurrences);
        }
    }
    failures.to_outcome()
}

pub(super) fn arrivals(parts: &[Measured]) -> Vec<ArrivalCell> {
    let mut cells: BTreeMap<u32, ArrivalCell> = BTreeMap::new();
    for part in parts {
        for theirs in &part.outcome.arrivals {
            let second = part.second(theirs.second);
            let ours = cells.entry(second).or_default();
            ours.second = second;
            ours.scheduled += theirs.scheduled;
            ours.waited += theirs.waited;
            ours.wait.merge(&theirs.wait);
            ours.dropped += theirs.dropped;
            ours.dispatch_lag.merge(&theirs.dispatch_lag);
        }
    }
    cells.into_values().collect()
}

pub(super) fn iterations(parts: &[Measured]) -> Vec<StageIterations> {
    let mut stages: Vec<StageIterations> = Vec::new();
    for theirs in parts.iter().flat_map(|part| &part.outcome.iterations) {
        match stages.iter_mut().find(|ours| ours.stage == theirs.stage) {
            Some(ours) => {
                ours.users += theirs.users;
                ours.started += theirs.started;
                ours.duration_s = ours.duration_s.max(theirs.duration_s);
            }
            None => stages.push(theirs.clone()),
        }
    }
    stages
}

pub(super) fn actions(parts: &[Measured]) -> Vec<ActionResult> {
    let of_parts = parts.iter().flat_map(|part| {
        part.outcome.actions.iter().map(|action| ActionResult {
            started_s: action.started_s + f64::from(part.offset_s),
            ..action.clone()
        })
    });
    let mut actions: Vec<ActionResult> = of_parts.collect();
    actions.sort_by(|one, two| one.started_s.total_cmp(&two.started_s));
    actions
}

pub(super) fn counters(parts: &[Measured]) -> Vec<Counter> {
    let mut counters: BTreeMap<&str, BTreeMap<u32, u64>> = BTreeMap::new();
    for part in parts {
        for counter in &part.outcome.counters {
            let cells = counters.entry(&counter.name).or_default();
            for cell in &counter.cells {
                *cells.entry(part.second(cell.second)).or_default() += cell.count;
            }
        }
    }
    let counters = counters.into_iter().map(|(name, cells)| Counter {
        name: name.to_owned(),
        cells: cells.into_iter().map(|(second, count)| CounterCell { second, count }).collect(),
    });
    counters.collect()
}

pub(super) fn completions(parts: &[Measured]) -> Vec<Completion> {
    let mut merged: Vec<(Completion, BTreeMap<u32, CompletionCell>)> = Vec::new();
    for part in parts {
        for theirs in &part.outcome.completions {
            let index = match merged.iter().position(|(ours, _)| ours.work == theirs.work) {
                Some(index) => {
                    add_completion(&mut merged[index].0, theirs);
                    index
                }
                None => {
                    merged.push((
                        Completion { cells: Vec::new(), ..theirs.clone() },
                        BTreeMap::new(),
                    ));
                    merged.len() - 1
                }
            };
            for cell in &theirs.cells {
                let second = part.second(cell.second);
                add_cell(merged[index].1.entry(second).or_default(), second, cell);
            }
        }
    }
    let merged = merged.into_iter().map(|(completion, cells)| Completion {
        cells: cells.into_values().collect(),
        ..completion
    });
    merged.collect()
}

fn add_completion(ours: &mut Completion, theirs: &Completion) {
    ours.drain_s = ours.drain_s.zip(theirs.drain_s).map(|(one, two)| one.max(two));
    ours.not_ended_ids.extend(theirs.not_ended_ids.iter().cloned());
    ours.cut_short |= theirs.cut_short;
    ours.doubled = ours.doubled.zip(theirs.doubled).map(|(one, two)| one + two);
    ours.doubled_items.extend(theirs.doubled_items.iter().cloned());
    ours.not_credible_items.extend(theirs.not_credible_items.iter().cloned());
}

fn add_cell(ours: &mut CompletionCell, second: u32, theirs: &CompletionCell) {
    ours.second = second;
    ours.accepted += theirs.accepted;
    ours.completed += theirs.completed;
    ours.failed += theirs.failed;
    ours.lost += theirs.lost;
    ours.not_credible += theirs.not_credible;
    ours.refused += theirs.refused;
    ours.unreachable += theirs.unreachable;
    ours.latency.merge(&theirs.latency);
}
