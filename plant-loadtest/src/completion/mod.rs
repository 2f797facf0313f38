//! Measures the completion time of accepted work: from its acceptance (a 202) to its completion.
//!
//! Work has ended when it has completed or failed. Virtual users record the ids of accepted work.
//! After the load, the service's lists are polled, page by page, until all of it has ended; the
//! items contain the times of acceptance and completion. So no extra request is sent under load, and
//! the polling interval does not affect the measured times. Both times come from the service's clock.
//! Only the drain time, from the end of the load until the last accepted work was completed, compares
//! them with the load generator's clock, so there the clocks must agree, as they do on one machine.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    outcome::{Completion, CompletionCell},
    sla::{Metric, Sla},
    work::{AcceptedWork, WorkKind},
};

/// Minimum time to wait for work that has not ended; a limit on the drain time may extend it.
const MIN_DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two polls of the lists.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Maximum number of lists read concurrently.
const MAX_CONCURRENT_READS: usize = 8;

/// The ids to find in the list of one kind of work.
type ListQuery = (&'static WorkKind, Vec<String>);

/// State of an item in the service's list.
#[derive(Clone, Copy, Debug, PartialEq)]
enum WorkState {
    Pending,
    Failed,
    Completed { took: Duration, at: DateTime<Utc> },
}

/// Returns how long to wait for work that has not ended: twice the highest limit on the drain time,
/// and at least 60 s.
#[must_use]
pub fn drain_timeout(sla: &Sla) -> Duration {
    let limits = sla.thresholds.iter().filter(|threshold| threshold.metric == Metric::Drain);
    let longest = limits.map(|threshold| threshold.limit * 2.0).reduce(f64::max).unwrap_or(0.0);
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
    let mut states: HashMap<String, WorkState> = HashMap::new();
    loop {
        let pending: Vec<&AcceptedWork> =
            accepted.iter().filter(|item| is_pending(&states, item)).collect();
        if pending.is_empty() {
            break;
        }
        states.extend(read_states(http, host, &pending).await);
        let all_ended = accepted.iter().all(|item| !is_pending(&states, item));
        if all_ended || started.elapsed() > timeout {
            break;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let completions = kinds.iter().map(|kind| {
        let of_this_kind = accepted.iter().filter(|item| item.kind.name == kind.name);
        summarize(kind.name, of_this_kind, &states, load_ended_at)
    });
    completions.collect()
}

fn is_pending(states: &HashMap<String, WorkState>, item: &AcceptedWork) -> bool {
    matches!(states.get(&item.id), None | Some(WorkState::Pending))
}

/// Reads the lists of all accounts that have pending work.
async fn read_states(
    http: &reqwest::Client,
    host: &str,
    pending: &[&AcceptedWork],
) -> HashMap<String, WorkState> {
    let mut lists: BTreeMap<(&str, Arc<str>), ListQuery> = BTreeMap::new();
    for item in pending {
        let list = lists.entry((item.kind.name, Arc::clone(&item.token)));
        list.or_insert_with(|| (item.kind, Vec::new())).1.push(item.id.clone());
    }
    let mut states = HashMap::new();
    let mut reads = JoinSet::new();
    for ((_, token), (kind, ids)) in lists {
        if reads.len() >= MAX_CONCURRENT_READS
            && let Some(Ok(read)) = reads.join_next().await
        {
            states.extend(read);
        }
        reads.spawn(read_list(http.clone(), host.to_owned(), kind, token, ids));
    }
    while let Some(read) = reads.join_next().await {
        states.extend(read.unwrap_or_default());
    }
    states
}

/// Reads one list until all `ids` are found or the list ends. If a page cannot be read, returns the
/// states read so far; the next poll retries the rest.
async fn read_list(
    http: reqwest::Client,
    host: String,
    kind: &'static WorkKind,
    token: Arc<str>,
    mut ids: Vec<String>,
) -> HashMap<String, WorkState> {
    let mut states = HashMap::new();
    let mut after = String::new();
    while !ids.is_empty() {
        let url = format!("{host}{}{after}", kind.list_path);
        let Some(page) = read_page(&http, &url, &token).await else { break };
        for item in page["items"].as_array().into_iter().flatten() {
            let Some(id) = item["id"].as_str() else { continue };
            if let Some(index) = ids.iter().position(|pending| pending == id) {
                states.insert(ids.swap_remove(index), work_state(kind, item));
            }
        }
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    states
}

async fn read_page(http: &reqwest::Client, url: &str, token: &str) -> Option<Value> {
    let response = http.get(url).bearer_auth(token).send().await.ok()?;
    let body = response.error_for_status().ok()?.bytes().await.ok()?;
    serde_json::from_slice(&body).ok()
}

fn work_state(kind: &WorkKind, item: &Value) -> WorkState {
    let time = |field: &str| item[field].as_str()?.parse::<DateTime<Utc>>().ok();
    let Some(at) = time(kind.ended_field) else { return WorkState::Pending };
    match time(kind.accepted_field) {
        Some(accepted) if item["status"] == "completed" => {
            WorkState::Completed { took: (at - accepted).to_std().unwrap_or_default(), at }
        }
        _ => WorkState::Failed,
    }
}

fn summarize<'a>(
    work: &str,
    accepted: impl Iterator<Item = &'a AcceptedWork>,
    states: &HashMap<String, WorkState>,
    load_ended_at: DateTime<Utc>,
) -> Completion {
    let mut cells: BTreeMap<u32, CompletionCell> = BTreeMap::new();
    let mut last = load_ended_at;
    let mut all_ended = true;
    for item in accepted {
        let cell = cells.entry(item.second).or_default();
        cell.second = item.second;
        cell.accepted += 1;
        match states.get(&item.id) {
            Some(WorkState::Completed { took, at }) => {
                cell.completed += 1;
                cell.latency.record(*took);
                last = last.max(*at);
            }
            Some(WorkState::Failed) => cell.failed += 1,
            Some(WorkState::Pending) => all_ended = false,
            None => {
                cell.lost += 1;
                all_ended = false;
            }
        }
    }
    let drain_s = (last - load_ended_at).as_seconds_f64();
    Completion {
        work: work.into(),
        drain_s: all_ended.then_some(drain_s),
        cells: cells.into_values().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    static WORK: WorkKind = WorkKind {
        name: "generation",
        list_path: "/list?limit=500",
        accepted_field: "created_at",
        ended_field: "completed_at",
    };

    fn item(status: &str, ended: Option<&str>) -> Value {
        json!({"status": status, "created_at": "2026-01-14T12:00:00Z", "completed_at": ended})
    }

    fn accepted(id: &str, second: u32) -> AcceptedWork {
        AcceptedWork { kind: &WORK, id: id.into(), token: "t".into(), second }
    }

    #[test]
    fn the_duration_comes_from_the_times_in_the_list() {
        let at: DateTime<Utc> = "2026-01-14T12:00:01.500Z".parse().unwrap();
        assert_eq!(
            work_state(&WORK, &item("completed", Some("2026-01-14T12:00:01.5Z"))),
            WorkState::Completed { took: Duration::from_millis(1500), at }
        );
        assert_eq!(work_state(&WORK, &item("queued", None)), WorkState::Pending);
        assert_eq!(
            work_state(&WORK, &item("failed", Some("2026-01-14T12:00:01Z"))),
            WorkState::Failed
        );
    }

    #[test]
    fn work_that_was_not_completed_counts_as_an_error() {
        let load_ended_at: DateTime<Utc> = "2026-01-14T12:00:00Z".parse().unwrap();
        let late = load_ended_at + chrono::TimeDelta::seconds(3);
        let completed = |at| WorkState::Completed { took: Duration::from_secs(1), at };
        let mut states = HashMap::from([
            ("early".to_owned(), completed(load_ended_at - chrono::TimeDelta::seconds(9))),
            ("late".to_owned(), completed(late)),
            ("failed".to_owned(), WorkState::Failed),
        ]);
        let items = ["early", "late", "failed", "pending"].map(|id| accepted(id, 7));
        let summary =
            |states: &HashMap<_, _>| summarize("generation", items.iter(), states, load_ended_at);
        let lost = summary(&states);
        assert_eq!((lost.lost(), lost.unfinished(), lost.drain_s), (1, 0, None));
        states.insert("pending".into(), WorkState::Pending);
        let pending = summary(&states);
        assert_eq!((pending.lost(), pending.unfinished(), pending.drain_s), (0, 1, None));
        let counts = pending.tally_all().counts;
        assert_eq!((counts.succeeded, counts.errors()), (2, 2));
        assert!(pending.tally_all().counts.is_consistent());
        states.insert("pending".into(), WorkState::Failed);
        let ended = summary(&states);
        assert_eq!((ended.failed(), ended.drain_s), (2, Some(3.0)));
        assert_eq!(ended.tally_in(&(0..7)).counts.sent, 0);
        assert_eq!(ended.tally_in(&(7..8)).latency.len(), 2);
    }
}
