//! The body of a request, shared with the server, so that it knows what the handler did not read.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Maximum number of bytes of an unread rest that are discarded to keep the connection. Sending
/// more costs the client more than a new connection.
const MAX_DISCARDED_BYTES: usize = 64 * 1024;

/// Maximum number of bytes of a longer rest that are discarded after the response, and the timeout
/// for it. Only then is the connection closed, so that no client sees its end while it sends.
const MAX_DISCARDED_AFTER_RESPONSE: usize = 16 * 1024 * 1024;
const AFTER_RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout for the unread rest of a body. Most clients send small bodies together with the headers.
pub const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// A request body; clones read the same body.
#[derive(Clone)]
pub struct RequestBody(Arc<Mutex<State>>);

struct State {
    incoming: Incoming,
    /// Whether reading has begun, which sends `100 Continue` to a client that expects it.
    begun: bool,
}

impl RequestBody {
    pub fn new(incoming: Incoming) -> Self {
        Self(Arc::new(Mutex::new(State { incoming, begun: false })))
    }

    /// Discards what the handler has not read, if it is short and arrives soon. Returns whether the
    /// client has sent the whole body, so that the connection can be kept. Otherwise a longer rest is
    /// discarded while the response is sent. The body of a client that waits for `100 Continue` is
    /// never sent.
    pub async fn discard_rest(mut self, expects_continue: bool) -> bool {
        if self.is_end_stream() {
            return true;
        }
        if expects_continue && !self.lock().begun {
            return false;
        }
        let is_short = self.size_hint().lower() <= MAX_DISCARDED_BYTES as u64;
        if is_short {
            let discard = self.discard_up_to(MAX_DISCARDED_BYTES);
            if tokio::time::timeout(DISCARD_TIMEOUT, discard).await.unwrap_or(false) {
                return true;
            }
        }
        self.discard_after_response();
        false
    }

    /// Discards what the handler has not read while the response is sent. When the body ends or is
    /// dropped, hyper closes the connection, or in HTTP/2 resets the stream.
    pub fn discard_after_response(mut self) {
        tokio::spawn(async move {
            let discard = self.discard_up_to(MAX_DISCARDED_AFTER_RESPONSE);
            tokio::time::timeout(AFTER_RESPONSE_TIMEOUT, discard).await
        });
    }

    async fn discard_up_to(&mut self, max: usize) -> bool {
        let mut discarded = 0;
        while let Some(frame) = self.frame().await {
            let Ok(frame) = frame else { return false };
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > max {
                return false;
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut state = self.lock();
        state.begun = true;
        Pin::new(&mut state.incoming).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().incoming.size_hint()
    }
}
