//! Reads the service's lists of accepted work.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    access,
    login::Login,
    work::{AcceptedWork, WorkKind},
};

/// Maximum number of lists read concurrently.
const MAX_CONCURRENT_READS: usize = 8;

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
    login: Option<Arc<Login>>,
    token: Arc<str>,
    /// The items to find: their ids, with their positions in the accepted work.
    items: Vec<(String, usize)>,
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
    http: reqwest::Client,
    host: String,
    /// New tokens by account. `None`: the service rejected the login.
    renewed: HashMap<String, Option<Arc<str>>>,
}

impl ListReader {
    pub(super) fn new(http: reqwest::Client, host: &str) -> Self {
        Self { http, host: host.to_owned(), renewed: HashMap::new() }
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
            reads.spawn(read_list(self.http.clone(), self.host.clone(), list));
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
        let mut lists: BTreeMap<(&str, &str), List> = BTreeMap::new();
        for (index, item) in pending {
            let account = item.login.as_ref().map(|login| login.account.as_str());
            let owner = account.unwrap_or(&item.token);
            let renewed = account.and_then(|account| self.renewed.get(account).cloned().flatten());
            let list = lists.entry((item.kind.name, owner)).or_insert_with(|| List {
                kind: item.kind,
                login: item.login.clone(),
                token: Arc::clone(&item.token),
                items: Vec::new(),
            });
            // The token of the item accepted last is the newest one of the run.
            list.token = renewed.unwrap_or_else(|| Arc::clone(&item.token));
            list.items.push((item.id.clone(), *index));
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
async fn read_list(http: reqwest::Client, host: String, list: List) -> ListRead {
    let mut states = HashMap::new();
    let (mut result, mut renewed) =
        (read_pages(&http, &host, &list, &list.token, &mut states).await, None);
    if matches!(result, Err(ReadError::Refused))
        && let Some(login) = &list.login
    {
        match access::log_in_again(&http, &host, login).await {
            Ok(token) => {
                result = read_pages(&http, &host, &list, &token, &mut states).await;
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
    for (_, index) in list.items {
        states.entry(index).or_insert(missing);
    }
    ListRead { states, renewed }
}

/// Reads a list page by page until all ids are found or the list ends.
async fn read_pages(
    http: &reqwest::Client,
    host: &str,
    list: &List,
    token: &str,
    states: &mut States,
) -> Result<(), ReadError> {
    let mut after = String::new();
    let mut pages = HashSet::new();
    loop {
        // A list whose pages repeat never ends.
        if !pages.insert(after.clone()) {
            return Err(ReadError::Unreachable);
        }
        let url = format!("{host}{}{after}", list.kind.list_path);
        let page = read_page(http, &url, token).await?;
        let items = page["items"].as_array().ok_or(ReadError::Unreachable)?;
        for item in items {
            let Some(id) = item["id"].as_str() else { continue };
            for (_, index) in list.items.iter().filter(|(pending, _)| pending == id) {
                states.insert(*index, work_state(list.kind, item));
            }
        }
        if list.items.iter().all(|(_, index)| states.contains_key(index)) {
            return Ok(());
        }
        let Some(next) = page["next"].as_str() else { return Ok(()) };
        after = format!("&after={next}");
    }
}

async fn read_page(http: &reqwest::Client, url: &str, token: &str) -> Result<Value, ReadError> {
    let response =
        http.get(url).bearer_auth(token).send().await.map_err(|_| ReadError::Unreachable)?;
    match response.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(ReadError::Refused),
        StatusCode::OK => {}
        _ => return Err(ReadError::Unreachable),
    }
    let body = response.bytes().await.map_err(|_| ReadError::Unreachable)?;
    serde_json::from_slice(&body).map_err(|_| ReadError::Unreachable)
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
