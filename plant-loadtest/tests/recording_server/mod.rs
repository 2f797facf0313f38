//! A server that keeps the requests it received and responds as a test says.

#[path = "../served/mod.rs"]
mod served;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::Response,
};

use served::Served;

/// A request that the server received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Method and path with query, such as `GET /items?page=2`.
    pub line: String,
    /// Headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
}

impl Received {
    /// Returns a header; empty without one.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A response.
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    /// Returns a response with this status and body.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

type Respond = dyn Fn(&Received) -> Reply + Send + Sync;

struct Shared {
    respond: Box<Respond>,
    received: Mutex<Vec<Received>>,
}

/// A running server. It stops when this value is dropped.
pub struct Server {
    served: Served,
    shared: Arc<Shared>,
}

impl Server {
    /// Starts a server on a free port of the loopback interface.
    pub fn start(respond: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared { respond: Box::new(respond), received: Mutex::default() });
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        Self { served: Served::start(router), shared }
    }

    /// Returns the base URL, as for `--host`.
    pub fn host(&self) -> String {
        self.served.host()
    }

    /// Returns the requests of the load, without those of checks and of the probe.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Returns the requests whose method and path start with `prefix`.
    pub fn received_at(&self, prefix: &str) -> Vec<Received> {
        let mut received = self.received();
        received.retain(|request| request.line.starts_with(prefix));
        received
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let line = format!("{} {}", request.method(), request.uri());
    let headers: BTreeMap<String, String> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let received = Received { line, headers, body };
    if received.header("user-agent").contains("(checks)") {
        return Response::new(Body::empty());
    }
    // The lock is held while the test decides, so that requests are decided in the order kept.
    let mut all = shared.received.lock().unwrap();
    let reply = (shared.respond)(&received);
    all.push(received);
    drop(all);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).unwrap()
}
