//! One client connection.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, header};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tower::ServiceExt;

use super::body::RequestBody;
use super::stream::{ClientStream, LINGER_TIMEOUT, StreamState};
use super::{message, rejection};
use crate::limit::{ClientIp, ConnectionLimit};

/// Time for the client to close an idle connection that the server is closing.
pub const IDLE_LINGER_TIMEOUT: Duration = Duration::from_millis(500);

/// The stage of the server, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    state: StreamState,
}

impl Connection {
    pub fn new(
        router: Router,
        client: ClientIp,
        limit: Option<ConnectionLimit>,
        stage: watch::Receiver<Stage>,
    ) -> Self {
        Self { router, client, limit, stage, state: StreamState::default() }
    }

    /// Serves HTTP/1 requests until one of the sides closes the connection.
    pub async fn serve_http1(&self, http: &http1::Builder, stream: ClientStream<'_>) {
        let service = service_fn(|request| self.respond(request));
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let mut stage = self.stage();
        loop {
            tokio::select! {
                biased;
                result = connection.as_mut() => return log_end(result),
                changed = stage.changed() => match *stage.borrow_and_update() {
                    Stage::Serving | Stage::Draining if changed.is_ok() => {}
                    Stage::ClosingIdle => {
                        self.state.set_linger(IDLE_LINGER_TIMEOUT);
                        connection.as_mut().graceful_shutdown();
                    }
                    _ => return,
                }
            }
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let expects_continue = request.headers().contains_key(header::EXPECT);
        let (parts, incoming) = request.into_parts();
        if let Err(error) = message::check_http1(&parts, self.state.has_conflict()) {
            // What follows may be part of this request or another one.
            self.state.set_linger(LINGER_TIMEOUT);
            return Ok(self.announce_close(rejection::response(error), true));
        }
        if incoming.is_end_stream() {
            let response = self.route(parts, Body::empty()).await?;
            return Ok(self.announce_close(response, false));
        }
        let body = RequestBody::new(incoming);
        let response = self.route(parts, Body::new(body.clone())).await?;
        let received = body.discard_rest(expects_continue).await;
        if !received {
            self.state.set_linger(LINGER_TIMEOUT);
        }
        Ok(self.announce_close(response, !received))
    }

    /// Passes a request to the router.
    pub async fn route(&self, mut parts: Parts, body: Body) -> Result<Response<Body>, Infallible> {
        parts.extensions.insert(self.client);
        if let Some(limit) = self.limit {
            parts.extensions.insert(limit);
        }
        self.router.clone().oneshot(Request::from_parts(parts, body)).await
    }

    /// Adds `Connection: close` if this is the last response on the connection.
    fn announce_close(&self, mut response: Response<Body>, is_last: bool) -> Response<Body> {
        let is_draining = self.stage.has_changed().unwrap_or(true);
        if is_last || is_draining || self.exceeds_limit() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }

    /// Returns whether the connection has no slot, so that it ends after one response.
    pub fn exceeds_limit(&self) -> bool {
        self.limit.is_some()
    }

    /// Returns what the connection and its stream share.
    pub fn state(&self) -> &StreamState {
        &self.state
    }

    /// Returns a receiver of all changes of the stage.
    pub fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.clone()
    }
}

/// Logs how a connection has ended. Disconnects and malformed requests are the client's fault, hence
/// no warning.
pub fn log_end(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "connection closed with an error");
    }
}
