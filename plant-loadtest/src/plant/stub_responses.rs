//! Canned responses to all requests of the user classes.

use std::io;

use bytes::Bytes;
use hyper::{Method, StatusCode};

use crate::stub::{Behavior, Responses, Stub};

const AGENT: &str = r#"{"id":"a1","name":"A","industry":"marketing","status":"active"}"#;

/// Returns the responses of the command `stub`, whose lists of agents have `items` items.
#[must_use]
pub fn for_stub(items: usize) -> Responses {
    let responses = CannedResponses::new(items);
    Box::new(move |method, path| responses.response_to(method, path))
}

/// Starts a stub of Plant on `port` of the loopback interface; 0 means any free port.
///
/// # Errors
/// When the port is in use, or the operating system cannot create a thread.
pub fn start_stub(port: u16, behavior: Behavior) -> io::Result<Stub> {
    Stub::start_with(port, behavior, for_stub(3))
}

/// Successful responses of Plant, built once.
pub struct CannedResponses {
    agents: Bytes,
}

impl CannedResponses {
    /// Returns responses whose lists of agents have `items` items.
    #[must_use]
    pub fn new(items: usize) -> Self {
        let agents: Vec<String> = (1..=items).map(agent).collect();
        Self { agents: format!("[{}]", agents.join(",")).into() }
    }

    /// Returns status and body of the response to a request.
    #[must_use]
    pub fn response_to(&self, method: &Method, path: &str) -> (StatusCode, Bytes) {
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
            ("login", true) => {
                (StatusCode::OK, r#"{"access_token":"t","refresh_token":"r","expires_in":900}"#)
            }
            ("create", true) if path.contains("/payments/") => (
                StatusCode::CREATED,
                r#"{"id":"p1","payment_id":"p1","plan_id":"pro","amount":29.99,"currency":"USD","status":"pending","created_at":"2026-01-14T00:00:00Z"}"#,
            ),
            ("payments", false) => (StatusCode::OK, "[]"),
            ("create", true) => (
                StatusCode::ACCEPTED,
                r#"{"id":"g1","task_id":"g1","status":"queued","created_at":"2026-01-14T00:00:00Z"}"#,
            ),
            // Every generation took 1.5 s.
            ("list", false) if path.contains("/generation/") => (
                StatusCode::OK,
                r#"{"items":[{"id":"g1","status":"completed","created_at":"2026-01-14T00:00:00Z","completed_at":"2026-01-14T00:00:01.500Z"}],"next":null}"#,
            ),
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
}

/// Returns an agent as JSON, about as long as one of the service.
fn agent(number: usize) -> String {
    let id = format!("00000000-0000-7000-8000-{number:012}");
    format!(
        r#"{{"id":"a{number}","name":"Agent {number}","skill_id":"{id}","skill":"Technical Writing","job_role_id":"{id}","job_role":"Content Writer","team_id":"{id}","team_name":"Team {number}","industry_id":"{id}","industry":"marketing","status":"active","created_at":"2026-01-14T00:00:00Z","trial_days":7,"allowed_durations":["monthly","quarterly"],"price":12000,"version_hash":"{number:064x}"}}"#
    )
}
