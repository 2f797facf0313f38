//! Measures the completion time of accepted work: from its acceptance (a 202) to its completion.
//!
//! Work has ended when it has completed or failed. Virtual users record the ids of accepted work.
//! After the load, the service's lists are polled, page by page and at a bounded rate, until all of it has
//! ended; the items contain the times of acceptance and completion. So no extra request is sent under load, and
//! the polling interval does not affect the measured times. Both times come from the service's clock.
//! Only the drain time, from the end of the load until the last accepted work was completed, compares
//! them with the load generator's clock, so there the clocks must agree, as they do on one machine.

mod list;
mod pages;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};

use self::list::{ListReader, WorkState};
use crate::{
    outcome::{Completion, CompletionCell},
    sla::{Metric, Sla},
    work::{AcceptedWork, WorkKind},
};

/// Minimum time to wait for work that has not ended; a limit on the drain time may extend it.
const MIN_DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Minimum pause between two polls of the lists; after a longer poll the pause is as long as the poll.
const MIN_POLL_PAUSE: Duration = Duration::from_millis(500);
/// Number of items that neither completed nor failed whose ids are kept.
const MAX_NOT_ENDED_IDS: usize = 5;

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

/// Polls the state of all `accepted` work until it has ended (completed or failed) or `timeout` has
/// passed. Returns one [`Completion`] for each of `kinds`. The time of the call counts as the end of
/// the load. `host` is the base URL of the service.
pub async fn wait_until_ended(
    http: &reqwest::Client,
    host: &str,
    kinds: &[&'static WorkKind],
    accepted: Vec<AcceptedWork>,
    timeout: Duration,
) -> Vec<Completion> {
    let (load_ended_at, started) = (DateTime::<Utc>::from(SystemTime::now()), Instant::now());
    let mut states: Vec<Option<WorkState>> = vec![None; accepted.len()];
    let mut lists = ListReader::new(http.clone(), host);
    loop {
        let poll_started = Instant::now();
        let pending: Vec<(usize, &AcceptedWork)> =
            accepted.iter().enumerate().filter(|(index, _)| is_pending(states[*index])).collect();
        if pending.is_empty() {
            break;
        }
        for (index, state) in lists.read(&pending).await {
            // What was seen once is known better than that it cannot be read now.
            let is_unread = matches!(state, WorkState::Unreachable | WorkState::Refused);
            if !(is_unread && states[index].is_some()) {
                states[index] = Some(state);
            }
        }
        let all_ended = states.iter().all(|state| !is_pending(*state));
        if all_ended || started.elapsed() > timeout || goose::is_killswitch_triggered() {
            break;
        }
        tokio::time::sleep(poll_started.elapsed().max(MIN_POLL_PAUSE)).await;
    }
    let completions = kinds.iter().map(|kind| {
        let items = accepted.iter().zip(&states).map(|(item, state)| (item, *state));
        summarize(kind.name, items.filter(|(item, _)| item.kind.name == kind.name), load_ended_at)
    });
    completions.collect()
}

fn is_pending(state: Option<WorkState>) -> bool {
    state.is_none_or(|state| !state.is_final())
}

fn summarize<'a>(
    work: &str,
    accepted: impl Iterator<Item = (&'a AcceptedWork, Option<WorkState>)>,
    load_ended_at: DateTime<Utc>,
) -> Completion {
    let mut cells: BTreeMap<u32, CompletionCell> = BTreeMap::new();
    let mut last = load_ended_at;
    let mut all_ended = true;
    let mut not_ended_ids = Vec::new();
    for (item, state) in accepted {
        let cell = cells.entry(item.second).or_default();
        cell.second = item.second;
        cell.accepted += 1;
        match state {
            Some(WorkState::Completed { took, at }) => {
                cell.completed += 1;
                cell.latency.record(took);
                last = last.max(at);
            }
            Some(WorkState::Failed) => cell.failed += 1,
            Some(WorkState::Pending) => {}
            Some(WorkState::Unknown) => cell.lost += 1,
            Some(WorkState::Refused) => cell.refused += 1,
            Some(WorkState::Unreachable) | None => cell.unreachable += 1,
        }
        all_ended &= matches!(state, Some(WorkState::Completed { .. } | WorkState::Failed));
        let has_not_ended = matches!(state, Some(WorkState::Pending | WorkState::Unknown));
        if has_not_ended && not_ended_ids.len() < MAX_NOT_ENDED_IDS {
            not_ended_ids.push(item.id.clone());
        }
    }
    let drain_s = (last - load_ended_at).as_seconds_f64();
    Completion {
        work: work.into(),
        drain_s: all_ended.then_some(drain_s),
        cells: cells.into_values().collect(),
        not_ended_ids,
    }
}
