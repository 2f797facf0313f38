//! The streams of one HTTP/2 connection: whether the client receives their responses, and how many
//! requests it cancels.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

/// Maximum number of requests that a client may cancel beyond those that were completed.
const MAX_CANCELED: u64 = 100;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Requests are processed, responses are received, or the last one was received recently.
    InUse,
    /// The client has had no stream for the timeout.
    Idle,
    /// The client has received nothing of one of its responses for the timeout.
    Stalled,
}

/// The streams of a connection.
#[derive(Debug)]
pub struct Streams {
    clock: Clock,
    open: Mutex<Vec<Weak<Stream>>>,
    /// When a stream was last opened or closed.
    used_at: Arc<AtomicU64>,
    completed: AtomicU64,
    canceled: AtomicU64,
    flood: Notify,
}

/// A stream; open until nothing refers to it: neither its request, nor its response, nor data that
/// has not been sent.
#[derive(Debug)]
pub struct Stream {
    clock: Clock,
    /// Number of pieces of the response that have not been sent.
    unsent: AtomicUsize,
    /// When a piece was last added or sent.
    progressed_at: AtomicU64,
    used_at: Arc<AtomicU64>,
}

/// A request that is being processed; canceled if it is dropped before [`Running::finish`].
#[derive(Debug)]
pub struct Running<'a> {
    streams: &'a Streams,
    stream: Arc<Stream>,
    is_finished: bool,
}

/// Measures milliseconds since its creation.
#[derive(Debug, Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn has_expired(self, since: &AtomicU64, timeout: Duration) -> bool {
        let elapsed = self.now().saturating_sub(since.load(Ordering::Relaxed));
        Duration::from_millis(elapsed) >= timeout
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            clock: Clock(Instant::now()),
            open: Mutex::default(),
            used_at: Arc::default(),
            completed: AtomicU64::new(0),
            canceled: AtomicU64::new(0),
            flood: Notify::new(),
        }
    }
}

impl Streams {
    /// Adds a stream whose request is being processed.
    pub fn start(&self) -> Running<'_> {
        let now = self.clock.now();
        self.used_at.store(now, Ordering::Relaxed);
        let stream = Arc::new(Stream {
            clock: self.clock,
            unsent: AtomicUsize::new(0),
            progressed_at: AtomicU64::new(now),
            used_at: self.used_at.clone(),
        });
        let mut open = self.lock();
        if open.len() == open.capacity() {
            open.retain(|stream| stream.strong_count() > 0);
        }
        open.push(Arc::downgrade(&stream));
        Running { streams: self, stream, is_finished: false }
    }

    /// Returns what the connection is doing.
    pub fn condition(&self, timeout: Duration) -> Condition {
        let mut open = self.lock();
        open.retain(|stream| stream.strong_count() > 0);
        let is_stalled = |stream: Arc<Stream>| {
            stream.unsent.load(Ordering::Relaxed) > 0
                && self.clock.has_expired(&stream.progressed_at, timeout)
        };
        if open.iter().filter_map(Weak::upgrade).any(is_stalled) {
            Condition::Stalled
        } else if open.is_empty() && self.clock.has_expired(&self.used_at, timeout) {
            Condition::Idle
        } else {
            Condition::InUse
        }
    }

    pub fn are_none_open(&self) -> bool {
        self.lock().iter().all(|stream| stream.strong_count() == 0)
    }

    /// Waits until the client has canceled too many requests.
    pub async fn wait_for_flood(&self) {
        self.flood.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Stream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running<'_> {
    /// Ends the processing of the request; its response is sent next.
    pub fn finish(mut self) -> Arc<Stream> {
        self.is_finished = true;
        self.stream.clone()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let streams = self.streams;
        if self.is_finished {
            streams.completed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let canceled = streams.canceled.fetch_add(1, Ordering::Relaxed) + 1;
        if canceled > MAX_CANCELED + streams.completed.load(Ordering::Relaxed) {
            streams.flood.notify_one();
        }
    }
}

impl Stream {
    /// Returns `data`, which counts as unsent until it is dropped.
    pub fn count(self: &Arc<Self>, data: Bytes) -> Bytes {
        if data.is_empty() {
            return data;
        }
        self.unsent.fetch_add(1, Ordering::Relaxed);
        self.progressed_at.store(self.clock.now(), Ordering::Relaxed);
        Bytes::from_owner(Piece { data, stream: self.clone() })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.used_at.store(self.clock.now(), Ordering::Relaxed);
    }
}

/// A part of a response that has not been sent.
struct Piece {
    data: Bytes,
    stream: Arc<Stream>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.stream.unsent.fetch_sub(1, Ordering::Relaxed);
        self.stream.progressed_at.store(self.stream.clock.now(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn a_connection_without_streams_becomes_idle() {
        let streams = Streams::default();
        assert_eq!(streams.condition(Duration::ZERO), Condition::Idle);
        let stream = streams.start().finish();
        assert_eq!(streams.condition(Duration::ZERO), Condition::InUse);
        assert!(!streams.are_none_open());
        drop(stream);
        assert!(streams.are_none_open());
        assert_eq!(streams.condition(TIMEOUT), Condition::InUse);
        assert_eq!(streams.condition(Duration::ZERO), Condition::Idle);
    }

    #[test]
    fn a_response_that_is_not_received_stalls_its_connection() {
        let begun_at = Instant::now().checked_sub(TIMEOUT).unwrap();
        let streams = Streams { clock: Clock(begun_at), ..Streams::default() };
        let stream = streams.start().finish();
        let [first, second] = [stream.count("a".into()), stream.count("b".into())];
        let _other = streams.start();
        assert_eq!(streams.condition(TIMEOUT), Condition::InUse);
        stream.progressed_at.store(0, Ordering::Relaxed);
        assert_eq!(streams.condition(TIMEOUT), Condition::Stalled);
        drop(first);
        assert_eq!(streams.condition(TIMEOUT), Condition::InUse);
        drop(second);
        // Now the next piece has not been produced.
        stream.progressed_at.store(0, Ordering::Relaxed);
        assert_eq!(streams.condition(TIMEOUT), Condition::InUse);
    }

    #[tokio::test]
    async fn more_canceled_than_completed_requests_are_a_flood() {
        let streams = Streams::default();
        for _ in 0..10 {
            streams.start().finish();
        }
        for _ in 0..MAX_CANCELED + 10 {
            drop(streams.start());
        }
        tokio::select! {
            biased;
            () = streams.wait_for_flood() => panic!("not yet"),
            () = std::future::ready(()) => {}
        }
        drop(streams.start());
        streams.wait_for_flood().await;
    }
}
