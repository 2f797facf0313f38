use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{
    list::READ_INTERVAL,
    times::{Doubt, Times},
    *,
};
use crate::{
    login::Login,
    sla::Limit,
    work::{ExchangeTimes, Pages, WorkList},
};

pub(super) static WORK: WorkKind = WorkKind {
    name: "generation",
    pages: Pages::After,
    id_field: "id",
    accepted_field: "created_at",
    ended_field: "completed_at",
};

pub(super) fn accepted(id: &str, second: u32) -> AcceptedWork {
    let started: DateTime<Utc> = "2026-01-14T12:00:00Z".parse().unwrap();
    let times = ExchangeTimes { sent_at: started, answered_at: started, date: None };
    AcceptedWork { second, ..AcceptedWork::new(&WORK, id.into(), list_of("old", None), times) }
}

fn list_of(token: &str, login: Option<Arc<Login>>) -> WorkList {
    WorkList { path: "/list?limit=2".into(), token: Some(token.into()), login }
}

/// Summarizes items in these states.
fn summarize_all(items: &[AcceptedWork], states: &[WorkState], end: WaitEnd) -> Completion {
    let mut found = Found::nothing(items.len());
    found.add(states.iter().copied().enumerate().collect(), HashMap::new());
    summarize("generation", items.iter().enumerate(), &found, end)
}

fn completed(took_s: u64, ended_at: DateTime<Utc>) -> WorkState {
    WorkState::Completed(Times { took: Duration::from_secs(took_s), ended_at })
}

fn at_noon() -> WaitEnd {
    WaitEnd { load_ended_at: "2026-01-14T12:00:00Z".parse().unwrap(), was_cut_short: false }
}

#[test]
fn work_that_was_not_completed_counts_as_an_error() {
    let noon = at_noon().load_ended_at;
    let late = completed(1, noon + chrono::TimeDelta::seconds(3));
    let early = completed(1, noon - chrono::TimeDelta::seconds(9));
    let items = ["early", "late", "failed", "pending"].map(|id| accepted(id, 7));
    let summary = |last| summarize_all(&items, &[early, late, WorkState::Failed, last], at_noon());
    let lost = summary(WorkState::Unknown);
    assert_eq!((lost.lost(), lost.unfinished(), lost.drain_s), (1, 0, None));
    assert_eq!((lost.not_ended(), &lost.not_ended_ids[..]), (1, &["pending".to_owned()][..]));
    assert_eq!(lost.tally_all().counts.errors(), 2, "lost work is an error");
    let pending = summary(WorkState::Pending);
    assert_eq!((pending.lost(), pending.unfinished(), pending.drain_s), (0, 1, None));
    assert_eq!((pending.not_ended(), pending.not_ended_ids.len()), (1, 1));
    let counts = pending.tally_all().counts;
    assert_eq!((counts.succeeded, counts.errors()), (2, 2));
    assert!(pending.tally_all().counts.is_consistent());
    let ended = summary(WorkState::Failed);
    assert_eq!((ended.failed(), ended.drain_s), (2, Some(3.0)));
    assert_eq!((ended.not_ended(), ended.not_ended_ids.len()), (0, 0));
    assert_eq!(ended.tally_in(&(0..7)).counts.sent, 0);
    assert_eq!(ended.tally_in(&(7..8)).latency.len(), 2);
}

#[test]
fn only_the_first_ids_of_work_that_has_not_ended_are_kept() {
    let items = ["a", "b", "c", "d", "e", "f", "g"].map(|id| accepted(id, 0));
    let completion = summarize_all(&items, &[WorkState::Unknown; 7], at_noon());
    assert_eq!(completion.not_ended_ids, ["a", "b", "c", "d", "e"]);
    assert_eq!(completion.not_ended_text().as_deref(), Some("a, b, c, d, e and 2 more"));
}

#[test]
fn work_that_could_not_be_read_is_neither_lost_nor_an_error() {
    let items = ["a", "b"].map(|id| accepted(id, 0));
    let states = [WorkState::Refused, WorkState::Unreachable];
    let completion = summarize_all(&items, &states, at_noon());
    assert_eq!((completion.refused(), completion.unreachable()), (1, 1));
    assert_eq!((completion.lost(), completion.unfinished(), completion.drain_s), (0, 0, None));
    assert_eq!(completion.tally_all().counts.sent, 0);
    assert_eq!(completion.accepted(), 2);
}

#[test]
fn work_without_credible_times_has_no_duration_and_is_named() {
    let items = ["a", "b"].map(|id| accepted(id, 4));
    let states =
        [completed(1, at_noon().load_ended_at), WorkState::NotCredible(Doubt::TookNothing)];
    let completion = summarize_all(&items, &states, at_noon());
    let all = completion.tally_all();
    assert_eq!((all.counts.sent, all.counts.succeeded, all.latency.len()), (1, 1, 1));
    assert_eq!((completion.not_credible_in(&(4..5)), completion.drain_s), (1, None));
    assert_eq!((completion.not_ended(), completion.unfinished()), (0, 0));
    let text = completion.not_credible_text().unwrap();
    assert_eq!(text, "b: it ended in the microsecond of its start");
}

#[test]
fn work_that_was_no_longer_waited_for_is_no_error_but_lost_work_is() {
    let items = ["a", "b", "c"].map(|id| accepted(id, 0));
    let end = WaitEnd { was_cut_short: true, ..at_noon() };
    let states = [WorkState::Failed, WorkState::Pending, WorkState::Unknown];
    let completion = summarize_all(&items, &states, end);
    assert!(completion.cut_short);
    assert_eq!((completion.unfinished(), completion.not_ended(), completion.lost()), (1, 1, 1));
    assert_eq!(completion.not_ended_text().as_deref(), Some("c"));
    let counts = completion.tally_all().counts;
    assert_eq!((counts.sent, counts.errors()), (2, 2));
    assert_eq!(completion.cut_short_in(&(0..1)), 1);
    let ended = summarize_all(&items[..1], &states[..1], end);
    assert!(!ended.cut_short, "all of it had ended");
}

#[test]
fn accepted_work_may_take_twice_as_long_as_its_drain_time() {
    let timeout = |metric: Metric, limit: f64, fail_limit: f64| {
        let mut sla = crate::report::example::outcome().sla;
        sla.thresholds.truncate(1);
        sla.thresholds[0].metric = metric;
        sla.thresholds[0].limit = Limit::below(limit);
        sla.thresholds[0].fail_limit = Some(Limit::below(fail_limit));
        drain_timeout(&sla).as_secs()
    };
    assert_eq!(timeout(Metric::Drain, 10.0, 20.0), 60, "at least");
    assert_eq!(timeout(Metric::Drain, 45.0, 300.0), 600);
    assert_eq!(timeout(Metric::SecondsToHealthy, 45.0, 300.0), 60, "another metric");
    assert_eq!(drain_timeout(&Sla::empty()).as_secs(), 60);
}

#[tokio::test]
async fn work_of_two_accounts_may_have_the_same_id() {
    let (host, _) = Lists::new(&["a"]).serve().await;
    let known = accepted("a", 0);
    // The list of the other account cannot be read, since its token is wrong.
    let foreign = AcceptedWork { list: list_of("foreign", None), ..accepted("a", 0) };
    let http = reqwest::Client::new();
    let items = vec![known, foreign];
    let mut all = wait_until_ended(&http, &host, &[&WORK], items, Duration::ZERO, pending()).await;
    let completion = all.pop().unwrap();
    assert_eq!((completion.tally_all().counts.succeeded, completion.refused()), (1, 1));
    assert_eq!(completion.doubled, Some(0));
}

/// A service whose list has pages of two items, newest first.
struct Lists {
    items: Vec<&'static str>,
    valid_token: Mutex<Option<&'static str>>,
    status: StatusCode,
    accepts_login: bool,
    reads: AtomicU64,
    logins: AtomicU64,
    answer: Answer,
}

/// How the list answers.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Pages,
    /// The same page again and again.
    Endless,
    /// 200 with another body.
    Maintenance,
    /// Work that ended before it was accepted.
    Backwards,
    /// Without an end.
    Pending,
    /// The first time without an end, then 503.
    PendingThenGone,
}

impl Lists {
    fn new(items: &[&'static str]) -> Self {
        Self {
            items: items.to_vec(),
            valid_token: Mutex::new(Some("old")),
            status: StatusCode::OK,
            accepts_login: true,
            reads: AtomicU64::new(0),
            logins: AtomicU64::new(0),
            answer: Answer::Pages,
        }
    }

    async fn serve(self) -> (String, Arc<Self>) {
        let lists = Arc::new(self);
        let router = Router::new()
            .route("/list", get(list))
            .route("/log-in", post(log_in))
            .with_state(Arc::clone(&lists));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (host, lists)
    }
}

async fn list(
    State(lists): State<Arc<Lists>>,
    uri: Uri,
    headers: HeaderMap,
) -> (StatusCode, String) {
    let reads = lists.reads.fetch_add(1, SeqCst);
    match lists.answer {
        Answer::Endless => {
            return (StatusCode::OK, json!({"items": [], "next": "again"}).to_string());
        }
        Answer::Maintenance => return (StatusCode::OK, r#"{"error":"maintenance"}"#.into()),
        Answer::PendingThenGone if reads > 0 => {
            return (StatusCode::SERVICE_UNAVAILABLE, String::new());
        }
        _ => {}
    }
    let valid =
        lists.valid_token.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_default();
    let token = headers.get("authorization").map(|token| token.to_str().unwrap());
    if token != Some(&format!("Bearer {valid}")) {
        return (StatusCode::UNAUTHORIZED, String::new());
    }
    let after = uri.query().unwrap().split_once("&after=");
    let from: usize = after.map_or(0, |(_, after)| after.parse().unwrap());
    let items = lists.items.iter().skip(from).take(2).map(|id| {
        let ended = match lists.answer {
            Answer::Backwards => json!("2020-01-14T12:00:01Z"),
            Answer::Pending | Answer::PendingThenGone => Value::Null,
            _ => json!("2026-01-14T12:00:01Z"),
        };
        let year = if id.starts_with("old") { 2025 } else { 2026 };
        json!({"id": id, "status": "completed", "created_at": format!("{year}-01-14T12:00:00Z"),
               "completed_at": ended})
    });
    let items: Vec<Value> = items.collect();
    let next = (from + 2 < lists.items.len()).then(|| (from + 2).to_string());
    (lists.status, json!({"items": items, "next": next}).to_string())
}

async fn log_in(State(lists): State<Arc<Lists>>, body: String) -> (StatusCode, String) {
    assert!(body.contains("someone@test.local"), "{body}");
    lists.logins.fetch_add(1, SeqCst);
    if !lists.accepts_login {
        return (StatusCode::UNAUTHORIZED, String::new());
    }
    *lists.valid_token.lock().unwrap_or_else(PoisonError::into_inner) = Some("new");
    (StatusCode::OK, json!({"access_token": "new", "expires_in": 900}).to_string())
}

async fn wait(host: &str, ids: &[&str], timeout: Duration) -> Completion {
    wait_unless(host, ids, timeout, pending()).await
}

/// Waits until `cut_short` is ready.
async fn wait_unless(
    host: &str,
    ids: &[&str],
    timeout: Duration,
    cut_short: impl Future<Output = ()>,
) -> Completion {
    let login = Login {
        account: "someone@test.local".into(),
        path: "/log-in",
        body: r#"{"name":"someone@test.local"}"#.into(),
        token: "/access_token",
        lifetime: "/expires_in",
    };
    let login = Some(Arc::new(login));
    let list = list_of("old", login);
    let items = ids.iter().map(|id| AcceptedWork { list: list.clone(), ..accepted(id, 0) });
    let http = reqwest::Client::new();
    let items = items.collect();
    let mut all = wait_until_ended(&http, host, &[&WORK], items, timeout, cut_short).await;
    all.pop().unwrap()
}

#[tokio::test]
async fn all_pages_of_a_list_are_read() {
    let (host, lists) = Lists::new(&["e", "d", "c", "b", "a"]).serve().await;
    let completion = wait(&host, &["a", "e"], Duration::from_secs(60)).await;
    assert_eq!(completion.tally_all().counts.succeeded, 2);
    assert_eq!(lists.reads.load(SeqCst), 3, "one poll of three pages");
}

#[tokio::test]
async fn pages_are_read_at_a_bounded_rate() {
    let (host, lists) = Lists::new(&["x"; 20]).serve().await;
    let started = Instant::now();
    wait(&host, &["missing"], Duration::ZERO).await;
    assert_eq!(lists.reads.load(SeqCst), 10);
    assert!(started.elapsed() >= READ_INTERVAL * 9, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_list_without_an_account_is_read_without_a_token() {
    let (host, lists) = Lists::new(&["a"]).serve().await;
    let list = WorkList { token: None, ..list_of("old", None) };
    let item = AcceptedWork { list, ..accepted("a", 0) };
    let http = reqwest::Client::new();
    let all = wait_until_ended(&http, &host, &[&WORK], vec![item], Duration::ZERO, pending()).await;
    // This service requires one.
    assert_eq!((all[0].refused(), lists.reads.load(SeqCst)), (1, 1));
}

#[tokio::test]
async fn an_expired_token_is_replaced_by_one_login() {
    let (host, lists) = Lists::new(&["b", "a"]).serve().await;
    *lists.valid_token.lock().unwrap() = Some("expired");
    let completion = wait(&host, &["a", "b"], Duration::from_secs(60)).await;
    assert_eq!((completion.tally_all().counts.succeeded, completion.lost()), (2, 0));
    assert_eq!((lists.reads.load(SeqCst), lists.logins.load(SeqCst)), (2, 1));
}

#[tokio::test]
async fn work_of_an_account_that_may_no_longer_log_in_is_refused_and_not_lost() {
    let mut lists = Lists::new(&["a"]);
    lists.accepts_login = false;
    let (host, lists) = lists.serve().await;
    *lists.valid_token.lock().unwrap() = None;
    let completion = wait(&host, &["a", "b"], Duration::from_secs(60)).await;
    assert_eq!((completion.refused(), completion.lost(), completion.unreachable()), (2, 0, 0));
    assert_eq!(lists.reads.load(SeqCst), 1, "a refused list is not polled again");
}

#[tokio::test]
async fn an_unreachable_list_is_not_a_loss_but_an_incomplete_one_is() {
    let mut lists = Lists::new(&["a"]);
    lists.status = StatusCode::SERVICE_UNAVAILABLE;
    let (host, _) = lists.serve().await;
    let completion = wait(&host, &["a"], Duration::ZERO).await;
    assert_eq!((completion.unreachable(), completion.lost()), (1, 0));
    let (host, _) = Lists::new(&["a"]).serve().await;
    let completion = wait(&host, &["a", "b"], Duration::ZERO).await;
    assert_eq!((completion.unreachable(), completion.lost()), (0, 1));
}

async fn wait_for(answer: Answer, timeout: Duration) -> (Completion, u64) {
    let mut lists = Lists::new(&["a"]);
    lists.answer = answer;
    let (host, lists) = lists.serve().await;
    let completion = wait(&host, &["a"], timeout).await;
    (completion, lists.reads.load(SeqCst))
}

#[tokio::test]
async fn an_endless_list_is_not_read_for_ever() {
    let (completion, reads) = wait_for(Answer::Endless, Duration::ZERO).await;
    assert_eq!((completion.unreachable(), reads), (1, 2));
}

#[tokio::test]
async fn a_list_without_items_could_not_be_read() {
    let (completion, _) = wait_for(Answer::Maintenance, Duration::ZERO).await;
    assert_eq!((completion.unreachable(), completion.lost()), (1, 0));
}

#[tokio::test]
async fn work_that_ended_before_it_was_accepted_has_no_credible_times() {
    let (completion, _) = wait_for(Answer::Backwards, Duration::from_secs(60)).await;
    assert_eq!(completion.tally_all().latency.len(), 0);
    let text = completion.not_credible_text().unwrap();
    assert!(text.starts_with("a: it ended ") && text.ends_with(" days before its start"), "{text}");
}

#[tokio::test]
async fn an_item_that_is_listed_again_on_a_later_page_is_doubled() {
    let (host, _) = Lists::new(&["a", "b", "c", "a", "d"]).serve().await;
    let completion = wait(&host, &["a", "b"], Duration::from_secs(60)).await;
    assert_eq!(completion.doubled, Some(1));
    assert_eq!(completion.doubled_text().as_deref(), Some("a: 2 entries in the list"));
    assert_eq!(completion.tally_all().counts.succeeded, 2, "it was done all the same");
}

#[tokio::test]
async fn a_list_is_read_until_everything_is_older_than_the_accepted_work() {
    let (host, lists) = Lists::new(&["a", "b", "c", "old-1", "a", "old-2"]).serve().await;
    let completion = wait(&host, &["a"], Duration::from_secs(60)).await;
    assert_eq!((completion.doubled, lists.reads.load(SeqCst)), (Some(0), 2));
}

#[tokio::test]
async fn items_with_one_id_or_one_job_id_are_doubled() {
    let (host, _) = Lists::new(&["b", "a"]).serve().await;
    let one_id = wait(&host, &["a", "a"], Duration::from_secs(60)).await;
    assert_eq!(one_id.doubled, Some(2));
    let items = ["a", "b"].map(|id| accepted(id, 0).with_job_id("j".into()));
    let http = reqwest::Client::new();
    let timeout = Duration::from_secs(60);
    let all = wait_until_ended(&http, &host, &[&WORK], items.to_vec(), timeout, pending()).await;
    assert_eq!(all[0].doubled, Some(2));
    let text = all[0].doubled_text().unwrap();
    assert!(text.contains("a: 2 accepted items have the job id j"), "{text}");
}

#[tokio::test]
async fn a_wait_that_is_cut_short_ends_at_once_with_what_was_read() {
    let mut lists = Lists::new(&["a"]);
    lists.answer = Answer::Pending;
    let (host, lists) = lists.serve().await;
    let was_read_twice = async {
        while lists.reads.load(SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let timeout = Duration::from_secs(600);
    let completion = wait_unless(&host, &["a", "b"], timeout, was_read_twice).await;
    assert!(completion.cut_short);
    assert_eq!((completion.unfinished(), completion.lost()), (1, 1));
    // Before the first response nothing is known.
    let completion = wait_unless(&host, &["a"], timeout, async {}).await;
    assert_eq!((completion.cut_short, completion.unreachable()), (true, 1));
}

#[tokio::test]
async fn work_that_was_seen_waiting_is_unfinished_even_if_its_list_fails_later() {
    let (completion, reads) = wait_for(Answer::PendingThenGone, Duration::from_secs(3)).await;
    assert!(reads >= 2, "{reads}");
    assert_eq!((completion.unfinished(), completion.unreachable()), (1, 0));
}
