//! Reads the service's lists of accepted work.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval},
};

use super::{
    found::{Found, WorkState},
    pages::{Position, Step, Unreadable},
    times::{self, ReadAt},
};
use crate::{
    access, client,
    work::{AcceptedWork, WorkKind, WorkList},
};

/// Maximum number of lists read concurrently.
const MAX_CONCURRENT_READS: usize = 8;

/// Interval at which pages are read, of all lists together, so that reading does not disturb the service,
/// which may still be completing work.
pub(super) const READ_INTERVAL: Duration = Duration::from_millis(25);

/// One list of the service: the work of one kind and one account.
#[derive(Debug)]
struct List {
    kind: &'static WorkKind,
    list: WorkList,
    /// Its accepted items: their ids, with their positions in the accepted work. Ids alone do not identify
    /// them: two accounts may have work of the same id.
    items: HashMap<String, Vec<usize>>,
}

/// Why a list could not be read.
#[derive(Clone, Copy)]
enum ReadError {
    Refused,
    Unreachable,
}

/// Reads the lists of a service again and again. A token that the service no longer accepts is
/// replaced by a new login, once per account.
pub(super) struct ListReader {
    pages: PageReader,
    accepted: Arc<[AcceptedWork]>,
    lists: Vec<Arc<List>>,
    /// New tokens by account. `None`: the service rejected the login.
    renewed: HashMap<String, Option<Arc<str>>>,
}

impl ListReader {
    pub(super) fn new(http: reqwest::Client, host: &str, accepted: Arc<[AcceptedWork]>) -> Self {
        let mut pace = interval(READ_INTERVAL);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let pace = Arc::new(Mutex::new(pace));
        let pages = PageReader { http, host: host.to_owned(), pace };
        let lists = lists(&accepted);
        Self { pages, accepted, lists, renewed: HashMap::new() }
    }

    /// Adds the items that share an id with others to `found`.
    pub(super) fn find_shared_ids(&self, found: &mut Found) {
        for list in &self.lists {
            let mut of_jobs: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (id, indexes) in &list.items {
                // Work without an id is lost.
                if indexes.len() > 1 && !id.is_empty() {
                    let problem = format!("{} accepted items have this id", indexes.len());
                    found.add_doubled(indexes, &problem);
                }
                for index in indexes {
                    if let Some(job_id) = &self.accepted[*index].job_id {
                        of_jobs.entry(job_id).or_default().push(*index);
                    }
                }
            }
            for (job_id, indexes) in of_jobs.into_iter().filter(|(_, items)| items.len() > 1) {
                let problem = format!("{} accepted items have the job id {job_id}", indexes.len());
                found.add_doubled(&indexes, &problem);
            }
        }
    }

    /// Reads the lists of all pending items, and adds what they show to `found`, list by list.
    pub(super) async fn read(&mut self, found: &mut Found) {
        let mut reads = JoinSet::new();
        for reading in self.readings(found) {
            if reads.len() >= MAX_CONCURRENT_READS
                && let Some(Ok(read)) = reads.join_next().await
            {
                self.add(found, read);
            }
            reads.spawn(read_list(self.pages.clone(), reading));
        }
        while let Some(read) = reads.join_next().await {
            if let Ok(read) = read {
                self.add(found, read);
            }
        }
    }

    /// Returns the lists to read, each with the newest token of its account.
    fn readings(&self, found: &Found) -> Vec<Reading> {
        let readings = self.lists.iter().filter_map(|list| {
            let of_list = list.items.values().flatten().copied();
            let pending: HashSet<usize> =
                of_list.filter(|index| found.is_pending(*index)).collect();
            let account = list.list.login.as_ref().map(|login| login.account.as_str());
            let renewed = account.and_then(|account| self.renewed.get(account).cloned().flatten());
            (!pending.is_empty()).then(|| Reading {
                list: Arc::clone(list),
                accepted: Arc::clone(&self.accepted),
                pending,
                token: renewed.or_else(|| list.list.token.clone()),
            })
        });
        readings.collect()
    }

    fn add(&mut self, found: &mut Found, read: ListRead) {
        found.add(read.states, read.entries);
        if let Some((account, token)) = read.renewed {
            self.renewed.insert(account, token);
        }
    }
}

/// Returns the lists that contain the `accepted` work.
fn lists(accepted: &[AcceptedWork]) -> Vec<Arc<List>> {
    let mut lists: BTreeMap<(&str, &str, Option<&str>), List> = BTreeMap::new();
    for (index, item) in accepted.iter().enumerate() {
        let WorkList { path, token, login } = &item.list;
        let account = login.as_ref().map(|login| login.account.as_str());
        let owner = account.or(token.as_deref());
        let list = lists.entry((item.kind.name, path, owner)).or_insert_with(|| List {
            kind: item.kind,
            list: item.list.clone(),
            items: HashMap::new(),
        });
        // The token of the item accepted last is the newest one of the run.
        list.list.token.clone_from(token);
        list.items.entry(item.id.clone()).or_default().push(index);
    }
    lists.into_values().map(Arc::new).collect()
}

/// One pass through a list.
struct Reading {
    list: Arc<List>,
    accepted: Arc<[AcceptedWork]>,
    /// Positions of the items to find.
    pending: HashSet<usize>,
    token: Option<Arc<str>>,
}

/// Result of one pass through a list.
#[derive(Default)]
struct ListRead {
    /// States of the items that it was read for.
    states: HashMap<usize, WorkState>,
    /// How often the list shows items, of those that it shows more than once.
    entries: HashMap<usize, u32>,
    renewed: Option<(String, Option<Arc<str>>)>,
}

/// Reads one list, with a new token if the service rejects the old one.
async fn read_list(pages: PageReader, reading: Reading) -> ListRead {
    let mut read = ListRead::default();
    let mut result = pages.read_all(&reading, reading.token.as_deref(), &mut read).await;
    if matches!(result, Err(ReadError::Refused))
        && let Some(login) = &reading.list.list.login
    {
        match access::log_in_again(&pages.http, &pages.host, login).await {
            Ok(token) => {
                result = pages.read_all(&reading, Some(&token), &mut read).await;
                read.renewed = Some((login.account.clone(), Some(token)));
            }
            Err(access::LoginError::InvalidCredentials { .. }) => {
                read.renewed = Some((login.account.clone(), None));
            }
            // Tried again with the next poll.
            Err(access::LoginError::Failed { .. }) => result = Err(ReadError::Unreachable),
        }
    }
    let missing = match result {
        Ok(()) => WorkState::Unknown,
        Err(ReadError::Refused) => WorkState::Refused,
        Err(ReadError::Unreachable) => WorkState::Unreachable,
    };
    for index in reading.pending {
        read.states.entry(index).or_insert(missing);
    }
    read
}

/// Reads pages of lists, at most one in each [`READ_INTERVAL`].
#[derive(Clone, Debug)]
struct PageReader {
    http: reqwest::Client,
    host: String,
    pace: Arc<Mutex<Interval>>,
}

impl PageReader {
    /// Reads a list page by page until all ids are found and everything is older than the oldest item of
    /// them, so that one that is listed twice is seen twice, or until the list ends.
    async fn read_all(
        &self,
        reading: &Reading,
        token: Option<&str>,
        read: &mut ListRead,
    ) -> Result<(), ReadError> {
        let Reading { list, accepted, pending, .. } = reading;
        let List { kind, items, .. } = &**list;
        let mut missing: HashSet<&str> =
            pending.iter().map(|index| accepted[*index].id.as_str()).collect();
        let oldest =
            pending.iter().map(|index| times::earliest_start(&accepted[*index].times)).min();
        let mut has_passed = false;
        let mut entries: HashMap<&str, u32> = HashMap::new();
        let mut position = Position::start(kind.pages);
        loop {
            let url = format!("{}{}{}", self.host, list.list.path, position.parameter());
            let (page, read_at) = self.read(&url, token).await?;
            let repeated = position.repeated(&page, kind.id_field);
            for (number, item) in position.items(&page)?.iter().enumerate() {
                has_passed |=
                    time(item, kind.accepted_field).is_some_and(|start| Some(start) < oldest);
                let known = item[kind.id_field].as_str().and_then(|id| items.get_key_value(id));
                let Some((id, indexes)) = known else { continue };
                missing.remove(id.as_str());
                for index in indexes.iter().filter(|index| pending.contains(index)) {
                    let state = || work_state(kind, item, &accepted[*index], read_at);
                    read.states.entry(*index).or_insert_with(state);
                }
                if number < repeated {
                    continue;
                }
                let count = entries.entry(id).or_default();
                *count += 1;
                if *count > 1 {
                    read.entries.extend(indexes.iter().map(|index| (*index, *count)));
                }
            }
            if missing.is_empty() && has_passed {
                return Ok(());
            }
            match position.advance(&page, kind.id_field)? {
                Step::Next => {}
                Step::Restart => entries.clear(),
                Step::End => return Ok(()),
            }
        }
    }

    /// Returns a page, and when it was read.
    async fn read(&self, url: &str, token: Option<&str>) -> Result<(Value, ReadAt), ReadError> {
        self.pace.lock().await.tick().await;
        let mut request = self.http.get(url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|_| ReadError::Unreachable)?;
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(ReadError::Refused),
            StatusCode::OK => {}
            _ => return Err(ReadError::Unreachable),
        }
        let date = client::date(response.headers());
        let body = response.bytes().await.map_err(|_| ReadError::Unreachable)?;
        let page = serde_json::from_slice(&body).map_err(|_| ReadError::Unreachable)?;
        Ok((page, ReadAt { own: SystemTime::now().into(), date }))
    }
}

impl From<Unreadable> for ReadError {
    fn from(_: Unreadable) -> Self {
        Self::Unreachable
    }
}

fn time(item: &Value, field: &str) -> Option<DateTime<Utc>> {
    item[field].as_str()?.parse().ok()
}

/// Returns the state of `accepted` work that a list shows as `item`.
fn work_state(
    kind: &WorkKind,
    item: &Value,
    accepted: &AcceptedWork,
    read_at: ReadAt,
) -> WorkState {
    let Some(ended) = time(item, kind.ended_field) else { return WorkState::Pending };
    if item["status"] != "completed" {
        return WorkState::Failed;
    }
    let started = time(item, kind.accepted_field);
    match times::check(&accepted.times, started, ended, read_at) {
        Ok(times) => WorkState::Completed(times),
        Err(doubt) => WorkState::NotCredible(doubt),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{
            tests::{WORK, accepted},
            times::Times,
        },
        *,
    };

    fn state(status: &str, ended: Option<&str>) -> WorkState {
        let started = "2026-01-14T12:00:00Z";
        let item = json!({"status": status, "created_at": started, "completed_at": ended});
        let read_at = ReadAt { own: "2026-01-14T12:01:00Z".parse().unwrap(), date: None };
        let mut work = accepted("a", 0);
        work.times.sent_at = started.parse().unwrap();
        work.times.answered_at = work.times.sent_at;
        work_state(&WORK, &item, &work, read_at)
    }

    #[test]
    fn the_duration_comes_from_the_times_in_the_list() {
        let ended_at: DateTime<Utc> = "2026-01-14T12:00:01.500Z".parse().unwrap();
        assert_eq!(
            state("completed", Some("2026-01-14T12:00:01.5Z")),
            WorkState::Completed(Times { took: Duration::from_millis(1500), ended_at })
        );
        assert_eq!(state("queued", None), WorkState::Pending);
        assert_eq!(state("failed", Some("2026-01-14T12:00:01Z")), WorkState::Failed);
        let early = state("completed", Some("2026-01-14T11:59:59Z"));
        assert!(matches!(early, WorkState::NotCredible(_)), "{early:?}");
    }
}
