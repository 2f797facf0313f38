//! `plant-api fake-desk`: a service desk for tests and demonstrations. It stores notes in memory, and
//! it can be slow, fail, hang, or limit the rate of requests.
//!
//! A note with an `Idempotency-Key` that the desk has stored is not stored again. Half of the failures
//! come after the note was stored, so a client that repeats a request without the key adds notes.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use clap::Args;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::extract::{Json, Path};
use crate::sample;

/// Notes that are kept; with more, the oldest are removed.
const MAX_NOTES: usize = 200_000;

/// Options of `plant-api fake-desk`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8003")]
    pub listen: SocketAddr,

    #[command(flatten)]
    pub behavior: Behavior,
}

/// How the desk behaves.
#[derive(Debug, Clone, Args)]
pub struct Behavior {
    /// Median latency in milliseconds.
    #[arg(long, default_value_t = 5)]
    pub latency_ms: u64,

    /// Standard deviation of the logarithm of the latency; 0: constant latency.
    #[arg(long, default_value_t = 0.4)]
    pub spread: f64,

    /// Share of requests that fail with 500, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    pub failure_rate: f64,

    /// Share of requests that get no response, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    pub hang_rate: f64,

    /// Maximum number of requests per second; more get 429. 0: no limit.
    #[arg(long, default_value_t = 0)]
    pub rate_limit: u32,

    /// Random seed.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

impl Default for Behavior {
    fn default() -> Self {
        Self {
            latency_ms: 5,
            spread: 0.4,
            failure_rate: 0.0,
            hang_rate: 0.0,
            rate_limit: 0,
            seed: 42,
        }
    }
}

/// A stored note.
#[derive(Debug, Clone, Serialize)]
struct Note {
    id: u64,
    /// Host that the note was posted to.
    desk: String,
    ticket_id: String,
    key: String,
    description: String,
}

/// Numbers of requests by what became of them.
#[derive(Debug, Clone, Default, Serialize)]
struct Stats {
    requests: u64,
    /// Notes stored.
    notes: u64,
    /// Requests with a key that was stored before.
    repeated: u64,
    failed: u64,
    hanging: u64,
    rate_limited: u64,
}

#[derive(Default)]
struct Notes {
    stats: Stats,
    /// Oldest first.
    stored: VecDeque<Arc<Note>>,
    by_key: HashMap<String, Arc<Note>>,
    by_ticket: HashMap<String, Vec<Arc<Note>>>,
}

impl Notes {
    fn add(&mut self, note: Note) -> Arc<Note> {
        if let Some(stored) = self.by_key.get(&note.key) {
            self.stats.repeated += 1;
            return stored.clone();
        }
        if self.stored.len() == MAX_NOTES
            && let Some(oldest) = self.stored.pop_front()
        {
            self.by_key.remove(&oldest.key);
            self.by_ticket.remove(&oldest.ticket_id);
        }
        self.stats.notes += 1;
        let note = Arc::new(Note { id: self.stats.notes, ..note });
        self.stored.push_back(note.clone());
        self.by_key.insert(note.key.clone(), note.clone());
        self.by_ticket.entry(note.ticket_id.clone()).or_default().push(note.clone());
        note
    }
}

struct Inner {
    behavior: Behavior,
    limiter: Option<DefaultDirectRateLimiter>,
    requests: AtomicU64,
    notes: Mutex<Notes>,
}

/// The desk. Clones share the state.
#[derive(Clone)]
struct Desk(Arc<Inner>);

/// Serves a fake desk until `shutdown`.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    behavior: Behavior,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "fake service desk listening");
    tokio::select! {
        result = axum::serve(listener, router(behavior)) => result,
        () = shutdown.cancelled() => Ok(()),
    }
}

/// Returns the routes of a fake desk.
pub fn router(behavior: Behavior) -> Router {
    let limiter = NonZeroU32::new(behavior.rate_limit)
        .map(|rate| RateLimiter::direct(Quota::per_second(rate)));
    let desk = Desk(Arc::new(Inner {
        behavior,
        limiter,
        requests: AtomicU64::new(0),
        notes: Mutex::default(),
    }));
    Router::new()
        .route("/api/v3/requests/{ticket_id}/notes", post(add_note))
        .route("/notes/{ticket_id}", get(list_notes))
        .route("/stats", get(stats))
        .with_state(desk)
}

#[derive(Deserialize)]
struct InputData {
    note: InputNote,
}

#[derive(Deserialize)]
struct InputNote {
    description: String,
}

async fn add_note(
    State(desk): State<Desk>,
    Path(ticket_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let number = desk.0.requests.fetch_add(1, Ordering::Relaxed);
    desk.count(|stats| stats.requests += 1);
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    let (Some(key), Some(_)) = (text("idempotency-key"), text("authtoken")) else {
        return (StatusCode::UNAUTHORIZED, "no authtoken or no idempotency-key").into_response();
    };
    let Some(description) = description(&body) else {
        return (StatusCode::BAD_REQUEST, "input_data has no note").into_response();
    };
    if desk.0.limiter.as_ref().is_some_and(|limiter| limiter.check().is_err()) {
        desk.count(|stats| stats.rate_limited += 1);
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response();
    }
    let Behavior { seed, latency_ms, spread, failure_rate, hang_rate, .. } = desk.0.behavior;
    let digest: [u8; 32] = Sha256::new()
        .chain_update(seed.to_be_bytes())
        .chain_update(number.to_be_bytes())
        .finalize()
        .into();
    tokio::time::sleep(sample::latency(&digest, Duration::from_millis(latency_ms), spread)).await;
    let fate = sample::uniform(&digest, 16);
    if fate < failure_rate / 2.0 {
        desk.count(|stats| stats.failed += 1);
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let note = desk.add(Note {
        id: 0,
        desk: text("host").unwrap_or_default(),
        ticket_id,
        key,
        description,
    });
    if fate < failure_rate {
        desk.count(|stats| stats.failed += 1);
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if fate < failure_rate + hang_rate {
        desk.count(|stats| stats.hanging += 1);
        return std::future::pending().await;
    }
    (StatusCode::CREATED, Json(json!({"note": {"id": note.id.to_string()}}))).into_response()
}

/// Returns the description of the note in a form.
fn description(body: &[u8]) -> Option<String> {
    let (_, input) = form_urlencoded::parse(body).find(|(name, _)| name == "input_data")?;
    let input: InputData = serde_json::from_str(&input).ok()?;
    Some(input.note.description)
}

async fn list_notes(State(desk): State<Desk>, Path(ticket_id): Path<String>) -> Response {
    let notes = desk.with_notes(|notes| notes.by_ticket.get(&ticket_id).cloned());
    let notes: Vec<Note> = notes.unwrap_or_default().iter().map(|note| (**note).clone()).collect();
    Json(notes).into_response()
}

async fn stats(State(desk): State<Desk>) -> Response {
    Json(desk.with_notes(|notes| notes.stats.clone())).into_response()
}

impl Desk {
    fn with_notes<T>(&self, action: impl FnOnce(&mut Notes) -> T) -> T {
        action(&mut self.0.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, note: Note) -> Arc<Note> {
        self.with_notes(|notes| notes.add(note))
    }

    fn count(&self, change: impl FnOnce(&mut Stats)) {
        self.with_notes(|notes| change(&mut notes.stats));
    }
}
