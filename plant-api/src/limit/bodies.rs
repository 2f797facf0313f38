//! Memory and threads for request bodies of all connections together.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::RETRY_AFTER;
use crate::error::{Error, Result};

/// Maximum size of a body that reserves no memory, so that small requests never wait for large ones.
/// A larger body reserves memory for its whole size, and is parsed on another thread.
pub const MAX_UNRESERVED_BODY_BYTES: usize = 16 * 1024;

/// Maximum number of bytes that all bodies together reserve; one body of the maximum size if that is
/// more.
pub const MAX_RESERVED_BYTES: usize = 64 * 1024 * 1024;

/// Timeout for the memory of one body. Short, so that bodies that are sent slowly delay others only
/// briefly.
const RESERVATION_TIMEOUT: Duration = Duration::from_secs(2);

/// Memory for request bodies, in bytes, and threads that parse large ones. Clones share both.
#[derive(Debug, Clone)]
pub struct BodyBudget {
    free: Arc<Semaphore>,
    total: usize,
    timeout: Duration,
    parsers: Arc<Semaphore>,
}

/// Memory reserved for one body; freed when dropped.
#[derive(Debug)]
pub struct BodyReservation(#[expect(dead_code, reason = "freed by its drop")] OwnedSemaphorePermit);

impl BodyBudget {
    /// Creates a budget of `total` bytes. A reservation waits at most for `timeout`.
    pub fn new(total: usize, timeout: Duration) -> Self {
        let threads = available_parallelism().map_or(1, NonZero::get);
        Self {
            free: Arc::new(Semaphore::new(total)),
            total,
            timeout,
            parsers: Arc::new(Semaphore::new(threads)),
        }
    }

    /// Creates the budget of the service: [`MAX_RESERVED_BYTES`], or one body of `max_body_bytes` if
    /// that is more.
    pub fn for_bodies_of(max_body_bytes: usize) -> Self {
        Self::new(MAX_RESERVED_BYTES.max(max_body_bytes), RESERVATION_TIMEOUT)
    }

    /// Reserves the memory of a whole body. Reserving it piece by piece could leave many bodies
    /// incomplete, each waiting for memory that the others hold.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if too many other bodies are in memory until the timeout expires.
    pub async fn reserve(&self, bytes: usize) -> Result<BodyReservation> {
        let bytes = u32::try_from(bytes.min(self.total)).unwrap_or(u32::MAX);
        let reserved = self.free.clone().acquire_many_owned(bytes);
        match tokio::time::timeout(self.timeout, reserved).await {
            Ok(Ok(permit)) => Ok(BodyReservation(permit)),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(Error::Unavailable {
                what: "memory for request bodies",
                retry_after: RETRY_AFTER,
            }),
        }
    }

    /// Parses `body`. A large one takes milliseconds, in which its thread could not serve the other
    /// requests, so it is parsed on a thread of its own; as many at a time as there are cores.
    ///
    /// # Errors
    /// Those of `parse`.
    pub async fn parse<T: Send + 'static>(
        &self,
        body: Bytes,
        parse: impl FnOnce(&[u8]) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if body.len() <= MAX_UNRESERVED_BODY_BYTES {
            return parse(&body);
        }
        // The semaphore is never closed.
        let permit = self.parsers.clone().acquire_owned().await;
        let parsed = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            parse(&body)
        });
        parsed.await.map_err(|error| Error::Internal(Box::new(error)))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reservation_waits_for_another_one_to_end() {
        let budget = BodyBudget::new(100, Duration::from_secs(600));
        let first = budget.reserve(60).await.unwrap();
        let second = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(60).await }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn only_a_large_body_is_parsed_on_another_thread() {
        let budget = BodyBudget::for_bodies_of(1);
        let here = std::thread::current().id();
        for (length, elsewhere) in
            [(MAX_UNRESERVED_BODY_BYTES, false), (MAX_UNRESERVED_BODY_BYTES + 1, true)]
        {
            let thread = budget
                .parse(vec![b'x'; length].into(), move |body| {
                    assert_eq!(body.len(), length);
                    Ok(std::thread::current().id())
                })
                .await
                .unwrap();
            assert_eq!(thread != here, elsewhere, "{length}");
        }
    }

    #[tokio::test]
    async fn errors_and_panics_of_a_parser_are_returned_and_free_its_thread() {
        let budget = BodyBudget::for_bodies_of(1);
        let large = || Bytes::from(vec![b'x'; MAX_UNRESERVED_BODY_BYTES + 1]);
        for _ in 0..=available_parallelism().unwrap().get() {
            let refused = budget.parse::<()>(large(), |_| Err(Error::UnsupportedMediaType));
            assert_eq!(refused.await.unwrap_err().status(), 415);
            let panicked = budget.parse::<()>(large(), |_| panic!("a bug"));
            assert_eq!(panicked.await.unwrap_err().status(), 500);
        }
    }

    #[tokio::test]
    async fn without_memory_the_answer_is_503() {
        let budget = BodyBudget::new(100, Duration::ZERO);
        let _first = budget.reserve(60).await.unwrap();
        let error = budget.reserve(60).await.unwrap_err();
        assert_eq!(error.status().as_u16(), 503);
        let _rest = budget.reserve(40).await.unwrap();
    }

    #[tokio::test]
    async fn a_body_larger_than_the_budget_takes_all_of_it() {
        let budget = BodyBudget::new(100, Duration::ZERO);
        let _all = budget.reserve(1_000).await.unwrap();
        assert!(budget.reserve(1).await.is_err());
        assert_eq!(BodyBudget::for_bodies_of(1).total, MAX_RESERVED_BYTES);
        assert_eq!(BodyBudget::for_bodies_of(MAX_RESERVED_BYTES + 1).total, MAX_RESERVED_BYTES + 1);
    }
}
