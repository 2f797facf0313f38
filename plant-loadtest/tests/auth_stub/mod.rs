//! A stub of Plant that requires authentication: it sends canned responses, and the data of a
//! customer only to requests with a token of that customer.

#[path = "../served/mod.rs"]
mod served;

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::Response,
};
use plant_loadtest::plant::stub_responses::CannedResponses;
use serde_json::{Value, json};

use served::Served;

/// Options of the stub.
#[derive(Clone, Debug)]
pub struct AuthOptions {
    /// Whether authentication is required.
    pub auth_required: bool,
    /// Password of all accounts.
    pub password: &'static str,
    /// Lifetime of tokens in seconds, as sent in the login response. Tokens do not actually expire.
    pub expires_in_s: u64,
    /// All tokens are revoked after every n-th response.
    pub revoke_every: Option<u64>,
    /// Number of logins that first get a 503.
    pub unavailable_logins: u64,
}

impl Default for AuthOptions {
    fn default() -> Self {
        Self {
            auth_required: true,
            password: "load-test-password",
            expires_in_s: 900,
            revoke_every: None,
            unavailable_logins: 0,
        }
    }
}

/// Counters of the stub.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Successful logins.
    pub logins: u64,
    /// Requests rejected for lack of a valid token.
    pub rejected: u64,
    /// Requests for the data of another customer.
    pub cross_customer: u64,
    responses: u64,
    /// Valid tokens, each with the number of its customer.
    valid_tokens: Vec<(String, String)>,
    rejected_logins: u64,
}

struct Shared {
    responses: CannedResponses,
    options: AuthOptions,
    stats: Mutex<Stats>,
}

/// A running stub. It stops when this value is dropped.
pub struct AuthStub {
    served: Served,
    shared: Arc<Shared>,
}

impl AuthStub {
    /// Starts a stub on a free port of the loopback interface.
    pub fn start(options: AuthOptions) -> Self {
        let shared = Arc::new(Shared {
            responses: CannedResponses::new(1),
            options,
            stats: Mutex::default(),
        });
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        Self { served: Served::start(router), shared }
    }

    /// Returns the base URL, as for `--host`.
    pub fn host(&self) -> String {
        self.served.host()
    }

    /// Returns the current counters.
    pub fn stats(&self) -> Stats {
        self.shared.stats.lock().unwrap().clone()
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let body = to_bytes(body, 10_000).await.unwrap();
    let mut stats = shared.stats.lock().unwrap();
    if shared.options.auth_required && path == "/api/v1/auth/login" {
        return log_in(&shared.options, &mut stats, &serde_json::from_slice(&body).unwrap());
    }
    let token = head.headers.get("authorization").map(|value| value.to_str().unwrap());
    let token = token.map(|value| value.strip_prefix("Bearer ").unwrap());
    let bearer =
        token.map(|token| stats.valid_tokens.iter().find(|(valid, _)| valid == token).cloned());
    let is_public = matches!(path, "/health" | "/metrics" | "/api/v1/auth/register")
        || head.method == "GET" && matches!(path, "/api/v1/agents");
    // A token that is sent must be valid, even where none is required.
    let customer = match bearer {
        Some(Some((_, customer))) => Some(customer),
        None if is_public || !shared.options.auth_required => None,
        // Accepted work is queried after the load, with the tokens of the requests that created it.
        _ if path == "/api/v1/generation/list" => None,
        _ => {
            stats.rejected += 1;
            return respond(401, &json!({"code": "unauthenticated"}));
        }
    };
    stats.responses += 1;
    if shared.options.revoke_every.is_some_and(|every| stats.responses.is_multiple_of(every)) {
        stats.valid_tokens.clear();
    }
    if let (Some(customer), Some(owner)) = (&customer, owner(path)) {
        if customer != owner {
            stats.cross_customer += 1;
            return respond(404, &json!({"code": "not-found"}));
        }
        if path.contains("/customers/") {
            let agent = json!([{"id": format!("h{owner}"), "agent_id": "a1", "status": "active"}]);
            return respond(200, &agent);
        }
    }
    let (status, body) = shared.responses.response_to(&head);
    Response::builder().status(status).body(Body::from(body)).unwrap()
}

/// Returns the number of the customer that owns the resource; `None` if it has no owner.
fn owner(path: &str) -> Option<&str> {
    let customers = path.strip_prefix("/api/v1/customers/test-customer-00");
    let rest = customers.or_else(|| path.strip_prefix("/api/v1/agents/h"))?;
    rest.split('/').next()
}

fn log_in(options: &AuthOptions, stats: &mut Stats, credentials: &Value) -> Response<Body> {
    if stats.rejected_logins < options.unavailable_logins {
        stats.rejected_logins += 1;
        let problem = Body::from(json!({"code": "unavailable"}).to_string());
        return Response::builder().status(503).header("retry-after", "0").body(problem).unwrap();
    }
    let number = credentials["email"].as_str().and_then(|email| {
        email.strip_prefix("loadtest_").and_then(|rest| rest.strip_suffix("@test.local"))
    });
    let Some(number) = number.filter(|_| credentials["password"] == options.password) else {
        return respond(401, &json!({"code": "unauthenticated"}));
    };
    stats.logins += 1;
    let token = format!("token-{}", stats.logins);
    stats.valid_tokens.push((token.clone(), number.to_owned()));
    let tokens = json!({
        "access_token": token, "refresh_token": "r", "expires_in": options.expires_in_s
    });
    respond(200, &tokens)
}

fn respond(status: u16, body: &Value) -> Response<Body> {
    Response::builder().status(status).body(Body::from(body.to_string())).unwrap()
}
