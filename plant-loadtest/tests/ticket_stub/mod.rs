//! A stub of the ticket enhancement with known truth: it checks signatures, accepts tickets, and reports
//! them as completed after some time, without doing anything.

#[path = "../served/mod.rs"]
mod served;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use served::Served;

/// Longest page of the history, whatever is asked for.
const MAX_PAGE: usize = 100;

/// What the stub does.
#[derive(Clone, Debug)]
pub struct TicketOptions {
    /// Every n-th ticket gets a 503.
    pub refuse_every: Option<u64>,
    /// Time from acceptance to completion.
    pub takes: Duration,
    /// From this accepted ticket on it takes twice as long.
    pub slow_from: Option<usize>,
    /// This accepted ticket, counted from 0, is never completed.
    pub never_completed: Option<usize>,
    /// Whether no ticket is ever completed.
    pub is_paused: bool,
    /// This accepted ticket, counted from 0, is not in the history.
    pub lost: Option<usize>,
    /// This accepted ticket, counted from 0, is in the history twice.
    pub doubled: Option<usize>,
    /// Whether all tickets get the same job id.
    pub has_one_job: bool,
    /// How the history misreports times.
    pub lie: Option<Lie>,
    /// Jobs in the queue, always.
    pub queue_depth: u64,
    /// Jobs in the queue in addition, until the history is read after the load.
    pub peak_queue: u64,
    /// Number of times that the metrics still contain three jobs after the load.
    pub stale_metrics: u64,
    /// From this accepted ticket on each one logs an error.
    pub errors_from: Option<usize>,
    /// Key without which the history and the reset are refused.
    pub admin_key: Option<&'static str>,
}

/// How the history misreports the times of tickets.
#[derive(Clone, Copy, Debug)]
pub enum Lie {
    /// They were accepted when they were completed.
    NoTime,
    /// They were accepted and completed seven years ago.
    LongAgo,
    /// They will be completed in a minute.
    Future,
}

impl Default for TicketOptions {
    fn default() -> Self {
        Self {
            refuse_every: None,
            takes: Duration::from_millis(300),
            slow_from: None,
            never_completed: None,
            is_paused: false,
            lost: None,
            doubled: None,
            has_one_job: false,
            lie: None,
            queue_depth: 0,
            peak_queue: 0,
            stale_metrics: 0,
            errors_from: None,
            admin_key: None,
        }
    }
}

/// What the stub has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Ids of the accepted tickets since the last reset, and when they were accepted.
    pub accepted: Vec<(String, DateTime<Utc>)>,
    /// Number of requests with a ticket.
    pub posted: u64,
    /// Number of tickets that were refused.
    pub refused: u64,
    /// Number of resets.
    pub resets: u64,
    /// Number of times that the metrics were read after the load.
    pub late_metrics: u64,
    /// Number of pages of the history that were read to follow accepted work.
    pub long_pages: u64,
}

struct Shared {
    options: TicketOptions,
    seen: Mutex<Seen>,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let sent = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let key = sent("x-admin-key")
            .or_else(|| sent("authorization").and_then(|value| value.strip_prefix("Bearer ")));
        self.options.admin_key.is_none_or(|expected| key == Some(expected))
    }
}

/// A running stub. It stops when this value is dropped.
pub struct TicketStub {
    served: Served,
    shared: Arc<Shared>,
}

impl TicketStub {
    /// Starts a stub on a free port of the loopback interface.
    pub fn start(options: TicketOptions) -> Self {
        let shared = Arc::new(Shared { options, seen: Mutex::default() });
        let router = Router::new()
            .route("/health", get(health))
            .route("/metrics", get(metrics))
            .route("/webhooks/servicedesk/{tenant}", post(webhook))
            .route("/enhancements/history", get(history))
            .route("/enhancements/{ticket}", get(find))
            .route("/admin/tenants/{tenant}/reset", post(reset))
            .with_state(Arc::clone(&shared));
        Self { served: Served::start(router), shared }
    }

    /// Returns the base URL, as for `--host`.
    pub fn host(&self) -> String {
        self.served.host()
    }

    /// Returns what the stub has seen.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen()
    }
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

async fn health() -> Response {
    axum::Json(json!({ "status": "healthy", "timestamp": now() })).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> String {
    let (accepted, late_metrics) = {
        let mut seen = shared.seen();
        seen.late_metrics += u64::from(seen.long_pages > 0);
        (seen.accepted.len(), seen.late_metrics)
    };
    let waiting = match late_metrics {
        0 => shared.options.peak_queue,
        number if number <= shared.options.stale_metrics => 3,
        _ => 0,
    };
    let errors = shared.options.errors_from.map_or(0, |from| accepted.saturating_sub(from));
    format!(
        "process_start_time_seconds 1700000000\nprocess_cpu_seconds_total 1.5\n\
         process_resident_memory_bytes 20971520\n\
         queue_depth{{queue_name=\"enhancement_queue\"}} {}\n\
         log_events_total{{level=\"error\"}} {errors}\nlog_events_total{{level=\"warn\"}} 3\n",
        shared.options.queue_depth + waiting
    )
}

async fn webhook(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if uri.path() != "/webhooks/servicedesk/load-test-tenant" {
        return StatusCode::NOT_FOUND.into_response();
    }
    let signature = headers.get("x-servicedesk-signature").map(|value| hex::decode(value).unwrap());
    let mut mac = Hmac::<Sha256>::new_from_slice(b"encrypted_test_secret").unwrap();
    mac.update(&body);
    if mac.verify_slice(&signature.unwrap_or_default()).is_err() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let ticket: Value = serde_json::from_slice(&body).unwrap();
    let Some(id) = ticket["ticket_id"].as_str() else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    let mut seen = shared.seen();
    seen.posted += 1;
    if shared.options.refuse_every.is_some_and(|every| seen.posted.is_multiple_of(every)) {
        seen.refused += 1;
        return (StatusCode::SERVICE_UNAVAILABLE, r#"{"code":"unavailable"}"#).into_response();
    }
    let job_id = match shared.options.has_one_job {
        true => "job".to_owned(),
        false => format!("job-{}", seen.accepted.len()),
    };
    seen.accepted.push((id.to_owned(), now()));
    let body = json!({ "status": "accepted", "job_id": job_id, "message": "queued" });
    (StatusCode::ACCEPTED, axum::Json(body)).into_response()
}

async fn history(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Response {
    if !shared.admits(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let query = uri.query().unwrap_or_default().as_bytes();
    let query: HashMap<_, _> = form_urlencoded::parse(query).collect();
    assert_eq!(query["tenant_id"], "load-test-tenant");
    let number = |name: &str| query.get(name).map_or(0, |number| number.parse().unwrap());
    let (limit, offset) = (number("limit"), number("offset"));
    let mut seen = shared.seen();
    seen.long_pages += u64::from(limit > MAX_PAGE);
    let options = &shared.options;
    let accepted = seen.accepted.iter().enumerate().rev();
    let shown = accepted.filter(|(index, _)| options.lost != Some(*index)).flat_map(|ticket| {
        let entries = if options.doubled == Some(ticket.0) { 2 } else { 1 };
        std::iter::repeat_n(ticket, entries)
    });
    let rows: Vec<Value> = shown
        .skip(offset)
        .take(limit.min(MAX_PAGE))
        .map(|(index, (id, accepted_at))| row(options, index, id, *accepted_at))
        .collect();
    axum::Json(rows).into_response()
}

fn row(options: &TicketOptions, index: usize, id: &str, accepted_at: DateTime<Utc>) -> Value {
    let is_slow = options.slow_from.is_some_and(|from| index >= from);
    let takes = if is_slow { options.takes * 2 } else { options.takes };
    let completed_at = accepted_at + takes;
    let is_stuck = options.is_paused || options.never_completed == Some(index);
    let has_ended = !is_stuck && completed_at <= now();
    let (accepted_at, completed_at) = match options.lie {
        None => (accepted_at, completed_at),
        Some(Lie::NoTime) => (completed_at, completed_at),
        Some(Lie::LongAgo) => {
            (accepted_at - TimeDelta::days(2557), completed_at - TimeDelta::days(2557))
        }
        Some(Lie::Future) => (accepted_at, completed_at + TimeDelta::minutes(1)),
    };
    json!({
        "id": format!("job-{index}"),
        "ticket_id": id,
        "status": if has_ended { "completed" } else { "pending" },
        "accepted_at": accepted_at,
        "completed_at": has_ended.then_some(completed_at),
    })
}

async fn find(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let ticket = uri.path().rsplit('/').next();
    let seen = shared.seen();
    match seen.accepted.iter().position(|(id, _)| Some(id.as_str()) == ticket) {
        Some(index) => {
            let (id, accepted_at) = &seen.accepted[index];
            axum::Json(row(&shared.options, index, id, *accepted_at)).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn reset(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !shared.admits(&headers) {
        return (StatusCode::UNAUTHORIZED, r#"{"code":"unauthenticated"}"#).into_response();
    }
    let mut seen = shared.seen();
    seen.resets += 1;
    seen.accepted.clear();
    axum::Json(json!({})).into_response()
}
