//! Redis lists that wake workers and show the queue length: the length of a list, such as
//! `generation_queue` (after the prefix of [`Queue::new`], which is empty except in tests), is
//! approximately the number of ready jobs of its kind.
//!
//! A list holds the ids of ready jobs, but only as a hint: PostgreSQL stores all jobs and decides
//! which one is next, so a popped id means "claim *any* job of this list". A worker that claims
//! more jobs than it has popped ids removes as many further ids from the list. Ids that are lost with Redis, or by a
//! process killed between two commands, are restored by [`Queue::reconcile`]; until then workers
//! find the jobs by polling.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::cmd;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::redis::{Redis, RedisStatus};

/// Maximum number of ids that wait to be pushed; [`Queue::reconcile`] restores those beyond it.
const MAX_PENDING_PUSHES: usize = 4096;

/// Timeout of `BLPOP` at the server.
const BLPOP_TIMEOUT: Duration = Duration::from_secs(1);
/// Additional time for the response before the connection is considered lost.
const RESPONSE_MARGIN: Duration = Duration::from_secs(1);
const RECONNECT_DELAY: Duration = Duration::from_millis(200);

/// Maximum number of ids per `RPUSH`: a few milliseconds of work for Redis.
const MAX_IDS_PER_COMMAND: usize = 1000;

/// Name of the list and id of a job.
type PendingPush = (&'static str, Uuid);

/// Redis lists of ready jobs. Clones share the state.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    redis: Redis,
    prefix: String,
    sender: mpsc::Sender<PendingPush>,
    /// Receiving end of `sender`, until [`Queue::run_push_loop`] takes it.
    receiver: Mutex<Option<mpsc::Receiver<PendingPush>>>,
}

impl Queue {
    /// Creates a handle to the lists in `redis` whose keys start with `prefix`.
    pub fn new(redis: Redis, prefix: &str) -> Self {
        let (sender, receiver) = mpsc::channel(MAX_PENDING_PUSHES);
        let prefix = prefix.to_owned();
        Self(Arc::new(Inner { redis, prefix, sender, receiver: Mutex::new(Some(receiver)) }))
    }

    pub fn redis(&self) -> &Redis {
        &self.0.redis
    }

    /// Lets [`Queue::run_push_loop`] push the id of a committed job, which wakes a worker. Never blocks.
    pub fn push_later(&self, list: &'static str, id: Uuid) {
        // A full channel means that Redis is slow or unavailable; workers then poll PostgreSQL.
        let _ = self.0.sender.try_send((list, id));
    }

    /// Pushes the ids of [`Queue::push_later`] to Redis, in batches, until shutdown.
    pub async fn run_push_loop(self, shutdown: CancellationToken) {
        let receiver = self.0.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut receiver) = receiver else { return };
        let mut pending = Vec::new();
        loop {
            tokio::select! {
                _ = receiver.recv_many(&mut pending, MAX_IDS_PER_COMMAND) => {}
                () = shutdown.cancelled() => return,
            }
            let mut lists: HashMap<&str, Vec<Uuid>> = HashMap::new();
            for (list, id) in pending.drain(..) {
                lists.entry(list).or_default().push(id);
            }
            for (list, ids) in lists {
                self.push(list, &ids).await;
            }
        }
    }

    async fn push(&self, list: &str, ids: &[Uuid]) {
        let mut push = cmd("RPUSH");
        push.arg(self.key(list));
        for id in ids {
            push.arg(id.to_string());
        }
        let _ = self.0.redis.query::<()>(&push).await;
    }

    /// Removes `count` ids from a list, for jobs that were claimed without popping their ids.
    pub async fn remove_ids(&self, list: &str, count: usize) {
        let mut pop = cmd("LPOP");
        pop.arg(self.key(list)).arg(count);
        let _ = self.0.redis.query::<Option<Vec<String>>>(&pop).await;
    }

    /// Returns the number of ids in a list; `None` if Redis is unavailable. A key that is not a list
    /// is deleted.
    pub async fn len(&self, list: &str) -> Option<usize> {
        let key = self.key(list);
        let mut kind = cmd("TYPE");
        kind.arg(&key);
        if !matches!(&*self.0.redis.query::<String>(&kind).await?, "list" | "none") {
            tracing::warn!(list, "the Redis key of a queue is not a list; it is replaced");
            let mut delete = cmd("DEL");
            delete.arg(&key);
            self.0.redis.query::<()>(&delete).await?;
        }
        let mut length = cmd("LLEN");
        length.arg(&key);
        self.0.redis.query(&length).await
    }

    /// Deletes a list and pushes `ids`. Ids that others push between the two commands are kept.
    pub async fn reconcile(&self, list: &str, ids: &[Uuid]) {
        let mut delete = cmd("DEL");
        delete.arg(self.key(list));
        if self.0.redis.query::<()>(&delete).await.is_none() {
            return;
        }
        for chunk in ids.chunks(MAX_IDS_PER_COMMAND) {
            self.push(list, chunk).await;
        }
    }

    /// Returns whether the last heartbeat reached Redis.
    pub fn is_up(&self) -> bool {
        self.0.redis.status() == RedisStatus::Connected
    }

    /// Pops ids from `lists` without those that are `full`, and sends the name of each one's list to
    /// `popped`, until its receiver is dropped. Pops the next id only after the receiver has taken the
    /// previous name.
    pub async fn listen(
        self,
        mut lists: watch::Receiver<Vec<&'static str>>,
        mut full: watch::Receiver<Vec<&'static str>>,
        popped: mpsc::Sender<&'static str>,
    ) {
        let mut connection = None;
        while !popped.is_closed() {
            let mut current = lists.borrow_and_update().clone();
            {
                let full = full.borrow_and_update();
                current.retain(|list| !full.contains(list));
            }
            if current.is_empty() {
                tokio::select! {
                    Ok(()) = lists.changed() => {}
                    Ok(()) = full.changed() => {}
                    () = popped.closed() => {}
                }
                continue;
            }
            match self.pop(&current, &mut connection).await {
                Ok(Some(list)) if popped.send(list).await.is_err() => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "cannot pop from Redis lists; retrying");
                    connection = None;
                    tokio::time::sleep(RECONNECT_DELAY).await;
                }
            }
        }
    }

    async fn pop(
        &self,
        lists: &[&'static str],
        connection: &mut Option<MultiplexedConnection>,
    ) -> Result<Option<&'static str>, String> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(self.0.redis.dedicated_connection().await?),
        };
        let mut pop = cmd("BLPOP");
        for list in lists {
            pop.arg(self.key(list));
        }
        pop.arg(BLPOP_TIMEOUT.as_secs());
        let popped = pop.query_async::<Option<(String, String)>>(connection);
        let popped = tokio::time::timeout(BLPOP_TIMEOUT + RESPONSE_MARGIN, popped)
            .await
            .map_err(|_| "no response in time".to_owned())?
            .map_err(|e| e.to_string())?;
        Ok(popped.and_then(|(key, _)| lists.iter().copied().find(|list| self.key(list) == key)))
    }

    fn key(&self, list: &str) -> String {
        format!("{}{list}", self.0.prefix)
    }
}
