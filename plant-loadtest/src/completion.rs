//! From accepted to completed: what becomes of the work that a service accepts and does later.
//!
//! Users note what was accepted. Once the load is gone, the service's own lists are read, page by
//! page, until all of that has ended; they tell when it was accepted and when completed. So the
//! work is followed without a single request more under load, and nobody's patience is measured
//! instead. Both times are the service's; only the time to drain compares them with ours, so for
//! that the clocks must agree, as they do on one machine.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    outcome::{Completion, CompletionSecond},
    sla::{Figure, Sla},
};

/// How long unfinished work is waited for when no promise says longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the lists.
const PAUSE: Duration = Duration::from_millis(500);
/// How many lists are read at once.
const READERS: usize = 8;

/// A kind of work that is accepted and done later.
#[derive(Debug)]
pub struct Work {
    /// As promises and reports call it.
    pub name: &'static str,
    /// Its list, newest first, query included: an object of `items` and of `next`, which is what
    /// to send as `after` for the next page.
    pub list: &'static str,
    /// The item's field that tells when it was accepted.
    pub accepted: &'static str,
    /// The one that tells when it ended, null before.
    pub ended: &'static str,
}

/// Something that a user had accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// What kind.
    pub work: &'static Work,
    /// Its id.
    pub id: String,
    /// The token of the account that may ask for it.
    pub token: Arc<str>,
    /// When, counted from the start of the run.
    pub second: u32,
}

/// What is to be found in a list.
type Wanted = (&'static Work, Vec<String>);

/// What a list says of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Open,
    Failed,
    Completed { took: Duration, at: DateTime<Utc> },
}

/// How long to wait for unfinished work: somewhat longer than was promised.
#[must_use]
pub fn patience(sla: &Sla) -> Duration {
    let drains = sla.promises.iter().filter(|promise| promise.figure == Figure::Drain);
    let longest = drains.map(|promise| promise.below * 2.0).reduce(f64::max).unwrap_or(0.0);
    Duration::try_from_secs_f64(longest).unwrap_or(PATIENCE).max(PATIENCE)
}

/// Follows what was accepted to its end, as long as `patience` lasts. The load ends now.
pub async fn follow(
    http: &reqwest::Client,
    host: &str,
    kinds: &[&'static Work],
    accepted: Vec<Accepted>,
    patience: Duration,
) -> Vec<Completion> {
    let (loaded_until, began) = (DateTime::<Utc>::from(SystemTime::now()), Instant::now());
    let mut known: HashMap<String, State> = HashMap::new();
    loop {
        let open: Vec<&Accepted> = accepted.iter().filter(|item| is_open(&known, item)).collect();
        if open.is_empty() {
            break;
        }
        known.extend(look(http, host, &open).await);
        let done = accepted.iter().all(|item| !is_open(&known, item));
        if done || began.elapsed() > patience {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let completions = kinds.iter().map(|work| {
        let ours = accepted.iter().filter(|item| item.work.name == work.name);
        sum_up(work.name, ours, &known, loaded_until)
    });
    completions.collect()
}

fn is_open(known: &HashMap<String, State>, item: &Accepted) -> bool {
    matches!(known.get(&item.id), None | Some(State::Open))
}

/// Reads the lists of everybody who has something open.
async fn look(http: &reqwest::Client, host: &str, open: &[&Accepted]) -> HashMap<String, State> {
    let mut lists: BTreeMap<(&str, Arc<str>), Wanted> = BTreeMap::new();
    for item in open {
        let list = lists.entry((item.work.name, Arc::clone(&item.token)));
        list.or_insert_with(|| (item.work, Vec::new())).1.push(item.id.clone());
    }
    let mut states = HashMap::new();
    let mut reading = JoinSet::new();
    for ((_, token), (work, wanted)) in lists {
        if reading.len() >= READERS
            && let Some(Ok(read)) = reading.join_next().await
        {
            states.extend(read);
        }
        reading.spawn(read_list(http.clone(), host.to_owned(), work, token, wanted));
    }
    while let Some(read) = reading.join_next().await {
        states.extend(read.unwrap_or_default());
    }
    states
}

/// Reads one list until everything `wanted` was seen, or it ends. What cannot be read is looked
/// for again later.
async fn read_list(
    http: reqwest::Client,
    host: String,
    work: &'static Work,
    token: Arc<str>,
    mut wanted: Vec<String>,
) -> HashMap<String, State> {
    let mut states = HashMap::new();
    let mut after = String::new();
    while !wanted.is_empty() {
        let url = format!("{host}{}{after}", work.list);
        let Some(page) = read_page(&http, &url, &token).await else { break };
        for item in page["items"].as_array().into_iter().flatten() {
            let Some(id) = item["id"].as_str() else { continue };
            if let Some(place) = wanted.iter().position(|wanted| wanted == id) {
                states.insert(wanted.swap_remove(place), state(work, item));
            }
        }
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    states
}

async fn read_page(http: &reqwest::Client, url: &str, token: &str) -> Option<Value> {
    let answer = http.get(url).bearer_auth(token).send().await.ok()?;
    let body = answer.error_for_status().ok()?.bytes().await.ok()?;
    serde_json::from_slice(&body).ok()
}

fn state(work: &Work, item: &Value) -> State {
    let time = |field: &str| item[field].as_str()?.parse::<DateTime<Utc>>().ok();
    let Some(at) = time(work.ended) else { return State::Open };
    match time(work.accepted) {
        Some(accepted) if item["status"] == "completed" => {
            State::Completed { took: (at - accepted).to_std().unwrap_or_default(), at }
        }
        _ => State::Failed,
    }
}

fn sum_up<'a>(
    work: &str,
    accepted: impl Iterator<Item = &'a Accepted>,
    known: &HashMap<String, State>,
    loaded_until: DateTime<Utc>,
) -> Completion {
    let mut seconds: BTreeMap<u32, CompletionSecond> = BTreeMap::new();
    let mut last = loaded_until;
    let mut all_ended = true;
    for item in accepted {
        let second = seconds.entry(item.second).or_default();
        second.second = item.second;
        second.accepted += 1;
        match known.get(&item.id) {
            Some(State::Completed { took, at }) => {
                second.completed += 1;
                second.latency.record(*took);
                last = last.max(*at);
            }
            Some(State::Failed) => second.failed += 1,
            Some(State::Open) => all_ended = false,
            None => {
                second.lost += 1;
                all_ended = false;
            }
        }
    }
    let drain_s = (last - loaded_until).as_seconds_f64();
    Completion {
        work: work.into(),
        drain_s: all_ended.then_some(drain_s),
        seconds: seconds.into_values().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    static WORK: Work = Work {
        name: "generation",
        list: "/list?limit=500",
        accepted: "created_at",
        ended: "completed_at",
    };

    fn item(status: &str, ended: Option<&str>) -> Value {
        json!({"status": status, "created_at": "2026-01-14T12:00:00Z", "completed_at": ended})
    }

    fn accepted(id: &str, second: u32) -> Accepted {
        Accepted { work: &WORK, id: id.into(), token: "t".into(), second }
    }

    #[test]
    fn a_list_says_how_long_it_took() {
        let at: DateTime<Utc> = "2026-01-14T12:00:01.500Z".parse().unwrap();
        assert_eq!(
            state(&WORK, &item("completed", Some("2026-01-14T12:00:01.5Z"))),
            State::Completed { took: Duration::from_millis(1500), at }
        );
        assert_eq!(state(&WORK, &item("queued", None)), State::Open);
        assert_eq!(state(&WORK, &item("failed", Some("2026-01-14T12:00:01Z"))), State::Failed);
    }

    #[test]
    fn whatever_was_not_completed_is_an_error() {
        let load_ends: DateTime<Utc> = "2026-01-14T12:00:00Z".parse().unwrap();
        let late = load_ends + chrono::TimeDelta::seconds(3);
        let completed = |at| State::Completed { took: Duration::from_secs(1), at };
        let mut known = HashMap::from([
            ("early".to_owned(), completed(load_ends - chrono::TimeDelta::seconds(9))),
            ("late".to_owned(), completed(late)),
            ("failed".to_owned(), State::Failed),
        ]);
        let items = ["early", "late", "failed", "open"].map(|id| accepted(id, 7));
        let sum = |known: &HashMap<_, _>| sum_up("generation", items.iter(), known, load_ends);
        let lost = sum(&known);
        assert_eq!((lost.lost(), lost.unfinished(), lost.drain_s), (1, 0, None));
        known.insert("open".into(), State::Open);
        let open = sum(&known);
        assert_eq!((open.lost(), open.unfinished(), open.drain_s), (0, 1, None));
        assert_eq!((open.whole().counts.succeeded, open.whole().counts.errors()), (2, 2));
        assert!(open.whole().counts.reconcile());
        known.insert("open".into(), State::Failed);
        let done = sum(&known);
        assert_eq!((done.failed(), done.drain_s), (2, Some(3.0)));
        assert_eq!(done.over(&(0..7)).counts.sent, 0);
        assert_eq!(done.over(&(7..8)).latency.len(), 2);
    }
}
