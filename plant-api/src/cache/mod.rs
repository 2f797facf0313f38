//! Response cache of read-heavy routes: in the memory of the process, and in Redis, which all
//! processes share.
//!
//! Each [`Topic`] has a generation in Redis: a random number that every write of the topic replaces.
//! So has each entity of a topic whose responses belong to one entity ([`Scope`]).
//! A reader first looks up the generation and then the body of that generation, so a body that was
//! queried before a write is not served after it. One lookup of the generations runs at a time;
//! readers that arrive meanwhile share the next one. Bodies of one generation are immutable, so the
//! process may keep them in memory; concurrent misses of a key run one query.
//!
//! A write is announced in Redis before its commit (`pending.rs`), and the announcement is withdrawn
//! after it. While a topic has a pending write, its reads query PostgreSQL and their responses are not
//! stored. If the process is killed between the commit and the withdrawal, the announcement expires. It also
//! replaced the generation, so bodies cached before it are not served after its expiry either.
//!
//! After a failed Redis command the content of Redis is uncertain: an announcement may not have been
//! stored, or Redis may have been restored from an old snapshot. All reads of this process then
//! bypass the cache until it has replaced all generations. The same applies at startup.

mod pending;
mod request;
mod scope;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use deadpool_redis::redis::cmd;
use prometheus::IntCounterVec;
use tokio::sync::{SetOnce, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::content_coding::Compressed;
use crate::error::{Error, Result};
use crate::redis::Redis;

pub use request::RequestCache;
pub use scope::{Scope, Topic};

/// Capacity of the in-process cache in bytes, with the compressed forms of the bodies.
const MAX_LOCAL_BYTES: u64 = 24 * 1024 * 1024;

/// Maximum length of a key; longer ones, which are rarely requested twice, are not cached.
const MAX_KEY_BYTES: usize = 256;

/// Number of scopes from which on no further one is looked up by the same command, which occupies Redis alone.
const MAX_SCOPES: usize = 256;

/// Interval of the check whether the generations must be replaced.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Initial value of `Inner::failures_at_replacement`. It equals no failure count, so reads bypass
/// the cache.
const NEVER_REPLACED: u64 = u64::MAX;

/// A serialized response that can be stored in the cache.
#[derive(Debug, Clone)]
pub struct CachedResponse {
    /// Value of the `ETag` header, without quotes.
    pub etag: String,
    /// Value of the `Link` header, if any.
    pub link: Option<String>,
    /// JSON body.
    pub body: Bytes,
    /// The compressed forms of the body; `None`: not kept, because the response is sent once.
    pub compressed: Option<Arc<Compressed>>,
}

/// Compressed forms follow from the body.
impl PartialEq for CachedResponse {
    fn eq(&self, other: &Self) -> bool {
        (&self.etag, &self.link, &self.body) == (&other.etag, &other.link, &other.body)
    }
}

impl CachedResponse {
    pub fn new(etag: String, link: Option<String>, body: impl Into<Bytes>) -> Self {
        Self { etag, link, body: body.into(), compressed: None }
    }

    /// Keeps the compressed forms of the body, because the response is sent many times.
    pub fn keep_compressed(self) -> Self {
        Self { compressed: Some(Arc::default()), ..self }
    }

    /// Returns whether the body is a JSON array without items.
    pub fn is_empty_list(&self) -> bool {
        self.body == "[]"
    }

    fn weight(&self) -> u32 {
        // The compressed forms of typical bodies have less than half of their length.
        let bytes = self.body.len() + self.body.len() / 2 + self.etag.len() + MAX_KEY_BYTES;
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// Encodes `etag`, `link` and body, separated by newlines; header values contain none.
    fn encode(&self) -> Vec<u8> {
        let link = self.link.as_deref().unwrap_or_default();
        [self.etag.as_bytes(), b"\n", link.as_bytes(), b"\n", &self.body].concat()
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let first = bytes.iter().position(|b| *b == b'\n')?;
        let second = first + 1 + bytes[first + 1..].iter().position(|b| *b == b'\n')?;
        let text = |range| std::str::from_utf8(&bytes[range]).ok().map(str::to_owned);
        let link = text(first + 1..second).filter(|link| !link.is_empty());
        Some(Self::new(text(0..first)?, link, bytes.slice(second + 1..)))
    }
}

/// Key of a body. Readers with different times to live share no bodies, so that none is served a
/// body that is too old for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    scope: Scope,
    generation: u64,
    /// Maximum age of the body.
    ttl: Duration,
    /// Key within the scope.
    name: String,
}

/// Lets bodies in the memory of the process expire.
struct Expiry;

impl moka::Expiry<Key, Arc<CachedResponse>> for Expiry {
    fn expire_after_create(
        &self,
        key: &Key,
        _: &Arc<CachedResponse>,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(key.ttl)
    }
}

/// The generation of a scope, as a lookup found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Generation {
    id: u64,
    /// Whether bodies of this generation are in Redis. If not, a write of the scope is pending, and
    /// only readers that shared the lookup have this generation.
    shared: bool,
}

impl Generation {
    /// Returns the generation of responses that both concern. Random numbers combined in this way are
    /// as unique as they were.
    fn and(self, other: Self) -> Self {
        Self { id: self.id ^ other.id, shared: self.shared && other.shared }
    }
}

/// Generations of the scopes of a lookup.
type Generations = HashMap<Scope, Generation>;

/// A reader that waits for the generation of a scope.
struct Lookup {
    scope: Scope,
    found: oneshot::Sender<Option<Generation>>,
}

type PendingLookups = mpsc::UnboundedReceiver<Lookup>;

/// Response cache. Clones share the state.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    redis: Redis,
    /// Start of all keys. Not known before the database was connected.
    prefix: SetOnce<String>,
    local: moka::future::Cache<Key, Arc<CachedResponse>>,
    lookups: mpsc::UnboundedSender<Lookup>,
    /// Receiving end of `lookups`, until [`Cache::run_refresh_loop`] takes it.
    pending_lookups: Mutex<Option<PendingLookups>>,
    /// [`Redis::failure_count`] when all generations were last replaced.
    failures_at_replacement: AtomicU64,
    requests: IntCounterVec,
}

impl Cache {
    /// Creates a cache in `redis`. It is inactive until [`Cache::set_prefix`]. `requests` counts reads by
    /// topic and result.
    pub fn new(redis: Redis, requests: IntCounterVec) -> Self {
        let local = moka::future::Cache::builder()
            .max_capacity(MAX_LOCAL_BYTES)
            .weigher(|_, response: &Arc<CachedResponse>| response.weight())
            .expire_after(Expiry)
            .build();
        let (lookups, pending_lookups) = mpsc::unbounded_channel();
        Self(Arc::new(Inner {
            redis,
            prefix: SetOnce::new(),
            local,
            lookups,
            pending_lookups: Mutex::new(Some(pending_lookups)),
            failures_at_replacement: AtomicU64::new(NEVER_REPLACED),
            requests,
        }))
    }

    /// Sets the start of all keys in Redis, once. All processes of a database need the same.
    pub fn set_prefix(&self, prefix: String) {
        // Fails if it is set already.
        let _ = self.0.prefix.set(prefix);
    }

    /// Returns the response cached under `key`, or else runs `fill` and caches its response, which
    /// expires after `ttl`.
    ///
    /// # Errors
    /// Errors of `fill`, which are not cached.
    pub async fn get_with<F: Future<Output = Result<CachedResponse>> + Send>(
        &self,
        scope: Scope,
        key: &str,
        ttl: Duration,
        fill: impl FnOnce() -> F + Send,
    ) -> Result<Arc<CachedResponse>> {
        let topic = scope.topic;
        let generation =
            if key.len() > MAX_KEY_BYTES { None } else { self.generation(scope).await };
        let Some(generation) = generation else {
            return self.bypass(topic, fill).await;
        };
        let id = Key { scope, generation: generation.id, ttl, name: key.to_owned() };
        if let Some(response) = self.0.local.get(&id).await {
            self.count(topic, "hit");
            return Ok(response);
        }
        let redis_key = self.body_key(&id);
        // Boxed, or every hit would move the large future of a miss about.
        let result = Box::pin(self.0.local.try_get_with(id, async {
            if !generation.shared {
                return self.bypass(topic, fill).await;
            }
            if let Some(response) = self.fetch(&redis_key).await {
                self.count(topic, "hit");
                return Ok(Arc::new(response.keep_compressed()));
            }
            let response = fill().await?;
            // What does not exist is not cached, so that it can be no miss.
            self.count(topic, "miss");
            self.store(&redis_key, ttl, &response).await;
            Ok::<_, Error>(Arc::new(response.keep_compressed()))
        }));
        result.await.map_err(|error| error.clone_lossy())
    }

    /// Runs `fill` without the cache. Boxed for the same reason as a miss.
    async fn bypass<F: Future<Output = Result<CachedResponse>> + Send>(
        &self,
        topic: Topic,
        fill: impl FnOnce() -> F + Send,
    ) -> Result<Arc<CachedResponse>> {
        self.count(topic, "bypass");
        Box::pin(fill()).await.map(Arc::new)
    }

    /// Looks up the generations for readers, and replaces all of them after a Redis failure, until
    /// shutdown. The cache is active only while this runs; a second call returns at
    /// once.
    pub async fn run_refresh_loop(self, shutdown: CancellationToken) {
        let pending = self.0.pending_lookups.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut pending) = pending else { return };
        let mut tick = tokio::time::interval(CHECK_INTERVAL);
        loop {
            tokio::select! {
                Some(first) = pending.recv() => {
                    let look_up = async |scopes: &[Scope]| self.generations(scopes).await;
                    resolve_lookups(first, &mut pending, look_up).await;
                }
                _ = tick.tick() => self.replace_generations_after_failure().await,
                () = shutdown.cancelled() => break,
            }
        }
        self.0.failures_at_replacement.store(NEVER_REPLACED, Ordering::SeqCst);
    }

    /// Bypasses the cache after each change of `notifications` until all generations are replaced:
    /// another process has committed a write that it could not announce.
    pub async fn run_notification_loop(
        self,
        mut notifications: watch::Receiver<u64>,
        shutdown: CancellationToken,
    ) {
        loop {
            tokio::select! {
                changed = notifications.changed() => match changed {
                    Ok(()) => self.0.redis.count_failure(),
                    Err(_) => return,
                },
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Returns whether reads use the cache: whether all generations were replaced since the last
    /// Redis failure.
    pub fn is_active(&self) -> bool {
        Some(self.0.failures_at_replacement.load(Ordering::SeqCst)) == self.0.redis.failure_count()
    }

    /// Replaces all generations after a Redis failure, which makes the cache active again. The next
    /// call handles a failure during the replacement.
    async fn replace_generations_after_failure(&self) {
        let failures = self.0.redis.failure_count().filter(|_| !self.is_active());
        let (Some(failures), Some(_)) = (failures, self.0.prefix.get()) else { return };
        if self.0.redis.query::<()>(&self.replace_command()).await.is_some() {
            self.0.failures_at_replacement.store(failures, Ordering::SeqCst);
        }
    }

    /// Returns the scope's generation, looked up after the start of this call; `None`: bypass the
    /// cache.
    async fn generation(&self, scope: Scope) -> Option<Generation> {
        if !self.is_active() {
            return None;
        }
        let (found, generation) = oneshot::channel();
        self.0.lookups.send(Lookup { scope, found }).ok()?;
        generation.await.ok()?
    }

    async fn fetch(&self, key: &str) -> Option<CachedResponse> {
        let mut get = cmd("GET");
        get.arg(key);
        let bytes = self.0.redis.query::<Option<Vec<u8>>>(&get).await??;
        CachedResponse::decode(&Bytes::from(bytes))
    }

    async fn store(&self, key: &str, ttl: Duration, response: &CachedResponse) {
        let mut set = cmd("SET");
        set.arg(key).arg(response.encode()).arg("EX").arg(ttl.as_secs().max(1));
        let _ = self.0.redis.query::<()>(&set).await;
    }

    /// Returns the prefix, which is set when this is called.
    fn prefix(&self) -> &str {
        self.0.prefix.get().map_or("", String::as_str)
    }

    fn generation_key(&self, scope: Scope) -> String {
        format!("{}:generation:{scope}", self.prefix())
    }

    fn pending_key(&self, scope: Scope) -> String {
        format!("{}:pending:{scope}", self.prefix())
    }

    fn body_key(&self, Key { scope, generation, ttl, name }: &Key) -> String {
        let (prefix, ttl) = (self.prefix(), ttl.as_secs());
        format!("{prefix}:body:{scope}:{generation:x}:{ttl}:{name}")
    }

    fn count(&self, topic: Topic, result: &str) {
        self.0.requests.with_label_values(&[topic.name(), result]).inc();
    }
}

/// Resolves `first` and pending lookups with the generations that `query` returns for their
/// scopes and topics. Lookups that arrive while it runs are left for the next query, unless it fails:
/// then they fail too, so that no reader waits for two timeouts.
async fn resolve_lookups(
    first: Lookup,
    pending: &mut PendingLookups,
    query: impl AsyncFnOnce(&[Scope]) -> Option<Generations>,
) {
    let mut scopes: BTreeSet<Scope> = first.scope.with_topic().collect();
    let mut lookups = vec![first];
    while scopes.len() < MAX_SCOPES
        && let Ok(lookup) = pending.try_recv()
    {
        scopes.extend(lookup.scope.with_topic());
        lookups.push(lookup);
    }
    let scopes: Vec<_> = scopes.into_iter().collect();
    let generations = query(&scopes).await;
    if generations.is_none() {
        while let Ok(lookup) = pending.try_recv() {
            lookups.push(lookup);
        }
    }
    for Lookup { scope, found } in lookups {
        let generation = generations.as_ref().and_then(|found| {
            let parts = scope.with_topic().map(|part| found.get(&part).copied());
            parts.reduce(|one, other| Some(one?.and(other?)))?
        });
        // Fails if the reader's request was canceled.
        let _ = found.send(generation);
    }
}

/// Returns a random number, unique for practical purposes.
fn new_generation() -> u64 {
    // 63 bits, because Redis integers are signed.
    Uuid::new_v4().as_u64_pair().1 >> 1
}
