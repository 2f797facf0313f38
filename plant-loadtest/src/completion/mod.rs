//! Measures the completion time of accepted work: from its acceptance (a 202) to its completion.
//!
//! Work has ended when it has completed or failed. Virtual users record the ids of accepted work.
//! After the load, the service's lists are polled, page by page and at a bounded rate, until all of it has
//! ended; the items contain the times of acceptance and completion. So no extra request is sent under load, and
//! the polling interval does not affect the measured times. Both times come from the service's clock. They are
//! compared with what the load generator itself has seen: times that contradict it are not used. The drain
//! time, from the end of the load until the last accepted work was completed, is by the load generator's clock.
//!
//! An item that a list shows more than once is doubled, and so are items with the same id.

mod found;
mod list;
mod pages;
#[cfg(test)]
mod tests;
mod times;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};

use self::{
    found::{Found, WorkState},
    list::ListReader,
};
use crate::{
    outcome::{Completion, CompletionCell, ItemProblem},
    sla::{Metric, Sla},
    work::{AcceptedWork, WorkKind},
};

/// Minimum time to wait for work that has not ended; a limit on the drain time may extend it.
const MIN_DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Minimum pause between two polls of the lists; after a longer poll the pause is as long as the poll.
const MIN_POLL_PAUSE: Duration = Duration::from_millis(500);
/// Number of items that neither completed nor failed, are doubled, or have no credible times, whose ids are
/// kept.
const MAX_NAMED_ITEMS: usize = 5;

/// Returns how long to wait for work that has not ended: twice the highest limit on the drain time,
/// and at least 60 s.
#[must_use]
pub fn drain_timeout(sla: &Sla) -> Duration {
    let limits = sla.thresholds.iter().filter(|threshold| threshold.metric == Metric::Drain);
    let longest = limits
        .map(|threshold| threshold.loosest_limit().value * 2.0)
        .reduce(f64::max)
        .unwrap_or(0.0);
    Duration::try_from_secs_f64(longest).unwrap_or(MIN_DRAIN_TIMEOUT).max(MIN_DRAIN_TIMEOUT)
}

/// Polls the state of all `accepted` work until it has ended (completed or failed), `timeout` has
/// passed, or `cut_short` is ready. Returns one [`Completion`] for each of `kinds`. The time of the call
/// counts as the end of the load. `host` is the base URL of the service.
pub async fn wait_until_ended(
    http: &reqwest::Client,
    host: &str,
    kinds: &[&'static WorkKind],
    accepted: Vec<AcceptedWork>,
    timeout: Duration,
    cut_short: impl Future<Output = ()>,
) -> Vec<Completion> {
    let load_ended_at = SystemTime::now().into();
    let accepted: Arc<[AcceptedWork]> = accepted.into();
    let mut lists = ListReader::new(http.clone(), host, Arc::clone(&accepted));
    let mut found = Found::nothing(accepted.len());
    lists.find_shared_ids(&mut found);
    let was_cut_short = tokio::select! {
        biased;
        () = poll(&mut lists, &mut found, timeout) => false,
        () = cut_short => true,
    };
    let end = WaitEnd { load_ended_at, was_cut_short };
    let completions = kinds.iter().map(|kind| {
        let items = accepted.iter().enumerate().filter(|(_, item)| item.kind.name == kind.name);
        summarize(kind.name, items, &found, end)
    });
    completions.collect()
}

/// Polls the `lists` until all items have ended, or `timeout` has passed.
async fn poll(lists: &mut ListReader, found: &mut Found, timeout: Duration) {
    let started = Instant::now();
    while found.is_any_pending() {
        let poll_started = Instant::now();
        lists.read(found).await;
        if !found.is_any_pending() || started.elapsed() > timeout {
            break;
        }
        tokio::time::sleep(poll_started.elapsed().max(MIN_POLL_PAUSE)).await;
    }
}

/// When and how the wait for accepted work ended.
#[derive(Clone, Copy)]
struct WaitEnd {
    load_ended_at: DateTime<Utc>,
    was_cut_short: bool,
}

fn summarize<'a>(
    work: &str,
    accepted: impl Iterator<Item = (usize, &'a AcceptedWork)>,
    found: &Found,
    WaitEnd { load_ended_at, was_cut_short }: WaitEnd,
) -> Completion {
    let mut cells: BTreeMap<u32, CompletionCell> = BTreeMap::new();
    let mut completion = Completion { work: work.into(), ..Completion::default() };
    let mut last = load_ended_at;
    let mut all_ended = true;
    let mut doubled = 0;
    for (index, item) in accepted {
        let (cell, state) = (cells.entry(item.second).or_default(), found.state(index));
        let problem = |problem: String| ItemProblem { id: item.id.clone(), problem };
        cell.second = item.second;
        cell.accepted += 1;
        match state {
            Some(WorkState::Completed(times)) => {
                cell.completed += 1;
                cell.latency.record(times.took);
                last = last.max(times.ended_at);
            }
            Some(WorkState::NotCredible(doubt)) => {
                cell.not_credible += 1;
                add_few(&mut completion.not_credible_items, || problem(doubt.to_string()));
            }
            Some(WorkState::Failed) => cell.failed += 1,
            Some(WorkState::Pending) => {}
            Some(WorkState::Unknown) => cell.lost += 1,
            Some(WorkState::Refused) => cell.refused += 1,
            Some(WorkState::Unreachable) | None => cell.unreachable += 1,
        }
        all_ended &= matches!(state, Some(WorkState::Completed(_) | WorkState::Failed));
        completion.cut_short |= was_cut_short && found.is_pending(index);
        let has_not_ended = match state {
            Some(WorkState::Pending) => !was_cut_short,
            Some(WorkState::Unknown) => true,
            _ => false,
        };
        if has_not_ended {
            add_few(&mut completion.not_ended_ids, || item.id.clone());
        }
        if let Some(how) = found.doubled(index) {
            doubled += 1;
            add_few(&mut completion.doubled_items, || problem(how.to_owned()));
        }
    }
    let drain_s = (last - load_ended_at).as_seconds_f64();
    Completion {
        drain_s: all_ended.then_some(drain_s),
        cells: cells.into_values().collect(),
        doubled: Some(doubled),
        ..completion
    }
}

/// Adds to the items that reports name, unless these are enough.
fn add_few<T>(items: &mut Vec<T>, item: impl FnOnce() -> T) {
    if items.len() < MAX_NAMED_ITEMS {
        items.push(item());
    }
}
