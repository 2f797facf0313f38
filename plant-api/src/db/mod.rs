//! PostgreSQL: the pool whose waits are measured, the heartbeat, and the migrations.
//!
//! The service's connections switch to the restricted role `plant_app` as they are made. A
//! heartbeat on a connection of its own tells within a second when the database is away, so
//! that requests are refused at once instead of waiting, and when it is back.

mod migrate;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus::Histogram;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use sqlx::{PgConnection, Postgres, SqlSafeStr, Transaction};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

pub use migrate::{SetupError, check_schema, grant, migrate};

const BEAT: Duration = Duration::from_millis(500);
const BEAT_TIMEOUT: Duration = Duration::from_secs(1);

/// The database, as the service uses it. Clones share everything.
#[derive(Debug, Clone)]
pub struct Db {
    pool: PgPool,
    heart: Arc<Heart>,
    waits: Histogram,
}

/// Bounds on what the service asks of the database.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most connections.
    pub connections: u32,
    /// Longest wait for one of them.
    pub checkout: Duration,
    /// Longest statement, bounded at the server, so that it does not work for a client that has
    /// long been answered.
    pub statement: Duration,
}

/// What the heartbeat last saw.
#[derive(Debug)]
struct Heart {
    up: watch::Sender<bool>,
    started: Instant,
    /// Microseconds after `started` at which connections were last known to be lost.
    lost_at: AtomicU64,
    backends: AtomicI64,
    max_connections: AtomicI64,
}

impl Heart {
    fn lost(&self) {
        let now = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.lost_at.store(now, Ordering::Relaxed);
    }

    /// Whether a connection of this age was made after the last loss.
    fn outlived(&self, age: Duration) -> bool {
        let lost_at = Duration::from_micros(self.lost_at.load(Ordering::Relaxed));
        lost_at.is_zero() || self.started.elapsed().saturating_sub(age) > lost_at
    }
}

impl Db {
    /// A pool that connects when first used; `waits` sees how long each checkout took.
    pub fn new(options: PgConnectOptions, bounds: Bounds, waits: Histogram) -> Self {
        let heart = Arc::new(Heart {
            up: watch::Sender::new(true),
            started: Instant::now(),
            lost_at: AtomicU64::new(0),
            backends: AtomicI64::new(0),
            max_connections: AtomicI64::new(0),
        });
        let timeout = bounds.statement.as_millis().to_string();
        let watched = heart.clone();
        let pool = PgPoolOptions::new()
            .max_connections(bounds.connections)
            // sqlx 0.9.0 can spin when it reaps idle connections below a minimum.
            .min_connections(0)
            .acquire_timeout(bounds.checkout)
            // A ping before each use would be a round trip; a loss is noticed by age instead.
            .test_before_acquire(false)
            .before_acquire(move |_, meta| {
                let fresh = watched.outlived(meta.age);
                Box::pin(async move { Ok(fresh) })
            })
            .after_connect(move |connection, _| {
                let timeout = timeout.clone();
                Box::pin(async move { become_app(connection, &timeout).await })
            })
            .connect_lazy_with(options);
        Self { pool, heart, waits }
    }

    /// A connection, its wait measured.
    ///
    /// # Errors
    /// [`Error::Unavailable`] at once while the database is known to be away; a database error
    /// when none came free in time.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>> {
        if !self.is_up() {
            return Err(away());
        }
        let asked = Instant::now();
        let connection = self.pool.acquire().await;
        self.waits.observe(asked.elapsed().as_secs_f64());
        Ok(connection?)
    }

    /// A transaction; rolled back when dropped.
    ///
    /// # Errors
    /// As [`Db::acquire`].
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        Ok(Transaction::begin(self.acquire().await?, None).await?)
    }

    /// A transaction that only reads, all of it as of one moment.
    ///
    /// # Errors
    /// As [`Db::acquire`].
    pub async fn snapshot(&self) -> Result<Transaction<'static, Postgres>> {
        let begin = "begin isolation level repeatable read, read only".into_sql_str();
        Ok(Transaction::begin(self.acquire().await?, Some(begin)).await?)
    }

    /// Whether the last heartbeat was answered.
    pub fn is_up(&self) -> bool {
        *self.heart.up.borrow()
    }

    /// Returns when the database goes away from now on. Whoever waits for an answer of a server
    /// that has stopped answering can give up then.
    pub async fn lost(&self) {
        let mut up = self.heart.up.subscribe();
        while up.changed().await.is_ok() {
            if !*up.borrow_and_update() {
                return;
            }
        }
    }

    /// Open connections of the pool: in use, idle, and the most there may be.
    pub fn pool_use(&self) -> (u64, u64, u64) {
        let idle = self.pool.num_idle() as u64;
        let size = u64::from(self.pool.size());
        (size.saturating_sub(idle), idle, u64::from(self.pool.options().get_max_connections()))
    }

    /// The server's backends on this database, and how many it allows in all.
    pub fn server_use(&self) -> (i64, i64) {
        (
            self.heart.backends.load(Ordering::Relaxed),
            self.heart.max_connections.load(Ordering::Relaxed),
        )
    }

    /// Beats until `stop`: one small question each half second, on a connection of its own, which
    /// in between tells at once when the server goes away.
    pub async fn beat(self, stop: CancellationToken) {
        let own = PgPoolOptions::new()
            .max_connections(1)
            .min_connections(0)
            .connect_lazy_with((*self.pool.connect_options()).clone());
        let mut listener = None;
        while !stop.is_cancelled() {
            let answer = tokio::time::timeout(BEAT_TIMEOUT, self.ask(&own, &mut listener)).await;
            let answer = match answer {
                Ok(answered) => answered.map_err(|e| e.to_string()),
                Err(_) => Err("no answer within a second".to_owned()),
            };
            if answer.is_err() {
                listener = None;
            }
            self.settle(answer);
            tokio::select! {
                () = tokio::time::sleep(BEAT) => {}
                () = gone(&mut listener) => self.settle(Err("it closed the connection".into())),
                () = stop.cancelled() => {}
            }
        }
        self.pool.close().await;
    }

    async fn ask(&self, own: &PgPool, listener: &mut Option<PgListener>) -> sqlx::Result<()> {
        let live = match listener {
            Some(live) => live,
            None => {
                let mut fresh = PgListener::connect_with(own).await?;
                // Else a lost connection would be told only once there is another.
                fresh.eager_reconnect(false);
                fresh.listen("plant_heart").await?;
                listener.insert(fresh)
            }
        };
        let (backends, most) = sqlx::query_as::<_, (i32, i32)>(
            "select numbackends, current_setting('max_connections')::int \
             from pg_stat_database where datname = current_database()",
        )
        .fetch_one(live)
        .await?;
        self.heart.backends.store(backends.into(), Ordering::Relaxed);
        self.heart.max_connections.store(most.into(), Ordering::Relaxed);
        Ok(())
    }

    fn settle(&self, beat: Result<(), String>) {
        let was_up = self.heart.up.send_replace(beat.is_ok());
        match beat {
            Err(reason) => {
                self.heart.lost();
                if was_up {
                    tracing::warn!(reason, "the database is away");
                }
            }
            Ok(()) if !was_up => tracing::info!("the database is back"),
            Ok(()) => {}
        }
    }
}

/// Returns when the listener's connection has ended; waits for ever where there is none.
async fn gone(listener: &mut Option<PgListener>) {
    match listener {
        // Nobody sends to this channel, so whatever arrives is the end.
        Some(live) => while let Ok(Some(_)) = live.try_recv().await {},
        None => std::future::pending().await,
    }
    *listener = None;
}

fn away() -> Error {
    Error::Unavailable { what: "the database", retry_after: Duration::from_secs(1) }
}

/// Gives up the owner's rights on a connection of the service.
async fn become_app(connection: &mut PgConnection, timeout: &str) -> sqlx::Result<()> {
    sqlx::query(
        "select set_config('role', 'plant_app', false), set_config('statement_timeout', $1, false)",
    )
    .bind(timeout)
    .execute(connection)
    .await
    .map(drop)
}
