//! Pending writes: announced in Redis before the commit, withdrawn after it.
//!
//! The sorted set `pending:<scope>` has one member per pending write; its score is the time at which
//! the announcement expires, in milliseconds of the Redis server's clock. A writer that was paused
//! for longer than that between the announcement and the commit may let readers see the previous
//! version for the few milliseconds until the withdrawal.

use std::pin::pin;
use std::time::Duration;

use deadpool_redis::redis::{Cmd, cmd};
use uuid::Uuid;

use super::{Cache, Generation, Generations, Scope, Topic, new_generation};
use crate::db::Transaction;

/// Lifetime of an announcement. It is renewed while the commit runs.
const ANNOUNCEMENT_LIFETIME: Duration = Duration::from_secs(30);

/// Seconds after which a generation that no write has replaced is replaced by the next lookup: so that
/// Redis does not keep those of entities that nobody reads, or that do not exist.
const GENERATION_LIFETIME: u64 = 120;

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

/// Keys: generation and pending writes of each scope. Arguments: lifetime of generations in seconds, a
/// new generation for each scope, member, lifetime of the announcement in milliseconds.
const ANNOUNCE: &str = script!(
    "local member, lifetime = ARGV[#ARGV - 1], ARGV[#ARGV] \
     for i = 1, #KEYS / 2 do \
       redis.call('SET', KEYS[2 * i - 1], ARGV[1 + i], 'EX', ARGV[1]) \
       redis.call('ZREMRANGEBYSCORE', KEYS[2 * i], '-inf', now) \
       redis.call('ZADD', KEYS[2 * i], now + lifetime, member) \
       redis.call('PEXPIRE', KEYS[2 * i], lifetime) \
     end"
);

/// Keys as for [`ANNOUNCE`]. Arguments: the same, without the lifetime of the announcement.
const WITHDRAW: &str = "for i = 1, #KEYS / 2 do \
       redis.call('SET', KEYS[2 * i - 1], ARGV[1 + i], 'EX', ARGV[1]) \
       redis.call('ZREM', KEYS[2 * i], ARGV[#ARGV]) \
     end";

/// Keys as for [`ANNOUNCE`]. Arguments: lifetime of generations, for each scope the generation to set if
/// there is none, as after a flush. Returns for each scope the generation and the number of pending writes.
const LOOK_UP: &str = script!(
    "local found = {} \
     for i = 1, #KEYS / 2 do \
       redis.call('SET', KEYS[2 * i - 1], ARGV[1 + i], 'NX', 'EX', ARGV[1]) \
       found[2 * i - 1] = redis.call('GET', KEYS[2 * i - 1]) \
       found[2 * i] = redis.call('ZCOUNT', KEYS[2 * i], now, '+inf') \
     end \
     return found"
);

impl Cache {
    /// Commits a transaction that has changed what responses of `scopes` contain, and invalidates them.
    /// Processes that this one cannot reach by Redis are notified by the database. The caller must be a
    /// task that is not cancelled.
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    pub async fn commit(&self, mut tx: Transaction, scopes: &[Scope]) -> sqlx::Result<()> {
        let commit = async |notify_processes| {
            if notify_processes {
                tx.notify_caches().await?;
            }
            tx.commit().await
        };
        self.invalidate_with(scopes, commit).await
    }

    /// Runs `commit` and invalidates all responses of `scopes`, so that no reader of any process is
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
        scopes: &[Scope],
        commit: impl AsyncFnOnce(bool) -> Result<T, E>,
    ) -> Result<T, E> {
        if scopes.is_empty() {
            return commit(false).await;
        }
        self.0.prefix.wait().await;
        let member = Uuid::new_v4().to_string();
        let announced = self.announce(scopes, &member).await;
        let is_configured = self.0.redis.failure_count().is_some();
        let mut commit = pin!(commit(is_configured && !announced));
        let result = loop {
            match tokio::time::timeout(ANNOUNCEMENT_LIFETIME / 2, &mut commit).await {
                Ok(result) => break result,
                Err(_) => {
                    self.announce(scopes, &member).await;
                }
            }
        };
        if result.is_ok() {
            let withdrawal = self.clone().withdraw(scopes.to_vec(), member);
            if announced {
                withdrawal.await;
            } else {
                // The request has waited for Redis once already.
                tokio::spawn(withdrawal);
            }
        }
        result
    }

    /// Invalidates all responses of `scopes` that were cached before this call.
    pub async fn invalidate(&self, scopes: &[Scope]) {
        let committed = async |_| Ok::<_, std::convert::Infallible>(());
        let Ok(()) = self.invalidate_with(scopes, committed).await;
    }

    /// Returns whether Redis has stored the announcement.
    async fn announce(&self, scopes: &[Scope], member: &str) -> bool {
        let lifetime = u64::try_from(ANNOUNCEMENT_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        let mut announce = self.eval(ANNOUNCE, scopes);
        announce.arg(member).arg(lifetime);
        self.0.redis.execute_with_retry::<()>(&announce).await.is_some()
    }

    async fn withdraw(self, scopes: Vec<Scope>, member: String) {
        let mut withdraw = self.eval(WITHDRAW, &scopes);
        withdraw.arg(member);
        let _ = self.0.redis.execute_with_retry::<()>(&withdraw).await;
    }

    /// Returns the command that replaces the generations of all topics, and so invalidates all
    /// responses.
    pub(super) fn replace_command(&self) -> Cmd {
        let mut set = cmd("MSET");
        for topic in Topic::ALL {
            set.arg(self.generation_key((*topic).into())).arg(new_generation());
        }
        set
    }

    /// Looks up the generations of scopes; `None` if Redis is unavailable.
    pub(super) async fn generations(&self, scopes: &[Scope]) -> Option<Generations> {
        let found = self.0.redis.query::<Vec<u64>>(&self.eval(LOOK_UP, scopes)).await?;
        let generation = |pair: &[u64]| match *pair {
            [id, 0] => Generation { id, shared: true },
            _ => Generation { id: new_generation(), shared: false },
        };
        Some(scopes.iter().copied().zip(found.chunks(2).map(generation)).collect())
    }

    /// Returns a call of `script` with the arguments that all scripts have.
    fn eval(&self, script: &str, scopes: &[Scope]) -> Cmd {
        let mut eval = cmd("EVAL");
        eval.arg(script).arg(2 * scopes.len());
        for scope in scopes {
            eval.arg(self.generation_key(*scope)).arg(self.pending_key(*scope));
        }
        eval.arg(GENERATION_LIFETIME);
        for _ in scopes {
            eval.arg(new_generation());
        }
        eval
    }
}
