//! Thread pool for password hashing, so that the threads which serve requests never hash. By
//! default it has half as many threads as cores but at least two, at low priority: a hash moves
//! megabytes through the caches, which slows down other threads even at low priority.
//!
//! A hash takes about 12 ms of CPU time. A request reserves a [`Slot`] before any other work. If
//! the queue is so long that the hash would exceed the latency limit, the reservation fails, and
//! the response is an early 503 instead of a late one.

pub mod argon2id;
#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::error::{Error, Result};
use argon2id::Memory;
pub use argon2id::Verification;

/// Latency limit of one hash including its wait in the queue. The threshold for a login is 200 ms
/// at P95; a quarter of that is reserved for its SQL statements and for hashes slower than the
/// average. See `docs/decisions/0032-separate-password-hashing-threads.md`.
pub const MAX_HASH_LATENCY: Duration = Duration::from_millis(150);
/// Estimated duration of a hash before the first measurement.
const INITIAL_ESTIMATE: Duration = Duration::from_millis(17);
/// `Retry-After` of the 503 response.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Nice value of the hashing threads: a thread of default priority gets about nine times as much of
/// a shared core.
const NICE_VALUE: i32 = 10;

/// Handle to the hashing threads. Clones share them; they stop when the last clone is dropped.
#[derive(Clone)]
pub struct PasswordHasher(Arc<CloseOnDrop>);

/// Returns the default number of hashing threads: half of the cores, so that the other half is left
/// for all other requests. With two or three cores it is two: one could not serve the logins of 500
/// users, see `docs/decisions/0033-argon2id-settings.md`.
fn default_threads(cores: usize) -> usize {
    (cores / 2).max(2.min(cores))
}

/// Closes the pool when the last handle is dropped.
struct CloseOnDrop(Arc<Pool>);

struct Pool {
    queue: Mutex<Queue>,
    ready: Condvar,
    threads: usize,
    max_latency: Duration,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    /// Reserved slots, with or without a task in the queue.
    reserved: usize,
    /// Reservations of each client that has any.
    clients: HashMap<IpAddr, usize>,
    /// Duration of a hash, as an exponential moving average.
    average: Duration,
    closed: bool,
}

type TaskFn = Box<dyn FnOnce(&mut Memory) + Send>;

struct Task(TaskFn);

/// A reservation for one hash; dropping it frees the slot.
pub struct Slot {
    pool: Arc<Pool>,
    client: IpAddr,
}

impl PasswordHasher {
    /// Starts `threads` threads, by default half as many as there are cores, at least two
    /// if there are two. Reservations fail when
    /// the hash is expected to take longer than `max_latency`, by the average of recent hashes.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(threads: Option<NonZeroUsize>, max_latency: Duration) -> io::Result<Self> {
        let threads = match threads {
            Some(threads) => threads.get(),
            None => default_threads(thread::available_parallelism()?.get()),
        };
        let queue = Queue { average: INITIAL_ESTIMATE, ..Queue::default() };
        let queue = Mutex::new(queue);
        let pool = Arc::new(Pool { queue, ready: Condvar::new(), threads, max_latency });
        let handle = Self(Arc::new(CloseOnDrop(pool.clone())));
        for _ in 0..threads {
            let pool = pool.clone();
            thread::Builder::new().name("passwords".into()).spawn(move || pool.run_worker())?;
        }
        Ok(handle)
    }

    /// Reserves a slot for one hash of a client, given by the key under which it is counted. Twice the latency limit
    /// applies to a client without other reservations, so that one that fills the queue does not shut
    /// out the others.
    ///
    /// # Errors
    /// [`Error::Unavailable`] at once when the hash is expected to exceed the limit that applies to the
    /// client.
    pub fn reserve(&self, client: IpAddr) -> Result<Slot> {
        let pool = &self.0.0;
        let mut queue = pool.queue();
        let ahead = u32::try_from(queue.reserved / pool.threads).unwrap_or(u32::MAX);
        let is_only_one = !queue.clients.contains_key(&client);
        let max_latency = if is_only_one { pool.max_latency * 2 } else { pool.max_latency };
        // An idle thread starts at once, so a slow last hash must not cause a rejection.
        if ahead > 0 && queue.average.saturating_mul(ahead.saturating_add(1)) > max_latency {
            return Err(Error::Unavailable {
                what: "password hashing capacity",
                retry_after: RETRY_AFTER,
            });
        }
        queue.reserved += 1;
        *queue.clients.entry(client).or_default() += 1;
        Ok(Slot { pool: pool.clone(), client })
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.queue().closed = true;
        self.0.ready.notify_all();
    }
}

impl Slot {
    /// Hashes `password` and returns a PHC string.
    ///
    /// # Errors
    /// When memory cannot be allocated or the random number generator fails.
    pub async fn hash(self, password: String) -> Result<String> {
        self.run(move |memory| argon2id::hash(memory, &password)).await
    }

    /// Verifies that `password` matches `hash`. Without a hash it does not, after the same time.
    ///
    /// # Errors
    /// When the hash is not an Argon2 PHC string.
    pub async fn verify(self, password: String, hash: Option<String>) -> Result<Verification> {
        self.run(move |memory| argon2id::verify(memory, &password, hash.as_deref())).await
    }

    async fn run<T: Send + 'static>(
        self,
        hash: impl FnOnce(&mut Memory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let pool = self.pool.clone();
        let task: TaskFn = Box::new(move |memory| {
            // The receiver is dropped when the request is canceled; then the hash is not needed.
            if !sender.is_closed() {
                let started = Instant::now();
                let result = hash(memory);
                self.pool.record_duration(started.elapsed());
                // Frees the slot before the result is sent, so that the receiver can reserve it.
                drop(self);
                let _ = sender.send(result);
            }
        });
        pool.queue().tasks.push_back(Task(task));
        pool.ready.notify_one();
        receiver.await.map_err(|_| Error::Internal("the hashing threads have stopped".into()))?
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut queue = self.pool.queue();
        queue.reserved -= 1;
        if let Entry::Occupied(mut count) = queue.clients.entry(self.client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl Pool {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run_worker(&self) {
        // If this is not permitted, the threads keep the default priority.
        let _ = rustix::process::setpriority_process(None, NICE_VALUE);
        let mut memory = Memory::default();
        while let Some(Task(task)) = self.next_task() {
            task(&mut memory);
        }
    }

    /// Waits for the next task; returns `None` once the pool is closed and the queue is empty.
    fn next_task(&self) -> Option<Task> {
        let mut queue = self.queue();
        loop {
            if let Some(task) = queue.tasks.pop_front() {
                return Some(task);
            }
            if queue.closed {
                return None;
            }
            queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn record_duration(&self, duration: Duration) {
        let mut queue = self.queue();
        queue.average = (queue.average * 7 + duration) / 8;
    }
}
