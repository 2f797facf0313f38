//! Pending writes: announced in Redis before the commit, withdrawn after it.
//!
//! The sorted set `pending:<topic>` has one member per pending write; its score is the time at which
//! the announcement expires, in milliseconds of the Redis server's clock. A writer that was paused
//! for longer than that between the announcement and the commit may let readers see the previous
//! version for the few milliseconds until the withdrawal.

use std::pin::pin;
use std::time::Duration;

use deadpool_redis::redis::{Cmd, cmd};
use uuid::Uuid;

use super::{Cache, Generation, Generations, Topic, new_generation};

/// Lifetime of an announcement. It is renewed while the commit runs.
const ANNOUNCEMENT_LIFETIME: Duration = Duration::from_secs(30);

/// Sets `now` to the server's time in milliseconds.
macro_rules! script {
    ($body:literal) => {
        concat!(
            "local time = redis.call('TIME') \
             local now = time[1] * 1000 + math.floor(time[2] / 1000) ",
            $body
        )
    };
}

/// Keys: generation and pending writes of each topic. Arguments: member, lifetime in milliseconds, a
/// new generation for each topic.
const ANNOUNCE: &str = script!(
    "for i = 1, #KEYS / 2 do \
       redis.call('SET', KEYS[2 * i - 1], ARGV[2 + i]) \
       redis.call('ZREMRANGEBYSCORE', KEYS[2 * i], '-inf', now) \
       redis.call('ZADD', KEYS[2 * i], now + ARGV[2], ARGV[1]) \
       redis.call('PEXPIRE', KEYS[2 * i], ARGV[2]) \
     end"
);

/// Keys as for [`ANNOUNCE`]. Arguments: member, a new generation for each topic.
const WITHDRAW: &str = "for i = 1, #KEYS / 2 do \
       redis.call('SET', KEYS[2 * i - 1], ARGV[1 + i]) \
       redis.call('ZREM', KEYS[2 * i], ARGV[1]) \
     end";

/// Keys as for [`ANNOUNCE`]. Arguments: for each topic the generation to set if there is none, as
/// after a flush. Returns for each topic the generation and the number of pending writes.
const LOOK_UP: &str = script!(
    "local found = {} \
     for i = 1, #KEYS / 2 do \
       redis.call('SET', KEYS[2 * i - 1], ARGV[i], 'NX') \
       found[2 * i - 1] = redis.call('GET', KEYS[2 * i - 1]) \
       found[2 * i] = redis.call('ZCOUNT', KEYS[2 * i], now, '+inf') \
     end \
     return found"
);

impl Cache {
    /// Runs `commit` and invalidates all responses of `topics`, so that no reader of any process is
    /// served an older response after the commit.
    ///
    /// If Redis cannot be reached, this process bypasses the cache until it has replaced all
    /// generations. The argument of `commit` is then true: other processes may still be connected to
    /// Redis, so the transaction must notify them ([`crate::db::CACHE_CHANNEL`]).
    ///
    /// # Errors
    /// The error of `commit`. Its outcome is then unknown, so the announcement is left to expire.
    pub async fn invalidate_with<T, E>(
        &self,
        topics: &[Topic],
        commit: impl AsyncFnOnce(bool) -> Result<T, E>,
    ) -> Result<T, E> {
        if topics.is_empty() {
            return commit(false).await;
        }
        self.0.prefix.wait().await;
        let member = Uuid::new_v4().to_string();
        let announced = self.announce(topics, &member).await;
        let is_configured = self.0.redis.failure_count().is_some();
        let mut commit = pin!(commit(is_configured && !announced));
        let result = loop {
            match tokio::time::timeout(ANNOUNCEMENT_LIFETIME / 2, &mut commit).await {
                Ok(result) => break result,
                Err(_) => {
                    self.announce(topics, &member).await;
                }
            }
        };
        if result.is_ok() {
            let withdrawal = self.clone().withdraw(topics.to_vec(), member);
            if announced {
                withdrawal.await;
            } else {
                // The request has waited for Redis once already.
                tokio::spawn(withdrawal);
            }
        }
        result
    }

    /// Invalidates all responses of `topics` that were cached before this call.
    pub async fn invalidate(&self, topics: &[Topic]) {
        let committed = async |_| Ok::<_, std::convert::Infallible>(());
        let Ok(()) = self.invalidate_with(topics, committed).await;
    }

    /// Returns whether Redis has stored the announcement.
    async fn announce(&self, topics: &[Topic], member: &str) -> bool {
        let lifetime = u64::try_from(ANNOUNCEMENT_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        let mut announce = self.eval(ANNOUNCE, topics);
        announce.arg(member).arg(lifetime).arg(new_generations(topics));
        self.0.redis.execute_with_retry::<()>(&announce).await.is_some()
    }

    async fn withdraw(self, topics: Vec<Topic>, member: String) {
        let mut withdraw = self.eval(WITHDRAW, &topics);
        withdraw.arg(member).arg(new_generations(&topics));
        let _ = self.0.redis.execute_with_retry::<()>(&withdraw).await;
    }

    /// Returns the command that replaces all generations.
    pub(super) fn replace_command(&self) -> Cmd {
        let mut set = cmd("MSET");
        for topic in Topic::ALL {
            set.arg(self.generation_key(*topic)).arg(new_generation());
        }
        set
    }

    /// Looks up the generations of all topics; `None` if Redis is unavailable.
    pub(super) async fn generations(&self) -> Option<Generations> {
        let mut look_up = self.eval(LOOK_UP, Topic::ALL);
        look_up.arg(new_generations(Topic::ALL));
        let found = self.0.redis.query::<Vec<u64>>(&look_up).await?;
        let generation = |pair: &[u64]| match *pair {
            [id, 0] => Generation { id, shared: true },
            _ => Generation { id: new_generation(), shared: false },
        };
        found.chunks(2).map(generation).collect::<Vec<_>>().try_into().ok()
    }

    fn eval(&self, script: &str, topics: &[Topic]) -> Cmd {
        let mut eval = cmd("EVAL");
        eval.arg(script).arg(2 * topics.len());
        for topic in topics {
            eval.arg(self.generation_key(*topic)).arg(self.pending_key(*topic));
        }
        eval
    }
}

fn new_generations(topics: &[Topic]) -> Vec<u64> {
    topics.iter().map(|_| new_generation()).collect()
}
