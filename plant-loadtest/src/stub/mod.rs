//! A server whose latency is known, to measure the measuring: it answers like Plant, from memory,
//! after exactly as long as it was told.

pub mod answers;
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
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime::Runtime, sync::Semaphore, task::spawn_blocking};

use crate::{alarm::Alarm, distribution::Distribution};
use answers::Answers;

/// How a stub behaves. The default answers at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Behaviour {
    /// How long an answer takes.
    pub latency: Latency,
    /// How many requests are worked on at the same time, the others waiting in line; `None`: all.
    /// With a fixed latency that is a known limit: `at_once` ÷ latency, in requests a second.
    pub at_once: Option<usize>,
    /// When nothing is answered for a while.
    pub stall: Option<Stall>,
    /// How many agents its lists have; 0 means a few.
    pub items: usize,
}

/// How long a stub's answers take.
#[derive(Clone, Copy, Debug, Default)]
pub enum Latency {
    /// No time.
    #[default]
    None,
    /// All the same.
    Fixed(Duration),
    /// Every so many requests take longer than the others.
    Bimodal {
        /// What most take.
        usual: Duration,
        /// What the others take.
        rare: Duration,
        /// Every how many.
        one_in: u64,
    },
}

/// A pause in which requests are taken and not answered.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// Counted from the first request, `/metrics` aside.
    pub after: Duration,
    /// How long it lasts.
    pub lasts: Duration,
}

struct Shared {
    behaviour: Behaviour,
    answers: Answers,
    desks: Option<Semaphore>,
    alarm: Alarm,
    begun: OnceLock<Instant>,
    requests: AtomicU64,
    held: Mutex<Distribution>,
}

/// A stub at work on threads of its own; it ends with this value.
pub struct Stub {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl Stub {
    /// Starts a stub on this machine's `port`; 0 takes a free one.
    ///
    /// # Errors
    /// When the port is taken, or the system gives no threads.
    pub fn start(port: u16, behaviour: Behaviour) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("stub")
            .enable_all()
            .build()?;
        let shared = Arc::new(Shared {
            behaviour,
            answers: Answers::new(behaviour.items),
            desks: behaviour.at_once.map(Semaphore::new),
            alarm: Alarm::start()?,
            begun: OnceLock::new(),
            requests: AtomicU64::new(0),
            held: Mutex::default(),
        });
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        // Bound without a runtime's help, so that a stub can be started from within another one.
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let serving = Arc::clone(&shared);
        runtime.spawn(async move {
            if let Ok(listener) = TcpListener::from_std(listener) {
                accept(listener, serving).await;
            }
        });
        Ok(Self { address, shared, runtime: Some(runtime) })
    }

    /// Its address for `--host`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests that came so far, those for `/metrics` left out.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Relaxed)
    }

    /// How long it really took to answer, by its own clock: what a client cannot have been quicker
    /// than.
    #[must_use]
    pub fn held(&self) -> Distribution {
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When the first of them came.
    #[must_use]
    pub fn begun(&self) -> Option<Instant> {
        self.shared.begun.get().copied()
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
            let answering = service_fn(|request| answer(&shared, request));
            // A client that goes away is no error of the stub's.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answering).await;
        });
    }
}

async fn answer(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let came = Instant::now();
    let path = request.uri().path();
    if path == "/metrics" {
        let requests = shared.requests.load(Relaxed);
        // The system's files take their time, and nobody else shall wait for them.
        let text = spawn_blocking(move || metrics::exposition(requests)).await;
        return Ok(Response::new(Full::from(text.unwrap_or_default())));
    }
    let begun = *shared.begun.get_or_init(Instant::now);
    let number = shared.requests.fetch_add(1, Relaxed) + 1;
    shared.hold(begun, number).await;
    let (status, body) = shared.answers.to(request.method(), path);
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    shared.held.lock().unwrap_or_else(PoisonError::into_inner).record(came.elapsed());
    Ok(response)
}

impl Shared {
    /// Takes as long as the behaviour says.
    async fn hold(&self, begun: Instant, number: u64) {
        // A closed semaphore would be the end of the stub.
        let _desk = match &self.desks {
            Some(desks) => desks.acquire().await.ok(),
            None => None,
        };
        let latency = match self.behaviour.latency {
            Latency::None => Duration::ZERO,
            Latency::Fixed(latency) => latency,
            Latency::Bimodal { rare, one_in, .. } if number.is_multiple_of(one_in) => rare,
            Latency::Bimodal { usual, .. } => usual,
        };
        let mut until = Instant::now();
        if let Some(stall) = self.behaviour.stall {
            let (from, to) = (begun + stall.after, begun + stall.after + stall.lasts);
            if until + latency > from && until < to {
                until = to;
            }
        }
        until += latency;
        if until > Instant::now() {
            self.alarm.until(until).await;
        }
    }
}
