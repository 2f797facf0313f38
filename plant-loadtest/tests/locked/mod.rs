//! A Plant that demands tokens: it answers from memory, and what belongs to a customer only to the
//! bearer of that customer's token.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::Response,
};
use plant_loadtest::stub::answers::Answers;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

/// How it keeps its doors.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Whether tokens are demanded at all.
    pub locked: bool,
    /// What all accounts log in with.
    pub password: &'static str,
    /// How long it says that tokens are good for, in seconds.
    pub expires_in: u64,
    /// After how many answers all tokens are forgotten.
    pub forgets_after: Option<u64>,
    /// How many logins are put off first.
    pub busy_for: u64,
}

impl Default for Doors {
    fn default() -> Self {
        Self {
            locked: true,
            password: "load-test-password",
            expires_in: 900,
            forgets_after: None,
            busy_for: 0,
        }
    }
}

/// What has happened at the doors.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Logins that got a token.
    pub logins: u64,
    /// Requests that were sent away for want of a token that is good.
    pub refused: u64,
    /// Requests for what is somebody else's.
    pub foreign: u64,
    answered: u64,
    /// The tokens that are good, with the number of the customer each stands for.
    good: Vec<(String, String)>,
    put_off: u64,
}

struct Shared {
    answers: Answers,
    doors: Doors,
    seen: Mutex<Seen>,
}

/// The service at work; it ends with this value.
pub struct Locked {
    address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

impl Locked {
    /// Starts it on a free port of this machine.
    pub fn start(doors: Doors) -> Self {
        let runtime = Runtime::new().unwrap();
        let shared = Arc::new(Shared { answers: Answers::new(1), doors, seen: Mutex::default() });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, shared, _runtime: runtime }
    }

    /// Its address for `--host`.
    pub fn host(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has happened so far.
    pub fn seen(&self) -> Seen {
        self.shared.seen.lock().unwrap().clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let body = to_bytes(body, 10_000).await.unwrap();
    let mut seen = shared.seen.lock().unwrap();
    if shared.doors.locked && path == "/api/v1/auth/login" {
        return log_in(&shared.doors, &mut seen, &serde_json::from_slice(&body).unwrap());
    }
    let token = head.headers.get("authorization").map(|value| value.to_str().unwrap());
    let token = token.map(|value| value.strip_prefix("Bearer ").unwrap());
    let bearer = token.map(|token| seen.good.iter().find(|(good, _)| good == token).cloned());
    let everybodys = matches!(path, "/health" | "/metrics" | "/api/v1/auth/register")
        || head.method == "GET" && matches!(path, "/api/v1/agents");
    // Who sends a token is held to it, also where none is needed.
    let customer = match bearer {
        Some(Some((_, customer))) => Some(customer),
        None if everybodys || !shared.doors.locked => None,
        // What was accepted is looked for after the load, with tokens from its beginning.
        _ if path == "/api/v1/generation/list" => None,
        _ => {
            seen.refused += 1;
            return respond(401, &json!({"code": "unauthenticated"}));
        }
    };
    seen.answered += 1;
    if shared.doors.forgets_after.is_some_and(|every| seen.answered.is_multiple_of(every)) {
        seen.good.clear();
    }
    if let (Some(customer), Some(owner)) = (&customer, owner(path)) {
        if customer != owner {
            seen.foreign += 1;
            return respond(404, &json!({"code": "not-found"}));
        }
        if path.contains("/customers/") {
            let agent = json!([{"id": format!("h{owner}"), "agent_id": "a1", "status": "active"}]);
            return respond(200, &agent);
        }
    }
    let (status, body) = shared.answers.to(&head.method, path);
    Response::builder().status(status).body(Body::from(body)).unwrap()
}

/// The number of the customer whose things these are.
fn owner(path: &str) -> Option<&str> {
    let customers = path.strip_prefix("/api/v1/customers/test-customer-00");
    let rest = customers.or_else(|| path.strip_prefix("/api/v1/agents/h"))?;
    rest.split('/').next()
}

fn log_in(doors: &Doors, seen: &mut Seen, person: &Value) -> Response<Body> {
    if seen.put_off < doors.busy_for {
        seen.put_off += 1;
        let problem = Body::from(json!({"code": "unavailable"}).to_string());
        return Response::builder().status(503).header("retry-after", "0").body(problem).unwrap();
    }
    let number = person["email"].as_str().and_then(|email| {
        email.strip_prefix("loadtest_").and_then(|rest| rest.strip_suffix("@test.local"))
    });
    let Some(number) = number.filter(|_| person["password"] == doors.password) else {
        return respond(401, &json!({"code": "unauthenticated"}));
    };
    seen.logins += 1;
    let token = format!("token-{}", seen.logins);
    seen.good.push((token.clone(), number.to_owned()));
    let tokens = json!({
        "access_token": token, "refresh_token": "r", "expires_in": doors.expires_in
    });
    respond(200, &tokens)
}

fn respond(status: u16, body: &Value) -> Response<Body> {
    Response::builder().status(status).body(Body::from(body.to_string())).unwrap()
}
