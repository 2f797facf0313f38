//! The cache of read-heavy routes: finished bodies, shared through Redis, kept in the process.
//!
//! Each [`Topic`] has a generation in Redis: a random number that a writer replaces after its
//! commit and before its answer. A reader asks for the generation first and then for the body of
//! that generation, so whatever was read before the write can never be served after it. Readers
//! that arrive while a question for the generations is under way share the next one. Bodies of
//! one generation never change, so the process may keep them; of many simultaneous misses one
//! asks the database.
//!
//! When Redis fails, what it holds is uncertain: a writer's new generation may not have arrived,
//! an old snapshot may come back. Then every read goes to the database until all generations
//! have been replaced. The same happens at start, since a killed process may have committed
//! without replacing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use deadpool_redis::redis::{Cmd, cmd};
use prometheus::IntCounterVec;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::redis::Redis;

/// Most bytes of bodies that the process keeps.
const KEPT_BYTES: u64 = 16 * 1024 * 1024;

/// Longer keys are not cached: they are nobody's hot page.
const KEY_MAX: usize = 256;

/// How often it is looked whether the generations must be replaced.
const KEEP_TICK: Duration = Duration::from_millis(50);

/// No loss has this number: at first nothing is trusted.
const NEVER: u64 = u64::MAX;

/// What is cached and forgotten together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The catalogue's agents.
    Agents,
    /// Industries.
    Industries,
    /// Job roles.
    JobRoles,
    /// Skills.
    Skills,
    /// Teams.
    Teams,
}

impl Topic {
    /// In the order in which they are declared.
    const ALL: [Self; 5] =
        [Self::Agents, Self::Industries, Self::JobRoles, Self::Skills, Self::Teams];

    /// Its name in Redis and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Industries => "industries",
            Self::JobRoles => "job_roles",
            Self::Skills => "skills",
            Self::Teams => "teams",
        }
    }
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The version, without quotes.
    pub etag: String,
    /// The `Link` header, where there is one.
    pub link: Option<String>,
    /// The body, JSON.
    pub body: Bytes,
}

impl Stored {
    fn weight(&self) -> u32 {
        let bytes = self.body.len() + self.etag.len() + KEY_MAX;
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// `etag`, `link` and body, a line each; neither header can hold a line break.
    fn write(&self) -> Vec<u8> {
        let link = self.link.as_deref().unwrap_or_default();
        [self.etag.as_bytes(), b"\n", link.as_bytes(), b"\n", &self.body].concat()
    }

    fn read(bytes: &Bytes) -> Option<Self> {
        let first = bytes.iter().position(|b| *b == b'\n')?;
        let second = first + 1 + bytes[first + 1..].iter().position(|b| *b == b'\n')?;
        let text = |range| std::str::from_utf8(&bytes[range]).ok().map(str::to_owned);
        Some(Self {
            etag: text(0..first)?,
            link: text(first + 1..second).filter(|link| !link.is_empty()),
            body: bytes.slice(second + 1..),
        })
    }
}

type Key = (Topic, u64, String);

/// The generation of each topic, in the order of [`Topic::ALL`].
type Generations = [u64; Topic::ALL.len()];

type Questions = mpsc::UnboundedReceiver<oneshot::Sender<Option<Generations>>>;

/// The cache. Clones share everything.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    redis: Redis,
    prefix: String,
    ttl: Duration,
    kept: moka::future::Cache<Key, Arc<Stored>>,
    /// Readers that wait for the generations, and the other end until [`Cache::keep`] takes it.
    ask: mpsc::UnboundedSender<oneshot::Sender<Option<Generations>>>,
    asked: Mutex<Option<Questions>>,
    /// The number of losses up to which all generations were replaced.
    trusted: AtomicU64,
    requests: IntCounterVec,
}

impl Cache {
    /// A cache over `redis`, under keys that start with `prefix`, of bodies that live at most
    /// `ttl`. `requests` counts reads by cache and result.
    pub fn new(redis: Redis, prefix: &str, ttl: Duration, requests: IntCounterVec) -> Self {
        let kept = moka::future::Cache::builder()
            .max_capacity(KEPT_BYTES)
            .weigher(|_, stored: &Arc<Stored>| stored.weight())
            .time_to_live(ttl)
            .build();
        let (ask, asked) = mpsc::unbounded_channel();
        Self(Arc::new(Inner {
            redis,
            prefix: prefix.to_owned(),
            ttl,
            kept,
            ask,
            asked: Mutex::new(Some(asked)),
            trusted: AtomicU64::new(NEVER),
            requests,
        }))
    }

    /// The answer kept under `key`, or the one that `fill` makes, which is not polled otherwise.
    ///
    /// # Errors
    /// Those of `fill`; nothing is kept then.
    pub async fn read(
        &self,
        topic: Topic,
        key: &str,
        fill: impl Future<Output = Result<Stored>> + Send,
    ) -> Result<Arc<Stored>> {
        let generation = if key.len() > KEY_MAX { None } else { self.generation(topic).await };
        let Some(generation) = generation else {
            self.count(topic, "bypass");
            return fill.await.map(Arc::new);
        };
        let id = (topic, generation, key.to_owned());
        if let Some(kept) = self.0.kept.get(&id).await {
            self.count(topic, "hit");
            return Ok(kept);
        }
        let shared_key = self.body_key(&id);
        let found = self.0.kept.try_get_with(id, async {
            if let Some(stored) = self.fetch(&shared_key).await {
                self.count(topic, "hit");
                return Ok(Arc::new(stored));
            }
            self.count(topic, "miss");
            let stored = fill.await?;
            self.share(&shared_key, &stored).await;
            Ok::<_, Error>(Arc::new(stored))
        });
        found.await.map_err(|shared| shared.again())
    }

    /// Forgets everything about `topic`. Called after a commit, before its answer.
    ///
    /// After a loss this process reads around the cache, but others may read from it again: they
    /// have to be told even so.
    pub async fn forget(&self, topic: Topic) {
        let _ = self.0.redis.insist::<()>(&self.replacement(&[topic])).await;
    }

    /// Answers readers' questions for the generations, and replaces all of these whenever Redis
    /// was lost, until `stop`. The cache is in use only while this runs, once.
    pub async fn keep(self, stop: CancellationToken) {
        let taken = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut questions) = taken else { return };
        let mut tick = tokio::time::interval(KEEP_TICK);
        loop {
            tokio::select! {
                Some(first) = questions.recv() => self.answer(first, &mut questions).await,
                _ = tick.tick() => self.regain_if_lost().await,
                () = stop.cancelled() => break,
            }
        }
        self.0.trusted.store(NEVER, Ordering::SeqCst);
    }

    /// Answers everybody who has asked so far by one question to Redis; when that fails, also
    /// those who have asked meanwhile, so that nobody waits twice.
    async fn answer(&self, first: oneshot::Sender<Option<Generations>>, rest: &mut Questions) {
        let mut waiting = vec![first];
        while let Ok(another) = rest.try_recv() {
            waiting.push(another);
        }
        let generations = self.generations().await;
        if generations.is_none() {
            while let Ok(another) = rest.try_recv() {
                waiting.push(another);
            }
        }
        for reader in waiting {
            // A reader whose client has gone no longer listens.
            let _ = reader.send(generations);
        }
    }

    /// Whether reads use the cache at this moment.
    pub fn is_trusted(&self) -> bool {
        Some(self.0.trusted.load(Ordering::SeqCst)) == self.0.redis.losses()
    }

    /// Makes the cache usable again after a loss. A loss during this is left to the next call.
    async fn regain_if_lost(&self) {
        let Some(losses) = self.0.redis.losses().filter(|_| !self.is_trusted()) else { return };
        if self.0.redis.ask::<()>(&self.replacement(&Topic::ALL)).await.is_some() {
            self.0.trusted.store(losses, Ordering::SeqCst);
        }
    }

    /// The command that gives topics other generations.
    fn replacement(&self, topics: &[Topic]) -> Cmd {
        let mut set = cmd("MSET");
        for topic in topics {
            set.arg(self.generation_key(*topic)).arg(new_generation());
        }
        set
    }

    /// The topic's generation at a moment after this call; `None`: do not use the cache.
    async fn generation(&self, topic: Topic) -> Option<u64> {
        if !self.is_trusted() {
            return None;
        }
        let (reader, answer) = oneshot::channel();
        self.0.ask.send(reader).ok()?;
        let generations = answer.await.ok()??;
        Some(generations[topic as usize])
    }

    async fn generations(&self) -> Option<Generations> {
        let mut get = cmd("MGET");
        for topic in Topic::ALL {
            get.arg(self.generation_key(topic));
        }
        let found = self.0.redis.ask::<Vec<Option<u64>>>(&get).await?;
        if let Some(all) = whole(&found) {
            return Some(all);
        }
        // Emptied: whoever notices first starts other generations.
        for (topic, _) in Topic::ALL.into_iter().zip(&found).filter(|(_, known)| known.is_none()) {
            let mut set = cmd("SET");
            set.arg(self.generation_key(topic)).arg(new_generation()).arg("NX");
            self.0.redis.ask::<Option<String>>(&set).await?;
        }
        whole(&self.0.redis.ask::<Vec<Option<u64>>>(&get).await?)
    }

    async fn fetch(&self, key: &str) -> Option<Stored> {
        let mut get = cmd("GET");
        get.arg(key);
        let bytes = self.0.redis.ask::<Option<Vec<u8>>>(&get).await??;
        Stored::read(&Bytes::from(bytes))
    }

    async fn share(&self, key: &str, stored: &Stored) {
        let mut set = cmd("SET");
        set.arg(key).arg(stored.write()).arg("EX").arg(self.0.ttl.as_secs().max(1));
        let _ = self.0.redis.ask::<()>(&set).await;
    }

    fn generation_key(&self, topic: Topic) -> String {
        format!("{}:generation:{}", self.0.prefix, topic.name())
    }

    fn body_key(&self, (topic, generation, key): &Key) -> String {
        format!("{}:body:{}:{generation:x}:{key}", self.0.prefix, topic.name())
    }

    fn count(&self, topic: Topic, result: &str) {
        self.0.requests.with_label_values(&[topic.name(), result]).inc();
    }
}

fn whole(found: &[Option<u64>]) -> Option<Generations> {
    let known: Option<Vec<u64>> = found.iter().copied().collect();
    known?.try_into().ok()
}

/// A number that was never used before.
fn new_generation() -> u64 {
    // Redis keeps integers of 64 bits with sign.
    Uuid::new_v4().as_u64_pair().1 >> 1
}

#[cfg(test)]
mod tests;
