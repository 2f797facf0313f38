//! A server of known truth: it misbehaves in one known way, and logs what it really did.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http_body_util::{BodyExt as _, Collected, combinators::BoxBody};
use hyper::{
    Method, Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Sleep, sleep},
};

use super::{
    behavior::{Behavior, Effect, LATENCY_MS, Work},
    metrics,
};
use crate::client::CHECKS_USER_AGENT;

/// How long a request without response is kept open.
const HANG: Duration = Duration::from_secs(3600);

/// Processing time of accepted work.
const WORK_DURATION_MS: i64 = 10;

/// State of a server.
pub(super) struct Server {
    pub(super) behavior: Behavior,
    log: Mutex<File>,
    slots: Option<Semaphore>,
    load_started: OnceLock<Instant>,
    requests: AtomicU64,
    random: Mutex<fastrand::Rng>,
    applied: Mutex<Applied>,
    work: Mutex<Vec<WorkItem>>,
    tokens: Mutex<HashMap<String, Instant>>,
}

/// How often each fault has been applied, by its index.
#[derive(Default)]
struct Applied(HashMap<usize, u64>);

impl Applied {
    /// Counts one more application; returns whether `limit` allows it.
    fn take(&mut self, index: usize, limit: u64) -> bool {
        let count = self.0.entry(index).or_default();
        *count += 1;
        *count <= limit
    }
}

struct WorkItem {
    id: String,
    owner: String,
    accepted_at: DateTime<Utc>,
    /// A number between 0 and 1 that decides its fate.
    fate: f64,
}

/// Serves `behavior` at `address` until the process ends, and appends what happens to the file `log`.
/// Calls `ready` with the actual address first.
///
/// # Errors
/// When the log cannot be opened, or the address is in use.
pub async fn serve(
    behavior: Behavior,
    address: SocketAddr,
    log: &Path,
    ready: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let server = Arc::new(Server {
        behavior,
        log: Mutex::new(OpenOptions::new().create(true).append(true).open(log)?),
        slots: (behavior.max_concurrent > 0).then(|| Semaphore::new(behavior.max_concurrent)),
        load_started: OnceLock::new(),
        requests: AtomicU64::new(0),
        random: Mutex::new(fastrand::Rng::new()),
        applied: Mutex::default(),
        work: Mutex::default(),
        tokens: Mutex::default(),
    });
    let listener = TcpListener::bind(address).await?;
    ready(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve_connection(stream, Arc::clone(&server)));
    }
}

async fn serve_connection(stream: TcpStream, server: Arc<Server>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| respond(Arc::clone(&server), request));
    // Faults end connections with an error, which is what is wanted.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// A request that ends without a response; hyper closes the connection.
#[derive(Debug, thiserror::Error)]
#[error("the fault of this request is to have no response")]
struct NoResponse;

type ResponseBody = BoxBody<Bytes, NoResponse>;

async fn respond(
    server: Arc<Server>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, NoResponse> {
    let user_agent = request.headers().get(header::USER_AGENT);
    let is_check = user_agent.is_some_and(|agent| agent == CHECKS_USER_AGENT);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if path == "/metrics" {
        return Ok(match metrics::render(server.behavior.metrics, server.seconds()) {
            Ok(text) => full(200, text),
            Err(status) => full(status, String::new()),
        });
    }
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token =
        token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
    // The body is read before the response, as a real service would.
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    if is_check {
        let (status, body) = server.answer(&method, &path, &token, &body, true);
        return Ok(full(status, body));
    }
    server.load_started.get_or_init(Instant::now);
    let endpoint = endpoint(&method, &path);
    server.log(&format!("received {endpoint}"));
    let _slot = match &server.slots {
        Some(slots) => slots.acquire().await.ok(),
        None => None,
    };
    let received_at = Instant::now();
    let effect = server.effect(&endpoint);
    let (status, body) = server.answer(&method, &path, &token, &body, false);
    let is_correct = effect.is_none_or(Effect::is_correct) && status < 300;
    let response = server.apply(effect, status, body, received_at).await?;
    let micros = received_at.elapsed().as_micros() + u128::from(slow_body_ms(effect)) * 1000;
    let result = if is_correct { "correct" } else { "faulty" };
    server.log(&format!("answered {endpoint} {result} {micros}"));
    Ok(response)
}

fn slow_body_ms(effect: Option<Effect>) -> u64 {
    match effect {
        Some(Effect::SlowBody(ms)) => ms,
        _ => 0,
    }
}

/// Returns the name of the endpoint.
fn endpoint(method: &Method, path: &str) -> String {
    let (folder, last) = path.rsplit_once('/').unwrap_or_default();
    let template = if folder == "/items" && !last.is_empty() { "/items/{id}" } else { path };
    format!("{method} {template}")
}

impl Server {
    /// Returns the seconds since the first request of the load; 0 before it.
    fn seconds(&self) -> f64 {
        self.load_started.get().map_or(0.0, |started| started.elapsed().as_secs_f64())
    }

    fn log(&self, line: &str) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // Each line is one write, so that nothing is lost when the process is killed.
        let _ = log.write_all(format!("{line}\n").as_bytes());
    }

    fn effect(&self, endpoint: &str) -> Option<Effect> {
        let (second, drawn) = (self.seconds(), self.draw());
        let faults = self.behavior.faults.iter().enumerate();
        let (index, fault) =
            faults.into_iter().find(|(_, fault)| fault.applies(endpoint, second))?;
        let is_drawn = drawn < fault.share && lock(&self.applied).take(index, fault.limit);
        is_drawn.then_some(match fault.effect {
            Effect::Stall => Effect::Delay(millis(fault.to_s - second)),
            Effect::DelayPerSecond(ms) => Effect::Delay(LATENCY_MS + millis(second) * ms / 1000),
            effect => effect,
        })
    }

    fn draw(&self) -> f64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }

    async fn apply(
        &self,
        effect: Option<Effect>,
        status: u16,
        body: String,
        received_at: Instant,
    ) -> Result<Response<ResponseBody>, NoResponse> {
        let delay = match effect {
            Some(Effect::Delay(ms) | Effect::SlowStatus(_, ms)) => Duration::from_millis(ms),
            Some(Effect::Hang) => HANG,
            _ => Duration::from_millis(LATENCY_MS),
        };
        sleep(delay.saturating_sub(received_at.elapsed())).await;
        match effect {
            Some(Effect::Status(status) | Effect::SlowStatus(status, _)) => {
                Ok(full(status, r#"{"code":"made-up"}"#.into()))
            }
            Some(Effect::Body(body)) => Ok(full(status, body.into())),
            Some(Effect::Reset) => Err(NoResponse),
            Some(Effect::Truncate) => Ok(response(status, PartialBody::truncated(body))),
            Some(Effect::SlowBody(ms)) => Ok(response(status, PartialBody::slow(body, ms))),
            _ => Ok(full(status, body)),
        }
    }

    /// Returns the correct response. A check is answered without the faults of the load.
    fn answer(
        &self,
        method: &Method,
        path: &str,
        token: &str,
        body: &Bytes,
        is_check: bool,
    ) -> (u16, String) {
        let number = self.requests.fetch_add(1, Relaxed);
        let item = |id: &str| json!({ "id": id, "name": "item" });
        match (method.as_str(), path) {
            ("GET", "/health") => {
                let is_healthy = self.behavior.stays_healthy || self.load_started.get().is_none();
                let status = if is_healthy { 200 } else { 503 };
                (status, json!({ "status": "healthy", "timestamp": now() }).to_string())
            }
            ("GET", "/ping") => (200, json!({ "pong": number }).to_string()),
            ("GET", "/items") => (200, json!([item("1"), item("2")]).to_string()),
            ("GET", _) if path.starts_with("/items/") => (200, item(&path[7..]).to_string()),
            ("POST", "/items") => (201, item(&number.to_string()).to_string()),
            ("POST", "/login") => (200, self.log_in(body)),
            (_, "/work") => self.work(method, token, number, is_check),
            _ => (404, json!({ "code": "not-found" }).to_string()),
        }
    }

    fn log_in(&self, body: &Bytes) -> String {
        let credentials: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = credentials["name"].as_str().unwrap_or_default();
        let number = self.requests.fetch_add(1, Relaxed);
        let token = format!("{name} {number}");
        let lifetime = match self.behavior.work {
            Work::TokensExpire(seconds) => seconds,
            _ => 900,
        };
        let expires = Instant::now() + Duration::from_secs(lifetime);
        lock(&self.tokens).insert(token.clone(), expires);
        json!({ "token": token, "expires_in": lifetime }).to_string()
    }

    /// Accepts work (`POST`), or lists that of the token's owner.
    fn work(&self, method: &Method, token: &str, number: u64, is_check: bool) -> (u16, String) {
        let expires = lock(&self.tokens).get(token).copied();
        if expires.is_none_or(|expires| expires < Instant::now()) {
            return (401, json!({ "code": "unauthorized" }).to_string());
        }
        let owner = token.split(' ').next().unwrap_or_default().to_owned();
        let accepted_at = now();
        if method == Method::POST {
            let id = match self.behavior.work {
                Work::HasOneId => "1".to_owned(),
                _ => number.to_string(),
            };
            let fate = self.draw();
            lock(&self.work).push(WorkItem { id: id.clone(), owner, accepted_at, fate });
            return (202, json!({ "id": id, "created_at": accepted_at }).to_string());
        }
        if is_check && self.behavior.work == Work::ListUnavailable {
            return (503, json!({ "code": "unavailable" }).to_string());
        }
        let mut items = Vec::new();
        for item in lock(&self.work).iter().rev().filter(|item| item.owner == owner) {
            let is_doubled =
                matches!(self.behavior.work, Work::IsDoubled(share) if item.fate < share);
            items.extend(self.describe(item));
            items.extend(self.describe(item).filter(|_| is_doubled));
        }
        (200, json!({ "items": items, "next": null }).to_string())
    }

    /// Returns an item of the list; `None` if it has disappeared.
    fn describe(&self, item: &WorkItem) -> Option<Value> {
        let mut started = item.accepted_at;
        let mut ended = Some(started + TimeDelta::milliseconds(WORK_DURATION_MS));
        let mut status = "completed";
        match self.behavior.work {
            Work::Disappears(share) if item.fate < share => return None,
            Work::Fails(share) if item.fate < share => status = "failed",
            Work::NeverEnds => (status, ended) = ("queued", None),
            Work::IsInThePast(share, days) if item.fate < share => {
                started -= TimeDelta::days(days);
                ended = ended.map(|ended| ended - TimeDelta::days(days));
            }
            Work::StartsAtItsEnd => started = ended.unwrap_or(started),
            _ => {}
        }
        Some(json!({
            "id": item.id, "status": status, "created_at": started, "completed_at": ended,
        }))
    }
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float's cast to an integer saturates"
)]
fn millis(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1000.0) as u64
}

fn full(status: u16, body: String) -> Response<ResponseBody> {
    response(status, PartialBody { frames: vec![body.into()], delay: None, fails: false })
}

fn response(status: u16, body: PartialBody) -> Response<ResponseBody> {
    let mut response = Response::new(body.boxed());
    if let Ok(status) = hyper::StatusCode::from_u16(status) {
        *response.status_mut() = status;
    }
    response
}

/// A body that announces its whole length, and pauses or fails before its last part.
struct PartialBody {
    /// The parts that are still to be sent, the last one first.
    frames: Vec<Bytes>,
    delay: Option<Pin<Box<Sleep>>>,
    fails: bool,
}

impl PartialBody {
    fn halves(body: String) -> Vec<Bytes> {
        let mut whole = Bytes::from(body);
        let second = whole.split_off(whole.len() / 2);
        vec![second, whole]
    }

    fn truncated(body: String) -> Self {
        Self { frames: Self::halves(body), delay: None, fails: true }
    }

    fn slow(body: String, ms: u64) -> Self {
        let delay = Some(Box::pin(sleep(Duration::from_millis(ms))));
        Self { frames: Self::halves(body), delay, fails: false }
    }
}

impl Body for PartialBody {
    type Data = Bytes;
    type Error = NoResponse;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NoResponse>>> {
        if self.frames.len() == 1 && self.fails {
            return Poll::Ready(Some(Err(NoResponse)));
        }
        if self.frames.len() == 1
            && let Some(delay) = &mut self.delay
        {
            ready!(delay.as_mut().poll(context));
            self.delay = None;
        }
        Poll::Ready(self.frames.pop().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.frames.iter().map(|bytes| bytes.len() as u64).sum())
    }
}
