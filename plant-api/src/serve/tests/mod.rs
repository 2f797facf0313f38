//! The server on loopback, with clients that write raw bytes.

mod bodies;
mod drain;
mod http2;
mod limits;
mod messages;
mod rejections;

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Extension;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::extract::read_body;
use crate::limit::BodyBudget;
use crate::state::RequestLimits;

/// Timeout for anything that should happen at once.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Size of the response to `GET /large`.
const LARGE_BYTES: usize = 1024 * 1024;

/// Above the buffers of the kernel, and below what a lingering close discards.
const HUGE: usize = 24 * 1024 * 1024;

/// Maximum size of the bodies that `POST /read` reads.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Number of responses to `GET /large` in the process.
static LARGE_RESPONSES: AtomicUsize = AtomicUsize::new(0);

/// Number of requests of `GET /never` in the process.
static NEVER_REQUESTS: AtomicUsize = AtomicUsize::new(0);

/// Limits that no test reaches, unless it changes them.
const CONFIG: ConnectionConfig = ConnectionConfig {
    max_connections: 100,
    connections_per_address: 100,
    client_timeout: Duration::from_secs(600),
    shutdown_grace: Duration::ZERO,
    drain_timeout: Duration::from_secs(600),
};

/// Routes that read their body, begin to read it, or ignore it, and large and small responses.
fn router() -> Router {
    let read = async |request: Request| {
        let limits = RequestLimits {
            request_timeout: TIMEOUT,
            body_timeout: TIMEOUT,
            max_body_bytes: MAX_BODY_BYTES,
            body_budget: BodyBudget::for_bodies_of(MAX_BODY_BYTES),
            response_budget: BodyBudget::for_responses(),
        };
        match read_body(request, &limits).await {
            Ok(body) => body.len().to_string().into_response(),
            Err(error) => error.into_response(),
        }
    };
    let begin = async |request: Request| {
        let frame = request.into_body().frame().await;
        (StatusCode::UNAUTHORIZED, frame.unwrap().unwrap().into_data().unwrap())
    };
    let address = async |client: Extension<ClientIp>| client.0.0.to_string();
    let large = async || {
        LARGE_RESPONSES.fetch_add(1, Ordering::Relaxed);
        vec![b'x'; LARGE_BYTES]
    };
    let never = async || {
        NEVER_REQUESTS.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<()>().await;
    };
    Router::new()
        .route("/small", get(async || "small"))
        .route("/large", get(large))
        .route("/huge", get(async || vec![b'x'; HUGE]))
        .route("/never", get(never))
        .route("/address", get(address))
        .route("/read", post(read))
        .route("/begin", post(begin))
        .route("/refuse", post(async || (StatusCode::UNAUTHORIZED, "refused")))
}

/// A running server.
struct TestServer {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl TestServer {
    async fn start(router: Router, config: ConnectionConfig) -> Self {
        let listeners = bind(&["127.0.0.1:0".parse().unwrap()]).await.unwrap();
        let address = listeners[0].local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(listeners, router, config, shutdown.clone()));
        Self { address, shutdown, task }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// Waits until the server has stopped.
    async fn stopped(self) {
        within(self.task).await.unwrap();
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(TIMEOUT, future).await.expect("did not happen in time")
}

struct Client(TcpStream);

/// The head of a response, in lower case, and its body.
#[derive(Debug)]
struct Response {
    head: String,
    body: String,
}

impl Response {
    fn status(&self) -> u16 {
        self.head["http/1.1 ".len()..][..3].parse().unwrap()
    }

    fn announces_close(&self) -> bool {
        self.head.contains("\r\nconnection: close\r\n")
    }
}

impl Client {
    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.0.write_all(bytes.as_ref())).await.unwrap();
    }

    async fn read_response(&mut self) -> Response {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(self.0.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        within(self.0.read_exact(&mut body)).await.unwrap();
        Response { head, body: String::from_utf8(body).unwrap() }
    }

    async fn get(&mut self, path: &str) -> Response {
        self.write(format!("GET {path} HTTP/1.1\r\nhost: plant\r\n\r\n")).await;
        self.read_response().await
    }

    /// Asserts that the server closes the connection without a reset.
    async fn expect_end(mut self) {
        let mut rest = Vec::new();
        within(self.0.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
}

fn head(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: plant\r\n{headers}\r\n")
}
