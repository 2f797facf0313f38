//! Passwords: hashed by a few threads of their own, so that the threads which serve requests never
//! hash. They are fewer than the cores, and of a low priority: a hash moves 19 MiB through the
//! caches and the memory, which slows whatever runs beside it, however politely it was scheduled.
//!
//! A hash costs some 15 ms of a core. Whoever wants one takes a [`Place`] first, before anything
//! else is done for the request; when those ahead would make it wait beyond the pool's
//! patience, there is none, and the answer is an early 503 instead of a late one.

pub mod argon2id;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::error::{Error, Result};
use argon2id::Memory;

/// Longest that a hash of the service may take from the moment it is asked for: a login is promised
/// to take less than 200 ms, and a quarter of that is left for its statements and for hashes that
/// take longer than the ones before. Decision 0032 has the arithmetic.
pub const PATIENCE: Duration = Duration::from_millis(150);
/// What a hash is taken to cost before the first was timed.
const FIRST_GUESS: Duration = Duration::from_millis(17);
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How the threads stand back, in steps of nice: a thread of the usual priority gets about nine
/// times as much of a core that both want.
const NICE: i32 = 10;

/// The threads that hash. Clones share them; they end with the last clone.
#[derive(Clone)]
pub struct Passwords(Arc<Door>);

/// How many of the `cores` hash unless it is said: half of them, so that the other half stays with
/// those who ask for anything else.
fn share_of(cores: usize) -> usize {
    (cores / 2).max(1)
}

/// Closes the pool when nobody can ask it any more.
struct Door(Arc<Pool>);

struct Pool {
    queue: Mutex<Queue>,
    ready: Condvar,
    threads: usize,
    patience: Duration,
}

struct Queue {
    jobs: VecDeque<Job>,
    /// Places taken, whether or not their job has come yet.
    taken: usize,
    /// What a hash takes, on the average of the latest few.
    cost: Duration,
    closed: bool,
}

type Work = Box<dyn FnOnce(&mut Memory) + Send>;

struct Job(Work);

/// The right to one hash.
pub struct Place(Arc<Pool>);

impl Passwords {
    /// Starts `threads` threads, or half as many as there are cores. No hash is to take longer than
    /// `patience` from the moment it is asked for, judged by what hashes took lately.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(threads: Option<NonZeroUsize>, patience: Duration) -> io::Result<Self> {
        let threads = match threads {
            Some(threads) => threads.get(),
            None => share_of(thread::available_parallelism()?.get()),
        };
        let queue = Queue { jobs: VecDeque::new(), taken: 0, cost: FIRST_GUESS, closed: false };
        let pool =
            Arc::new(Pool { queue: Mutex::new(queue), ready: Condvar::new(), threads, patience });
        let door = Self(Arc::new(Door(pool.clone())));
        for _ in 0..threads {
            let pool = pool.clone();
            thread::Builder::new().name("passwords".into()).spawn(move || pool.work())?;
        }
        Ok(door)
    }

    /// A place, if the hash will be done in time.
    ///
    /// # Errors
    /// [`Error::Unavailable`] at once when there are too many ahead.
    pub fn place(&self) -> Result<Place> {
        let pool = &self.0.0;
        let mut queue = pool.queue();
        let ahead = u32::try_from(queue.taken / pool.threads).unwrap_or(u32::MAX);
        // An idle thread is never too late, however long the last hash took.
        if ahead > 0 && queue.cost.saturating_mul(ahead.saturating_add(1)) > pool.patience {
            return Err(Error::Unavailable {
                what: "a thread to hash with",
                retry_after: RETRY_AFTER,
            });
        }
        queue.taken += 1;
        Ok(Place(pool.clone()))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.0.queue().closed = true;
        self.0.ready.notify_all();
    }
}

impl Place {
    /// The hash of `password` as a PHC string.
    ///
    /// # Errors
    /// When the machine has no memory or no randomness left.
    pub async fn hash(self, password: String) -> Result<String> {
        self.run(move |memory| argon2id::hash(memory, &password)).await
    }

    /// Whether `password` is what `hash` was made of. Without a hash it never is, and takes as
    /// long to say.
    ///
    /// # Errors
    /// When the hash is not a PHC string of Argon2.
    pub async fn verify(self, password: String, hash: Option<String>) -> Result<bool> {
        self.run(move |memory| argon2id::verify(memory, &password, hash.as_deref())).await
    }

    async fn run<T: Send + 'static>(
        self,
        task: impl FnOnce(&mut Memory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let pool = self.0.clone();
        let work: Work = Box::new(move |memory| {
            // Nobody waits for it any more when the request was given up.
            if !answer.is_closed() {
                let began = Instant::now();
                let result = task(memory);
                self.0.took(began.elapsed());
                // Free before it is told, so that whoever hears of it finds the place.
                drop(self);
                let _ = answer.send(result);
            }
        });
        pool.queue().jobs.push_back(Job(work));
        pool.ready.notify_one();
        answered.await.map_err(|_| Error::Internal("the hashing threads are gone".into()))?
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.queue().taken -= 1;
    }
}

impl Pool {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        // Without the right to it they hash as everybody else works.
        let _ = rustix::process::setpriority_process(None, NICE);
        let mut memory = Memory::default();
        while let Some(Job(work)) = self.next() {
            work(&mut memory);
        }
    }

    /// The next job, once there is one; `None` when there will be none.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn took(&self, time: Duration) {
        let mut queue = self.queue();
        queue.cost = (queue.cost * 7 + time) / 8;
    }
}
