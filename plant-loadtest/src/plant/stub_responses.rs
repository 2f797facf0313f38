//! Canned responses to all requests of the user classes.

use std::{
    collections::HashMap,
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use hyper::{Method, StatusCode, header::AUTHORIZATION, http::request::Parts};
use serde_json::{Value, json};

use crate::stub::{Behavior, Responses, Stub};

const AGENT: &str = r#"{"id":"a1","name":"A","industry":"marketing","status":"active"}"#;

/// Returns the responses of the command `stub`, whose lists of agents have `items` items.
#[must_use]
pub fn for_stub(items: usize) -> Responses {
    let responses = CannedResponses::new(items);
    Box::new(move |request| responses.response_to(request))
}

/// Starts a stub of Plant on `port` of the loopback interface; 0 means any free port.
///
/// # Errors
/// When the port is in use, or the operating system cannot create a thread.
pub fn start_stub(port: u16, behavior: Behavior) -> io::Result<Stub> {
    Stub::start_with(port, behavior, for_stub(3))
}

/// Successful responses of Plant, most of them built once.
pub struct CannedResponses {
    agents: Bytes,
    logins: AtomicU64,
    generations: Generations,
}

/// Generation tasks, which take [`GENERATION_TIME`].
#[derive(Default)]
struct Generations {
    count: AtomicU64,
    /// The tasks of each token.
    by_token: Mutex<HashMap<Bytes, Vec<Task>>>,
}

struct Task {
    number: u64,
    created_at: DateTime<Utc>,
}

/// Start of the tokens that [`CannedResponses`] issues.
const TOKEN_PREFIX: &str = "stub-";

const GENERATION_TIME: TimeDelta = TimeDelta::milliseconds(1500);

impl CannedResponses {
    /// Returns responses whose lists of agents have `items` items.
    #[must_use]
    pub fn new(items: usize) -> Self {
        let agents: Vec<String> = (1..=items).map(agent).collect();
        Self {
            agents: format!("[{}]", agents.join(",")).into(),
            logins: AtomicU64::new(0),
            generations: Generations::default(),
        }
    }

    /// Returns status and body of the response to a request.
    #[must_use]
    pub fn response_to(&self, request: &Parts) -> (StatusCode, Bytes) {
        let (method, path) = (&request.method, request.uri.path());
        let last_segment = path.rsplit('/').next().unwrap_or_default();
        let (status, body) = match (last_segment, method == Method::POST) {
            ("health", false) if path.starts_with("/api/") => (
                StatusCode::OK,
                r#"{"status":"healthy","timestamp":"2026-01-14T00:00:00Z","version":"0.0.0-stub","agent_id":"performance-agent-1","agent_type":"performance","uptime_seconds":1.5}"#,
            ),
            ("config", false) => (
                StatusCode::OK,
                r#"{"agent_id":"performance-agent-1","agent_type":"performance","port":8009,"log_level":"info","environment":"stub","version":"0.0.0-stub","effective":{}}"#,
            ),
            ("capabilities", false) => (
                StatusCode::OK,
                r#"{"capabilities":[],"supported_targets":["self"],"optimization_types":[],"workflow_features":[]}"#,
            ),
            ("workflows", false) => (StatusCode::OK, "[]"),
            ("health", _) => {
                (StatusCode::OK, r#"{"status":"healthy","timestamp":"2026-01-14T00:00:00Z"}"#)
            }
            ("metrics", _) if path == "/metrics" => (
                StatusCode::OK,
                "pg_stat_database_numbackends 1\nredis_pool_connections 1\nqueue_depth 0\n\
                 log_events_total{level=\"error\"} 0\n",
            ),
            ("agents", _) if path.contains("/customers/") => {
                (StatusCode::OK, r#"[{"id":"h1","agent_id":"a1","status":"active"}]"#)
            }
            ("agents", _) => return (StatusCode::OK, self.agents.clone()),
            ("configuration", _) => (StatusCode::OK, r#"{"nickname":null,"theme":"default"}"#),
            ("goals", false) => (StatusCode::OK, r#"[{"id":"g1","title":"G"}]"#),
            ("goals", true) => (StatusCode::CREATED, r#"{"id":"g2","title":"G"}"#),
            ("deliverables", _) => (StatusCode::OK, "[]"),
            ("skills", true) => {
                (StatusCode::CREATED, r#"{"id":"s1","name":"S","category":"technical"}"#)
            }
            ("certify", true) => (
                StatusCode::OK,
                r#"{"entity_id":"s1","status":"certified","version_hash":"00","chain_length":2,"checks":{}}"#,
            ),
            ("register", true) => (StatusCode::CREATED, r#"{"user":{"id":"u1"}}"#),
            ("login", true) => return (StatusCode::OK, self.log_in()),
            ("create", true) if path.contains("/payments/") => (
                StatusCode::CREATED,
                r#"{"id":"p1","payment_id":"p1","plan_id":"pro","amount":29.99,"currency":"USD","status":"pending","created_at":"2026-01-14T00:00:00Z"}"#,
            ),
            ("payments", false) => (StatusCode::OK, "[]"),
            ("create", true) => {
                return (StatusCode::ACCEPTED, self.generations.create(request));
            }
            ("list", false) if path.contains("/generation/") => {
                return (StatusCode::OK, self.generations.list(request));
            }
            (_, false) if path.starts_with("/api/v1/generation/") => (
                StatusCode::OK,
                r#"{"id":"g1","status":"completed","result":"x","error":null,"attempts":1}"#,
            ),
            (id, _) if path.starts_with("/api/v1/agents/") && id.starts_with('a') => {
                (StatusCode::OK, AGENT)
            }
            _ => (StatusCode::NOT_FOUND, r#"{"code":"not-found"}"#),
        };
        (status, Bytes::from_static(body.as_bytes()))
    }

    /// Returns a token of its own for each login, so that the tasks of each user have a list of their own.
    fn log_in(&self) -> Bytes {
        let token = format!("{TOKEN_PREFIX}{}", self.logins.fetch_add(1, Relaxed));
        json!({ "access_token": token, "refresh_token": "r", "expires_in": 86_400 })
            .to_string()
            .into()
    }
}

impl Generations {
    fn create(&self, request: &Parts) -> Bytes {
        let (number, created_at) = (self.count.fetch_add(1, Relaxed), now());
        let mut by_token = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        by_token.entry(token(request)).or_default().push(Task { number, created_at });
        let id = format!("g{number}");
        let task = json!({ "id": id, "task_id": id, "status": "queued", "created_at": created_at });
        task.to_string().into()
    }

    /// Returns all tasks of the caller, newest first.
    fn list(&self, request: &Parts) -> Bytes {
        let by_token = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = by_token.get(&token(request)).into_iter().flatten().rev();
        let items: Vec<Value> = tasks
            .map(|Task { number, created_at }| {
                let completed_at = Some(*created_at + GENERATION_TIME).filter(|at| *at <= now());
                let status = if completed_at.is_some() { "completed" } else { "processing" };
                json!({
                    "id": format!("g{number}"),
                    "status": status,
                    "created_at": created_at,
                    "completed_at": completed_at,
                })
            })
            .collect();
        json!({ "items": items, "next": null }).to_string().into()
    }
}

/// Returns the token of a request. Those that another server has issued, which may replace them, are all the
/// same.
fn token(request: &Parts) -> Bytes {
    let token = request.headers.get(AUTHORIZATION).and_then(|token| token.to_str().ok());
    let issued = |token: &&str| {
        token.strip_prefix("Bearer ").is_some_and(|token| token.starts_with(TOKEN_PREFIX))
    };
    token.filter(issued).map(|token| Bytes::copy_from_slice(token.as_bytes())).unwrap_or_default()
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// Returns an agent as JSON, about as long as one of the service.
fn agent(number: usize) -> String {
    let id = format!("00000000-0000-7000-8000-{number:012}");
    format!(
        r#"{{"id":"a{number}","name":"Agent {number}","skill_id":"{id}","skill":"Technical Writing","job_role_id":"{id}","job_role":"Content Writer","team_id":"{id}","team_name":"Team {number}","industry_id":"{id}","industry":"marketing","status":"active","created_at":"2026-01-14T00:00:00Z","trial_days":7,"allowed_durations":["monthly","quarterly"],"price":12000,"version_hash":"{number:064x}"}}"#
    )
}
