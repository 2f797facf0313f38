//! Reads the service's lists of accepted work.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval},
};

use super::pages::{Position, Unreadable};
use crate::{
    access,
    work::{AcceptedWork, WorkKind, WorkList},
};

/// Maximum number of lists read concurrently.
const MAX_CONCURRENT_READS: usize = 8;

/// Interval at which pages are read, of all lists together, so that reading does not disturb the service,
/// which may still be completing work.
pub(super) const READ_INTERVAL: Duration = Duration::from_millis(25);

/// State of an item in the service's list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum WorkState {
    /// In the list, not ended.
    Pending,
    /// Ended without a result.
    Failed,
    /// Ended with a result.
    Completed { took: Duration, at: DateTime<Utc> },
    /// Not in the list.
    Unknown,
    /// The service refuses to show the list (401, 403), also after a new login.
    Refused,
    /// The list could not be read: no response, or another status than 200.
    Unreachable,
}

impl WorkState {
    /// Returns whether the state can no longer change.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::Completed { .. } | Self::Refused)
    }
}

/// One list of the service: the work of one kind and one account.
struct List {
    kind: &'static WorkKind,
    list: WorkList,
    /// The items to find: their ids, with their positions in the accepted work.
    items: HashMap<String, Vec<usize>>,
}

/// States of items by their positions in the accepted work. Ids alone do not identify them: two accounts
/// may have work of the same id.
type States = HashMap<usize, WorkState>;

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
    /// New tokens by account. `None`: the service rejected the login.
    renewed: HashMap<String, Option<Arc<str>>>,
}

impl ListReader {
    pub(super) fn new(http: reqwest::Client, host: &str) -> Self {
        let mut pace = interval(READ_INTERVAL);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let pace = Arc::new(Mutex::new(pace));
        let pages = PageReader { http, host: host.to_owned(), pace };
        Self { pages, renewed: HashMap::new() }
    }

    /// Reads the state of all `pending` items, given with their positions in the accepted work.
    pub(super) async fn read(&mut self, pending: &[(usize, &AcceptedWork)]) -> States {
        let mut states = HashMap::new();
        let mut reads = JoinSet::new();
        for list in self.lists(pending) {
            if reads.len() >= MAX_CONCURRENT_READS
                && let Some(Ok(read)) = reads.join_next().await
            {
                self.add(&mut states, read);
            }
            reads.spawn(read_list(self.pages.clone(), list));
        }
        while let Some(read) = reads.join_next().await {
            if let Ok(read) = read {
                self.add(&mut states, read);
            }
        }
        states
    }

    /// Returns the lists to read, each with the ids to find and the newest token of its account.
    fn lists(&self, pending: &[(usize, &AcceptedWork)]) -> Vec<List> {
        let mut lists: BTreeMap<(&str, &str, Option<&str>), List> = BTreeMap::new();
        for (index, item) in pending {
            let WorkList { path, token, login } = &item.list;
            let account = login.as_ref().map(|login| login.account.as_str());
            let renewed = account.and_then(|account| self.renewed.get(account).cloned().flatten());
            let owner = account.or(token.as_deref());
            let list = lists.entry((item.kind.name, path, owner)).or_insert_with(|| List {
                kind: item.kind,
                list: item.list.clone(),
                items: HashMap::new(),
            });
            // The token of the item accepted last is the newest one of the run.
            list.list.token = renewed.or_else(|| token.clone());
            list.items.entry(item.id.clone()).or_default().push(*index);
        }
        lists.into_values().collect()
    }

    fn add(&mut self, states: &mut States, read: ListRead) {
        states.extend(read.states);
        if let Some((account, token)) = read.renewed {
            self.renewed.insert(account, token);
        }
    }
}

/// Result of reading one list.
struct ListRead {
    states: States,
    renewed: Option<(String, Option<Arc<str>>)>,
}

/// Reads one list, with a new token if the service rejects the old one.
async fn read_list(pages: PageReader, list: List) -> ListRead {
    let mut states = HashMap::new();
    let token = list.list.token.as_deref();
    let (mut result, mut renewed) = (pages.read_all(&list, token, &mut states).await, None);
    if matches!(result, Err(ReadError::Refused))
        && let Some(login) = &list.list.login
    {
        match access::log_in_again(&pages.http, &pages.host, login).await {
            Ok(token) => {
                result = pages.read_all(&list, Some(&token), &mut states).await;
                renewed = Some((login.account.clone(), Some(token)));
            }
            Err(access::LoginError::InvalidCredentials { .. }) => {
                renewed = Some((login.account.clone(), None));
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
    for index in list.items.into_values().flatten() {
        states.entry(index).or_insert(missing);
    }
    ListRead { states, renewed }
}

/// Reads pages of lists, at most one in each [`READ_INTERVAL`].
#[derive(Clone, Debug)]
struct PageReader {
    http: reqwest::Client,
    host: String,
    pace: Arc<Mutex<Interval>>,
}

impl PageReader {
    /// Reads a list page by page until all ids are found or the list ends.
    async fn read_all(
        &self,
        list: &List,
        token: Option<&str>,
        states: &mut States,
    ) -> Result<(), ReadError> {
        let kind = list.kind;
        let mut missing: HashMap<&str, &[usize]> =
            list.items.iter().map(|(id, indexes)| (id.as_str(), indexes.as_slice())).collect();
        let mut position = Position::start(kind.pages);
        loop {
            let url = format!("{}{}{}", self.host, list.list.path, position.parameter());
            let page = self.read(&url, token).await?;
            for item in position.items(&page)? {
                let indexes = item[kind.id_field].as_str().and_then(|id| missing.remove(id));
                for index in indexes.unwrap_or_default() {
                    states.insert(*index, work_state(kind, item));
                }
            }
            if missing.is_empty() || !position.advance(&page, kind.id_field)? {
                return Ok(());
            }
        }
    }

    async fn read(&self, url: &str, token: Option<&str>) -> Result<Value, ReadError> {
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
        let body = response.bytes().await.map_err(|_| ReadError::Unreachable)?;
        serde_json::from_slice(&body).map_err(|_| ReadError::Unreachable)
    }
}

impl From<Unreadable> for ReadError {
    fn from(_: Unreadable) -> Self {
        Self::Unreachable
    }
}

fn work_state(kind: &WorkKind, item: &Value) -> WorkState {
    let time = |field: &str| item[field].as_str()?.parse::<DateTime<Utc>>().ok();
    let Some(at) = time(kind.ended_field) else { return WorkState::Pending };
    match time(kind.accepted_field) {
        Some(accepted) if item["status"] == "completed" => {
            // Work that ended before it was accepted has no completion time.
            let took = (at - accepted).to_std();
            took.map_or(WorkState::Failed, |took| WorkState::Completed { took, at })
        }
        _ => WorkState::Failed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tests::WORK, *};

    fn item(status: &str, ended: Option<&str>) -> Value {
        json!({"status": status, "created_at": "2026-01-14T12:00:00Z", "completed_at": ended})
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
}
