//! One client connection.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower::ServiceExt;

use super::body::RequestBody;
use super::stream::{ClientStream, LINGER_TIMEOUT, Linger};
use crate::limit::{ClientIp, ConnectionLimit};

/// Time for the client to close an idle connection that the server is closing.
pub const IDLE_LINGER_TIMEOUT: Duration = Duration::from_millis(500);

/// The stage of the server, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Connections are kept alive.
    Serving,
    /// The next response on each connection is the last one.
    Draining,
    /// Idle connections are closed.
    ClosingIdle,
    /// All connections are closed.
    Aborting,
}

/// A connection, and what its requests need.
pub struct Connection {
    router: Router,
    client: ClientIp,
    /// Why the connection has no slot; `None`: it has one.
    limit: Option<ConnectionLimit>,
    /// A change since `Serving` is never marked as seen.
    stage: watch::Receiver<Stage>,
    linger: Linger,
}

impl Connection {
    pub fn new(
        router: Router,
        client: ClientIp,
        limit: Option<ConnectionLimit>,
        stage: watch::Receiver<Stage>,
    ) -> Self {
        Self { router, client, limit, stage, linger: Linger::default() }
    }

    /// Serves requests until one of the sides closes the connection.
    pub async fn run(&self, http: &http1::Builder, tcp: TcpStream, client_timeout: Duration) {
        let stream = TokioIo::new(ClientStream::new(tcp, client_timeout, &self.linger));
        let service = service_fn(|request| self.respond(request));
        let mut connection = pin!(http.serve_connection(stream, service));
        let mut stage = self.stage.clone();
        loop {
            tokio::select! {
                biased;
                result = connection.as_mut() => {
                    // Disconnects and malformed requests are the client's fault, hence no warning.
                    if let Err(error) = result {
                        tracing::debug!(%error, "connection closed with an error");
                    }
                    return;
                }
                changed = stage.changed() => match *stage.borrow_and_update() {
                    Stage::Serving | Stage::Draining if changed.is_ok() => {}
                    Stage::ClosingIdle => {
                        self.linger.set(IDLE_LINGER_TIMEOUT);
                        connection.as_mut().graceful_shutdown();
                    }
                    _ => return,
                }
            }
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let expects_continue = request.headers().contains_key(header::EXPECT);
        let (mut parts, incoming) = request.into_parts();
        parts.extensions.insert(self.client);
        if let Some(limit) = self.limit {
            parts.extensions.insert(limit);
        }
        let router = self.router.clone();
        if incoming.is_end_stream() {
            let response = router.oneshot(Request::from_parts(parts, Body::empty())).await?;
            return Ok(self.announce_close(response, false));
        }
        let mut body = RequestBody::new(incoming);
        let request = Request::from_parts(parts, Body::new(body.clone()));
        let response = router.oneshot(request).await?;
        let received = body.discard_rest(expects_continue).await;
        if !received {
            self.linger.set(LINGER_TIMEOUT);
        }
        Ok(self.announce_close(response, !received))
    }

    /// Adds `Connection: close` if this is the last response on the connection.
    fn announce_close(&self, mut response: Response<Body>, is_last: bool) -> Response<Body> {
        let is_draining = self.stage.has_changed().unwrap_or(true);
        if is_last || is_draining || self.limit.is_some() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}
