//! The TCP stream of a connection, with a write timeout and a lingering close.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::head_lines::HeadLines;
use super::rejection;

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Maximum number of bytes read and discarded by a lingering close.
const MAX_LINGER_BYTES: usize = 32 * 1024 * 1024;

/// Size of the buffer that these bytes are read into.
const LINGER_BUFFER_BYTES: usize = 16 * 1024;

/// What the stream of a connection and its requests exchange.
#[derive(Debug, Default)]
pub struct StreamState {
    linger_milliseconds: AtomicU64,
    has_conflict: AtomicBool,
}

impl StreamState {
    /// Lingers when the connection closes: reads and discards what the client still sends, until it
    /// closes its side, at most for this time. If the connection were closed with unread bytes, the
    /// kernel would reset it, and a client that writes before it reads would never receive the response.
    pub fn set_linger(&self, timeout: Duration) {
        let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.linger_milliseconds.store(milliseconds, Ordering::Relaxed);
    }

    /// Returns the timeout; zero: do not linger.
    fn linger(&self) -> Duration {
        Duration::from_millis(self.linger_milliseconds.load(Ordering::Relaxed))
    }

    /// Returns whether a head had both `Content-Length` and `Transfer-Encoding`.
    pub fn has_conflict(&self) -> bool {
        self.has_conflict.load(Ordering::Relaxed)
    }
}

/// The version of HTTP that a client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// Timeout of a lingering close after a body that was not read, or a rejected request.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// The stream of one client.
pub struct ClientStream<'a> {
    tcp: TcpStream,
    /// Timeout for a write to progress.
    write_timeout: Duration,
    /// Runs while the client accepts no bytes.
    stalled: Option<Pin<Box<Sleep>>>,
    /// The first bytes, which [`ClientStream::detect_protocol`] has read.
    first: Bytes,
    /// The lines of HTTP/1.
    lines: Option<HeadLines>,
    /// Whether the client has sent the end of the request line.
    line_ended: bool,
    /// What remains to be sent of the response that replaces a rejection by hyper.
    replacement: Bytes,
    state: &'a StreamState,
    closing: Option<Closing>,
}

/// A lingering close.
struct Closing {
    timeout: Pin<Box<Sleep>>,
    discarded: usize,
}

impl<'a> ClientStream<'a> {
    pub fn new(tcp: TcpStream, write_timeout: Duration, state: &'a StreamState) -> Self {
        Self {
            tcp,
            write_timeout,
            stalled: None,
            first: Bytes::new(),
            lines: Some(HeadLines::default()),
            line_ended: false,
            replacement: Bytes::new(),
            state,
            closing: None,
        }
    }

    /// Waits for the first bytes, which later reads return again.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn detect_protocol(&mut self) -> io::Result<Protocol> {
        let mut first = [0; PREFACE.len()];
        let mut length = 0;
        while length < PREFACE.len() && PREFACE.starts_with(&first[..length]) {
            match self.tcp.read(&mut first[length..]).await? {
                0 => break,
                read => length += read,
            }
        }
        self.first = Bytes::copy_from_slice(&first[..length]);
        if first != PREFACE {
            return Ok(Protocol::Http1);
        }
        self.lines = None;
        Ok(Protocol::Http2)
    }

    fn read_lines(&mut self, bytes: &[u8]) {
        let Some(lines) = &mut self.lines else { return };
        self.line_ended |= lines.read(bytes);
        if lines.has_conflict() {
            self.state.has_conflict.store(true, Ordering::Relaxed);
        }
    }

    /// Returns `written`, or an error if no write has progressed within the timeout.
    fn check_progress(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let write_timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(write_timeout)));
        ready!(stalled.as_mut().poll(cx));
        tracing::debug!("the client does not read; resetting the connection");
        // Otherwise the kernel would keep the unsent bytes and go on trying to send them.
        let _ = self.tcp.set_zero_linger();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Keeps the replacement of a rejection by hyper, for the next flush.
    fn replace(&mut self, rejection: &[u8]) -> Poll<io::Result<usize>> {
        self.replacement = rejection::problem_response(rejection, self.line_ended).into();
        self.state.set_linger(LINGER_TIMEOUT);
        Poll::Ready(Ok(rejection.len()))
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timeout = self.state.linger();
        if timeout.is_zero() {
            return Poll::Ready(());
        }
        let closing = self
            .closing
            .get_or_insert_with(|| Closing { timeout: Box::pin(sleep(timeout)), discarded: 0 });
        while closing.discarded < MAX_LINGER_BYTES && closing.timeout.as_mut().poll(cx).is_pending()
        {
            let mut buffer = [MaybeUninit::uninit(); LINGER_BUFFER_BYTES];
            let mut buffer = ReadBuf::uninit(&mut buffer);
            let result = ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut buffer));
            if result.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
            closing.discarded += buffer.filled().len();
        }
        Poll::Ready(())
    }
}

impl AsyncRead for ClientStream<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.first.is_empty() {
            ready!(Pin::new(&mut self.tcp).poll_read(cx, buffer))?;
        } else {
            let length = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first.split_to(length));
            // The rest of the request has usually arrived with the first bytes.
            if let Poll::Ready(result) = Pin::new(&mut self.tcp).poll_read(cx, buffer) {
                result?;
            }
        }
        self.read_lines(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientStream<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [head] = buffers
            && rejection::is_rejection(head)
        {
            return self.replace(head);
        }
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, buffers);
        self.line_ended = false;
        self.check_progress(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    /// Sends the replacement, if there is one. The stream itself has no buffer.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.replacement.is_empty() {
            let this = &mut *self;
            let written = Pin::new(&mut this.tcp).poll_write(cx, &this.replacement);
            let written = ready!(self.check_progress(written, cx))?;
            self.replacement.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tcp).poll_shutdown(cx))?;
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::net::TcpListener;

    use super::*;

    async fn stream(state: &StreamState) -> ClientStream<'_> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        ClientStream::new(tcp, Duration::from_secs(600), state)
    }

    #[tokio::test]
    async fn a_write_that_progresses_restarts_the_timeout() {
        let state = StreamState::default();
        let mut stream = stream(&state).await;
        let mut cx = Context::from_waker(Waker::noop());
        assert!(stream.check_progress(Poll::Pending, &mut cx).is_pending());
        let first = stream.stalled.as_ref().unwrap().deadline();
        assert!(stream.check_progress(Poll::Pending, &mut cx).is_pending());
        assert_eq!(stream.stalled.as_ref().unwrap().deadline(), first);
        assert!(stream.check_progress(Poll::Ready(Ok(1)), &mut cx).is_ready());
        assert!(stream.check_progress(Poll::Pending, &mut cx).is_pending());
        assert!(stream.stalled.as_ref().unwrap().deadline() > first);
    }

    #[tokio::test]
    async fn a_write_without_progress_ends_with_a_reset() {
        let state = StreamState::default();
        let mut stream = stream(&state).await;
        stream.write_timeout = Duration::from_millis(1);
        let written = std::future::poll_fn(|cx| stream.check_progress(Poll::Pending, cx));
        let result = tokio::time::timeout(Duration::from_secs(20), written).await.unwrap();
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(stream.tcp.linger().unwrap(), Some(Duration::ZERO));
    }
}
