//! A Plant that answers from memory, with the faults that a test asks for.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::Response,
};
use plant_loadtest::stub::answers::Answers;
use tokio::{net::TcpListener, runtime::Runtime, time::sleep};

/// What the stub does with requests whose method and path start with `to`.
#[derive(Clone, Debug)]
pub struct Fault {
    /// `GET /health` and the like.
    pub to: &'static str,
    /// What goes wrong.
    pub how: How,
    /// How many such requests are spared first: those of the check before a run.
    pub spares: u64,
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum How {
    /// The right answer, this much later.
    Late(Duration),
    /// Another status with a problem document.
    Status(u16),
    /// The right status with this body.
    Body(&'static str),
    /// Every so many requests get a 500, beginning with that many.
    OneIn(u64),
}

struct Shared {
    answers: Answers,
    faults: Vec<Fault>,
    requests: AtomicU64,
    failed: AtomicU64,
    matched: Vec<AtomicU64>,
}

/// A stub at work; it ends with this value.
pub struct Stub {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

impl Stub {
    /// Starts a stub with `faults` on a free port of this machine.
    pub fn start(faults: Vec<Fault>) -> Self {
        let runtime = Runtime::new().unwrap();
        let matched = faults.iter().map(|_| AtomicU64::new(0)).collect();
        let (requests, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared =
            Arc::new(Shared { answers: Answers::new(1), faults, requests, failed, matched });
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

    /// Requests that came so far, those for `/metrics` left out.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(SeqCst)
    }

    /// Requests that [`How::OneIn`] failed so far.
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(SeqCst)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    if path == "/metrics" {
        return respond(200, METRICS);
    }
    shared.requests.fetch_add(1, SeqCst);
    let line = format!("{} {path}", request.method());
    let (status, body) = shared.answers.to(request.method(), &path);
    let status = status.as_u16();
    for (fault, matched) in shared.faults.iter().zip(&shared.matched) {
        if !line.starts_with(fault.to) {
            continue;
        }
        let seen = matched.fetch_add(1, SeqCst) + 1;
        if seen <= fault.spares {
            continue;
        }
        match fault.how {
            How::Late(time) => sleep(time).await,
            How::Status(status) => return respond(status, r#"{"code":"made-up"}"#),
            How::Body(body) => return respond(status, body),
            How::OneIn(every) if (seen - fault.spares).is_multiple_of(every) => {
                shared.failed.fetch_add(1, SeqCst);
                return respond(500, r#"{"code":"internal"}"#);
            }
            How::OneIn(_) => {}
        }
    }
    respond(status, body)
}

fn respond(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).body(body.into()).unwrap()
}

const METRICS: &str = "process_start_time_seconds 1700000000\nprocess_cpu_seconds_total 1.5\nprocess_resident_memory_bytes 20971520\n\
    db_pool_connections{state=\"in_use\"} 1\ndb_pool_max 10\n\
    build_info{version=\"0.0.0-stub\"} 1\n";
