//! Memory for the bodies of all requests or responses together, and threads that parse and compress
//! them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use axum::http::Version;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{ClientIp, RETRY_AFTER};
use crate::error::{Error, Result};

/// Maximum size of a body that reserves no memory, so that small requests never wait for large ones.
/// A larger body reserves memory for its whole size, and is processed on another thread.
pub const MAX_UNRESERVED_BODY_BYTES: usize = 16 * 1024;

/// The same in HTTP/2, where a connection has many bodies at a time.
const MAX_UNRESERVED_BODY_BYTES_OF_STREAM: usize = 1024;

/// Returns the maximum size of a body that reserves no memory.
pub fn max_unreserved_body_bytes(version: Version) -> usize {
    if version == Version::HTTP_2 {
        MAX_UNRESERVED_BODY_BYTES_OF_STREAM
    } else {
        MAX_UNRESERVED_BODY_BYTES
    }
}

/// Maximum number of bytes that all bodies together reserve; one body of the maximum size if that is
/// more.
pub const MAX_RESERVED_BYTES: usize = 32 * 1024 * 1024;

/// Timeout for the memory of one body. Short, so that bodies that are sent slowly delay others only
/// briefly.
const RESERVATION_TIMEOUT: Duration = Duration::from_secs(2);

/// Timeout for the memory of one response. Shorter, because a response that waits is in memory already.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(200);

/// Number of clients from which on those without reservations are forgotten.
const MAX_IDLE_CLIENTS: usize = 1024;

/// Memory for bodies, in bytes, and threads that parse and compress large ones. Clones share both.
#[derive(Debug, Clone)]
pub struct BodyBudget {
    free: Arc<Semaphore>,
    total: usize,
    timeout: Duration,
    threads: Arc<Semaphore>,
    /// What each client may still reserve.
    shares: Arc<Mutex<HashMap<IpAddr, Arc<Semaphore>>>>,
}

/// Memory reserved for one body; freed when dropped.
#[derive(Debug)]
pub struct BodyReservation(
    #[expect(dead_code, reason = "freed by its drop")] [OwnedSemaphorePermit; 2],
);

impl BodyBudget {
    /// Creates a budget of `total` bytes, of which one client may reserve seven eighths, or
    /// one larger body. A reservation waits at most for `timeout`.
    pub fn new(total: usize, timeout: Duration) -> Self {
        let threads = available_parallelism().map_or(1, NonZero::get);
        Self {
            free: Arc::new(Semaphore::new(total)),
            total,
            timeout,
            threads: Arc::new(Semaphore::new(threads)),
            shares: Arc::default(),
        }
    }

    /// Creates the budget of the service: [`MAX_RESERVED_BYTES`], or one body of `max_body_bytes` if
    /// that is more.
    pub fn for_bodies_of(max_body_bytes: usize) -> Self {
        Self::new(MAX_RESERVED_BYTES.max(max_body_bytes), RESERVATION_TIMEOUT)
    }

    /// Creates the budget of the service for responses.
    pub fn for_responses() -> Self {
        Self::new(MAX_RESERVED_BYTES, RESPONSE_TIMEOUT)
    }

    /// Reserves the memory of a whole body of a client. Reserving it piece by piece could leave many
    /// bodies incomplete, each waiting for memory that the others hold.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if too many other bodies are in memory until the timeout expires.
    pub async fn reserve(&self, client: ClientIp, bytes: usize) -> Result<BodyReservation> {
        let share = self.share(client);
        let reserved = async {
            let of_client = share.acquire_many_owned(permits(bytes, self.max_share())).await;
            let of_all = self.free.clone().acquire_many_owned(permits(bytes, self.total)).await;
            Some(BodyReservation([of_client.ok()?, of_all.ok()?]))
        };
        // The semaphores are never closed.
        let reserved = tokio::time::timeout(self.timeout, reserved).await.ok().flatten();
        reserved.ok_or(Error::Unavailable { what: "memory for bodies", retry_after: RETRY_AFTER })
    }

    /// Returns what a client may still reserve.
    fn share(&self, client: ClientIp) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if shares.len() >= MAX_IDLE_CLIENTS {
            // Reservations hold their client's semaphore.
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let new = || Arc::new(Semaphore::new(self.max_share()));
        shares.entry(client.key()).or_insert_with(new).clone()
    }

    fn max_share(&self) -> usize {
        (self.total - self.total / 8).max(1)
    }

    /// Parses or compresses `body`. A large one takes milliseconds, in which its thread could not
    /// serve the other requests, so it is processed on a thread of its own; as many at a time as there
    /// are cores.
    ///
    /// # Errors
    /// Those of `process`.
    pub async fn process<T: Send + 'static>(
        &self,
        body: Bytes,
        process: impl FnOnce(&[u8]) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if body.len() <= MAX_UNRESERVED_BODY_BYTES {
            return process(&body);
        }
        // The semaphore is never closed.
        let permit = self.threads.clone().acquire_owned().await;
        let result = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            process(&body)
        });
        result.await.map_err(|error| Error::Internal(Box::new(error)))?
    }
}

fn permits(bytes: usize, max: usize) -> u32 {
    u32::try_from(bytes.min(max)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ClientIp = ClientIp(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    const OTHER: ClientIp = ClientIp(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    #[tokio::test]
    async fn a_reservation_waits_for_another_one_to_end() {
        let budget = BodyBudget::new(100, Duration::from_secs(600));
        let first = budget.reserve(CLIENT, 60).await.unwrap();
        let second = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(CLIENT, 60).await }
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
                .process(vec![b'x'; length].into(), move |body| {
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
            let refused = budget.process::<()>(large(), |_| Err(Error::UnsupportedMediaType));
            assert_eq!(refused.await.unwrap_err().status(), 415);
            let panicked = budget.process::<()>(large(), |_| panic!("a bug"));
            assert_eq!(panicked.await.unwrap_err().status(), 500);
        }
    }

    #[tokio::test]
    async fn without_memory_the_answer_is_503() {
        let budget = BodyBudget::new(100, Duration::ZERO);
        let _first = budget.reserve(CLIENT, 60).await.unwrap();
        for client in [CLIENT, OTHER] {
            let error = budget.reserve(client, 60).await.unwrap_err();
            assert_eq!(error.status().as_u16(), 503);
        }
        let _rest = budget.reserve(OTHER, 40).await.unwrap();
    }

    #[tokio::test]
    async fn one_client_leaves_memory_for_others() {
        let budget = BodyBudget::new(80, Duration::ZERO);
        let _share = budget.reserve(CLIENT, 70).await.unwrap();
        assert!(budget.reserve(CLIENT, 1).await.is_err());
        let _rest = budget.reserve(OTHER, 10).await.unwrap();
        assert!(budget.reserve(OTHER, 1).await.is_err());
    }

    #[tokio::test]
    async fn clients_without_reservations_are_forgotten() {
        let budget = BodyBudget::new(80, Duration::ZERO);
        let held = budget.reserve(CLIENT, 70).await.unwrap();
        for n in 0..2 * u32::try_from(MAX_IDLE_CLIENTS).unwrap() {
            budget.reserve(ClientIp(IpAddr::V4(n.into())), 1).await.unwrap();
        }
        assert!(budget.shares.lock().unwrap().len() <= MAX_IDLE_CLIENTS);
        assert!(budget.reserve(CLIENT, 1).await.is_err(), "its reservation is remembered");
        drop(held);
        budget.reserve(CLIENT, 70).await.unwrap();
    }

    #[tokio::test]
    async fn a_body_larger_than_the_budget_takes_all_of_it() {
        let budget = BodyBudget::new(100, Duration::ZERO);
        let _all = budget.reserve(CLIENT, 1_000).await.unwrap();
        assert!(budget.reserve(OTHER, 1).await.is_err());
        assert_eq!(BodyBudget::for_bodies_of(1).total, MAX_RESERVED_BYTES);
        assert_eq!(BodyBudget::for_bodies_of(MAX_RESERVED_BYTES + 1).total, MAX_RESERVED_BYTES + 1);
    }
}
