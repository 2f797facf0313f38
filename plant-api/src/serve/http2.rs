//! HTTP/2 without TLS, for clients that know that the server supports it (RFC 9113, section 3.3).
//!
//! Limits of HTTP/1 follow from one request at a time. Here they are: the number of streams, their
//! windows, and [`Streams`], which detects clients that do not receive a response, do not send a
//! request, or cancel many.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use super::body::RequestBody;
use super::connection::{Connection, IDLE_LINGER_TIMEOUT, Stage, log_end};
use super::stream::ClientStream;
use super::streams::{Condition, Stream, Streams};
use super::{message, rejection};
use crate::limit::MAX_HEADER_BYTES;

/// Maximum number of concurrent requests on a connection.
pub const MAX_STREAMS: u32 = 100;

/// Bytes of request bodies that a client may send before they are read, on each stream and on the
/// connection.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 128 * 1024;

/// Size above which h2 refuses headers without a body in its response. The limit is lower, so that
/// most clients receive a problem.
const MAX_PARSED_HEADER_BYTES: usize = 2 * MAX_HEADER_BYTES;

/// Maximum number of streams that a client may reset before they are accepted, or that are reset for
/// its errors, before the connection is closed.
const MAX_RESETS: usize = 20;

/// Size of the pieces in which a response is sent, that of a frame. The client must receive one of
/// them within its timeout.
const PIECE_BYTES: usize = 16 * 1024;

/// Number of checks of the streams within the client's timeout.
const CHECKS_PER_TIMEOUT: u32 = 4;

/// The settings of HTTP/2.
pub struct Http2 {
    builder: http2::Builder<TokioExecutor>,
    client_timeout: Duration,
}

impl Http2 {
    pub fn new(client_timeout: Duration) -> Self {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(PIECE_BYTES)
            .max_header_list_size(u32::try_from(MAX_PARSED_HEADER_BYTES).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_local_error_reset_streams(MAX_RESETS)
            .keep_alive_interval(client_timeout)
            .keep_alive_timeout(client_timeout);
        Self { builder, client_timeout }
    }
}

/// Serves requests until one of the sides closes the connection.
pub async fn serve(connection: Arc<Connection>, http: &Http2, stream: ClientStream<'_>) {
    let streams = Arc::new(Streams::default());
    let last_response = Arc::new(Notify::new());
    let service = service_fn(|request| {
        respond(connection.clone(), streams.clone(), last_response.clone(), request)
    });
    let mut served = pin!(http.builder.serve_connection(TokioIo::new(stream), service));
    let mut stage = connection.stage();
    let mut checks = tokio::time::interval(http.client_timeout / CHECKS_PER_TIMEOUT);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_ending = false;
    loop {
        tokio::select! {
            biased;
            result = served.as_mut() => return log_end(result),
            changed = stage.changed() => match *stage.borrow_and_update() {
                Stage::Serving if changed.is_ok() => continue,
                Stage::Draining if changed.is_ok() => {}
                Stage::ClosingIdle => {}
                _ => return,
            },
            () = last_response.notified() => {}
            () = streams.wait_for_flood() => {
                tracing::debug!("the client cancels many requests; closing the connection");
                return;
            }
            _ = checks.tick() => match streams.condition(http.client_timeout) {
                Condition::InUse => continue,
                Condition::Idle if !is_ending => {}
                Condition::Idle => return,
                Condition::Stalled => {
                    tracing::debug!("the client does not receive a response; closing the connection");
                    return;
                }
            },
        }
        // Announces the end of the connection; running requests are completed.
        is_ending = true;
        served.as_mut().graceful_shutdown();
        if *stage.borrow() == Stage::ClosingIdle && streams.are_none_open() {
            let ended = tokio::time::timeout(IDLE_LINGER_TIMEOUT, served.as_mut()).await;
            if ended.is_ok() || streams.are_none_open() {
                return;
            }
        }
    }
}

async fn respond(
    connection: Arc<Connection>,
    streams: Arc<Streams>,
    last_response: Arc<Notify>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let running = streams.start();
    let (parts, incoming) = request.into_parts();
    let unread = (!incoming.is_end_stream()).then(|| RequestBody::new(incoming));
    let body = unread.clone().map_or_else(Body::empty, Body::new);
    let mut response = match message::check_http2(&parts) {
        Ok(()) => connection.route(parts, body).await?,
        Err(error) => rejection::response(error),
    };
    if let Some(body) = unread.filter(|body| !body.is_end_stream()) {
        body.discard_after_response();
    }
    if connection.exceeds_limit() {
        last_response.notify_one();
    }
    if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        // The router adds the length of the empty body, which would be that of the content (RFC 9110,
        // section 8.6). In HTTP/1 hyper removes it.
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    let stream = running.finish();
    Ok(response.map(|body| ResponseBody { body, rest: Bytes::new(), stream }))
}

/// The body of a response, in pieces that its stream counts.
struct ResponseBody {
    body: Body,
    /// What remains of the last frame.
    rest: Bytes,
    stream: Arc<Stream>,
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let length = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(self.stream.count(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    /// hyper reads it before the first frame only.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
