//! A stub of Plant with canned responses and injected faults.

#[path = "../served/mod.rs"]
mod served;

use std::{
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
use plant_loadtest::plant::stub_responses::CannedResponses;
use tokio::time::sleep;

use served::Served;

/// A fault in the responses to some requests.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Prefix of method and path of the affected requests, for example `GET /health`.
    pub prefix: &'static str,
    /// Kind of the fault.
    pub kind: FaultKind,
    /// Number of matching requests that get a normal response first, such as the checks before a
    /// run.
    pub skip_first: u64,
}

/// Kind of a fault.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// The normal response after this delay.
    Delay(Duration),
    /// This status, with a problem document.
    Status(u16),
    /// The normal status with this body.
    Body(&'static str),
    /// Status 500 for every n-th request.
    EveryNth(u64),
}

struct Shared {
    responses: CannedResponses,
    faults: Vec<Fault>,
    requests: AtomicU64,
    failed: AtomicU64,
    matches: Vec<AtomicU64>,
}

/// A running stub. It stops when this value is dropped.
pub struct Stub {
    served: Served,
    shared: Arc<Shared>,
}

impl Stub {
    /// Starts a stub with `faults` on a free port of the loopback interface.
    pub fn start(faults: Vec<Fault>) -> Self {
        let matches = faults.iter().map(|_| AtomicU64::new(0)).collect();
        let (requests, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared {
            responses: CannedResponses::new(1),
            faults,
            requests,
            failed,
            matches,
        });
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        Self { served: Served::start(router), shared }
    }

    /// Returns the base URL, as for `--host`.
    pub fn host(&self) -> String {
        self.served.host()
    }

    /// Returns the number of requests received, without those for `/metrics`.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(SeqCst)
    }

    /// Returns the number of requests that [`FaultKind::EveryNth`] has failed.
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(SeqCst)
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    if path == "/metrics" {
        return respond(200, METRICS);
    }
    shared.requests.fetch_add(1, SeqCst);
    let method_and_path = format!("{} {path}", request.method());
    let (status, body) = shared.responses.response_to(&request.into_parts().0);
    let status = status.as_u16();
    for (fault, matches) in shared.faults.iter().zip(&shared.matches) {
        if !method_and_path.starts_with(fault.prefix) {
            continue;
        }
        let number = matches.fetch_add(1, SeqCst) + 1;
        if number <= fault.skip_first {
            continue;
        }
        match fault.kind {
            FaultKind::Delay(delay) => sleep(delay).await,
            FaultKind::Status(status) => return respond(status, r#"{"code":"made-up"}"#),
            FaultKind::Body(body) => return respond(status, body),
            FaultKind::EveryNth(every) if (number - fault.skip_first).is_multiple_of(every) => {
                shared.failed.fetch_add(1, SeqCst);
                return respond(500, r#"{"code":"internal"}"#);
            }
            FaultKind::EveryNth(_) => {}
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
