//! A stub server with a known latency distribution, for testing and calibrating the load generator.
//! It sends canned responses after a configured delay.

mod metrics;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode, body::Incoming, http::request::Parts, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime::Runtime, sync::Semaphore, task::spawn_blocking};

use crate::{distribution::Distribution, precise_timer::PreciseTimer};

/// Behaviour of a stub. The default responds without delay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Behavior {
    /// Latency of the responses.
    pub latency: Latency,
    /// Maximum number of requests processed concurrently; further ones wait in a queue. `None`
    /// means no limit. With a fixed latency the maximum throughput is this number ÷ latency.
    pub max_concurrent: Option<usize>,
    /// A period without responses.
    pub stall: Option<Stall>,
}

/// Returns status and body of the response to a request: its method, URL and headers. A successful one for
/// `/metrics` is appended to the metrics of the stub itself.
pub type Responses = Box<dyn Fn(&Parts) -> (StatusCode, Bytes) + Send + Sync>;

/// The response to all requests of a stub that has no others.
#[must_use]
pub fn default_response(request: &Parts) -> (StatusCode, Bytes) {
    match request.uri.path() {
        "/metrics" => (StatusCode::NOT_FOUND, Bytes::new()),
        _ => (StatusCode::OK, Bytes::from_static(br#"{"pong":true}"#)),
    }
}

/// Latency distribution of a stub.
#[derive(Clone, Copy, Debug, Default)]
pub enum Latency {
    /// No delay.
    #[default]
    None,
    /// The same latency for every response.
    Fixed(Duration),
    /// A typical latency, and another one for every n-th request.
    Bimodal {
        /// Latency of most requests.
        typical: Duration,
        /// Latency of every n-th request.
        rare: Duration,
        /// n: one in this many requests has the rare latency.
        one_in: u64,
    },
}

/// A period in which requests are accepted and no response is sent. Requests that are in progress at
/// its start, or arrive during it, are delayed until its end and then by the configured latency.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// Start, relative to the first request other than `/metrics`.
    pub start_after: Duration,
    /// Duration.
    pub duration: Duration,
}

struct Shared {
    behavior: Behavior,
    responses: Responses,
    slots: Option<Semaphore>,
    timer: PreciseTimer,
    first_request_at: OnceLock<Instant>,
    requests: AtomicU64,
    processing_times: Mutex<Distribution>,
}

/// A running stub with its own threads. It stops when this value is dropped.
pub struct Stub {
    /// Address that it listens on.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl Stub {
    /// Starts a stub with the [`default_response`], see [`Self::start_with`].
    ///
    /// # Errors
    /// When the port is in use, or the operating system cannot create a thread.
    pub fn start(port: u16, behavior: Behavior) -> io::Result<Self> {
        Self::start_with(port, behavior, Box::new(default_response))
    }

    /// Starts a stub on `port` of the loopback interface; 0 means any free port.
    ///
    /// # Errors
    /// When the port is in use, or the operating system cannot create a thread.
    pub fn start_with(port: u16, behavior: Behavior, responses: Responses) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("stub")
            .enable_all()
            .build()?;
        let shared = Arc::new(Shared {
            behavior,
            responses,
            slots: behavior.max_concurrent.map(Semaphore::new),
            timer: PreciseTimer::start()?,
            first_request_at: OnceLock::new(),
            requests: AtomicU64::new(0),
            processing_times: Mutex::default(),
        });
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        // Bound with the standard library, so that a stub can be started inside another runtime.
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::clone(&shared);
        runtime.spawn(async move {
            if let Ok(listener) = TcpListener::from_std(listener) {
                accept(listener, state).await;
            }
        });
        Ok(Self { address, shared, runtime: Some(runtime) })
    }

    /// Returns the base URL, as for `--host`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of requests received, without those for `/metrics`.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Relaxed)
    }

    /// Returns the processing times: from receiving a request to sending its response, measured by
    /// the stub itself. The latency that a client measures is never shorter.
    #[must_use]
    pub fn processing_times(&self) -> Distribution {
        self.shared.processing_times.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the time of the first request, without those for `/metrics`.
    #[must_use]
    pub fn first_request_at(&self) -> Option<Instant> {
        self.shared.first_request_at.get().copied()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| respond(&shared, request));
            // A client that closes its connection is no error.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let received_at = Instant::now();
    let (request, _) = request.into_parts();
    if request.uri.path() == "/metrics" {
        let requests = shared.requests.load(Relaxed);
        // Reading `/proc` blocks, so it must not run on the threads that serve other requests.
        let text = spawn_blocking(move || metrics::render(requests)).await;
        let mut text = text.unwrap_or_default().into_bytes();
        let (status, further) = (shared.responses)(&request);
        if status == StatusCode::OK {
            text.extend_from_slice(&further);
        }
        return Ok(Response::new(Full::from(text)));
    }
    let first_request_at = *shared.first_request_at.get_or_init(Instant::now);
    let number = shared.requests.fetch_add(1, Relaxed) + 1;
    shared.delay(first_request_at, number).await;
    let (status, body) = (shared.responses)(&request);
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let processing_times = &shared.processing_times;
    processing_times.lock().unwrap_or_else(PoisonError::into_inner).record(received_at.elapsed());
    Ok(response)
}

impl Shared {
    /// Waits for the latency of request `number`, including any wait for a slot and for the stall
    /// to end.
    async fn delay(&self, first_request_at: Instant, number: u64) {
        // The semaphore is never closed, so this always gets a permit.
        let _slot = match &self.slots {
            Some(slots) => slots.acquire().await.ok(),
            None => None,
        };
        let latency = match self.behavior.latency {
            Latency::None => Duration::ZERO,
            Latency::Fixed(latency) => latency,
            Latency::Bimodal { rare, one_in, .. } if number.is_multiple_of(one_in) => rare,
            Latency::Bimodal { typical, .. } => typical,
        };
        let mut deadline = Instant::now();
        if let Some(stall) = self.behavior.stall {
            let from = first_request_at + stall.start_after;
            let to = from + stall.duration;
            if deadline + latency > from && deadline < to {
                deadline = to;
            }
        }
        deadline += latency;
        if deadline > Instant::now() {
            self.timer.sleep_until(deadline).await;
        }
    }
}
