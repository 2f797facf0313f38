//! The lists in Redis that wake workers and show what is queued: `LLEN generation_queue` is how
//! many generations wait.
//!
//! The lists hold ids of jobs that are ready, and nothing depends on them: PostgreSQL knows every
//! job and decides which is next, so an id that is popped is a call to claim *some* job of that
//! list. Whoever claims more than it has popped drops as many ids more. What is lost with Redis,
//! or with a process between two commands, is put right by [`Queue::mend`]; until then workers
//! look by themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::cmd;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::redis::{Redis, RedisStatus};

/// Announcements that may wait to be made; further ones are left to [`Queue::mend`].
const WAITING: usize = 4096;

/// How long one blocking command waits at the server.
const LISTEN: Duration = Duration::from_secs(1);
/// What it gets beyond that before the connection counts as lost.
const SLACK: Duration = Duration::from_secs(1);
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(200);

/// Ids in one command: a few milliseconds' work.
const AT_ONCE: usize = 1000;

type Announcement = (&'static str, Uuid);

/// The lists. Clones share everything.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    redis: Redis,
    prefix: String,
    announce: mpsc::Sender<Announcement>,
    /// The other end, until [`Queue::keep`] takes it.
    announced: Mutex<Option<mpsc::Receiver<Announcement>>>,
}

impl Queue {
    /// Lists in `redis` whose names start with `prefix`.
    pub fn new(redis: Redis, prefix: &str) -> Self {
        let (announce, announced) = mpsc::channel(WAITING);
        let prefix = prefix.to_owned();
        Self(Arc::new(Inner { redis, prefix, announce, announced: Mutex::new(Some(announced)) }))
    }

    /// Where the lists are.
    pub fn redis(&self) -> &Redis {
        &self.0.redis
    }

    /// Tells workers of a job that was committed. Never waits.
    pub fn announce(&self, list: &'static str, id: Uuid) {
        // When too many wait, Redis is slow or away; workers look by themselves.
        let _ = self.0.announce.try_send((list, id));
    }

    /// Makes the announcements, those of one moment together, until `stop`.
    pub async fn keep(self, stop: CancellationToken) {
        let taken = self.0.announced.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut announced) = taken else { return };
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                _ = announced.recv_many(&mut waiting, AT_ONCE) => {}
                () = stop.cancelled() => return,
            }
            let mut lists: HashMap<&str, Vec<Uuid>> = HashMap::new();
            for (list, id) in waiting.drain(..) {
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
        let _ = self.0.redis.ask::<()>(&push).await;
    }

    /// Drops `count` ids of jobs that were claimed without being popped.
    pub async fn drop_claimed(&self, list: &str, count: usize) {
        let mut pop = cmd("LPOP");
        pop.arg(self.key(list)).arg(count);
        let _ = self.0.redis.ask::<Option<Vec<String>>>(&pop).await;
    }

    /// How many ids a list holds; `None` when Redis is away.
    pub async fn len(&self, list: &str) -> Option<usize> {
        let mut length = cmd("LLEN");
        length.arg(self.key(list));
        self.0.redis.ask(&length).await
    }

    /// Has a list hold these ids and no others, but for those announced meanwhile.
    pub async fn mend(&self, list: &str, ids: &[Uuid]) {
        let mut delete = cmd("DEL");
        delete.arg(self.key(list));
        if self.0.redis.ask::<()>(&delete).await.is_none() {
            return;
        }
        for some in ids.chunks(AT_ONCE) {
            self.push(list, some).await;
        }
    }

    /// Whether Redis answered the last time.
    pub fn is_up(&self) -> bool {
        self.0.redis.status() == RedisStatus::Connected
    }

    /// Sends the name of the list of each id that is popped, as long as somebody receives. Pops
    /// one at a time, and the next only when that one was received.
    pub async fn listen(self, lists: Vec<&'static str>, heard: mpsc::Sender<&'static str>) {
        let mut connection = None;
        while !heard.is_closed() {
            match self.pop(&lists, &mut connection).await {
                Ok(Some(list)) if heard.send(list).await.is_err() => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "cannot listen to Redis");
                    connection = None;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn pop(
        &self,
        lists: &[&'static str],
        connection: &mut Option<MultiplexedConnection>,
    ) -> Result<Option<&'static str>, String> {
        let usable = match connection {
            Some(usable) => usable,
            None => connection.insert(self.0.redis.own_connection().await?),
        };
        let mut pop = cmd("BLPOP");
        for list in lists {
            pop.arg(self.key(list));
        }
        pop.arg(LISTEN.as_secs());
        let popped = pop.query_async::<Option<(String, String)>>(usable);
        let popped = tokio::time::timeout(LISTEN + SLACK, popped)
            .await
            .map_err(|_| "no answer in time".to_owned())?
            .map_err(|e| e.to_string())?;
        Ok(popped.and_then(|(key, _)| lists.iter().copied().find(|list| self.key(list) == key)))
    }

    fn key(&self, list: &str) -> String {
        format!("{}{list}", self.0.prefix)
    }
}
