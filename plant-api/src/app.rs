//! The program in one page: connect, bind, serve and work, drain, stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{Access, Config, DatabaseConfig, ModelConfig};
use crate::db::{self, Db};
use crate::generation::job::Generations;
use crate::generation::model::Simulation;
use crate::jobs::{self, Handler};
use crate::limit::RateLimit;
use crate::metrics::{COMMIT, Metrics, VERSION};
use crate::passwords::{PATIENCE, Passwords};
use crate::plant::deliverables::job::DueGoals;
use crate::queue::Queue;
use crate::redis::Redis;
use crate::serve::Bounds;
use crate::state::{Gate, Handles, Limits, State};
use crate::token::Tokens;
use crate::worker::{self, Worker};
use crate::{auth, health, http, idempotency, serve, telemetry};

/// Longest wait for a database connection: beyond it a quick 503 serves the client better.
const CHECKOUT: Duration = Duration::from_millis(1500);

/// Most connections of a process that only works, so that `serve` keeps its share of what the
/// database allows.
const WORKER_CONNECTIONS: u32 = 2;

/// Runs the service until SIGTERM or Ctrl-C, and the background jobs unless told not to.
///
/// # Errors
/// What kept it from starting, with what to do about it.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let (state, hearts) = start(&config).await?;
    let listeners = serve::bind(&config.listen).await?;
    if config.access == Access::Open {
        tracing::warn!("access is open: anybody who can reach this service may do everything");
    }
    if config.jwt_secret.is_the_default() {
        tracing::warn!("JWT_SECRET is the default: anybody can make tokens");
    }
    tell(&listeners)?;
    stop_on_signal(state.stop.clone())?;
    let (router, _) = router(state.clone())?;
    let serving = serve::serve(listeners, router, bounds(&config), state.stop.clone());
    if config.work.in_serve {
        tokio::join!(
            serving,
            worker(&state, config.work.model).run(state.stop.clone(), config.drain_timeout)
        );
    } else {
        serving.await;
    }
    hearts.stop().await
}

/// Does the background jobs until SIGTERM or Ctrl-C, and serves no API.
///
/// # Errors
/// What kept it from starting, with what to do about it.
pub async fn work(mut config: Config) -> anyhow::Result<()> {
    config.database.pool_size = config.database.pool_size.min(WORKER_CONNECTIONS);
    let (state, hearts) = start(&config).await?;
    let listeners = serve::bind(&config.work.listen).await?;
    tell(&listeners)?;
    stop_on_signal(state.stop.clone())?;
    let (routes, _) = http::described(health::router(), &state.metrics)?;
    let router = http::framed(routes, state.clone());
    tokio::join!(
        serve::serve(listeners, router, bounds(&config), state.stop.clone()),
        worker(&state, config.work.model).run(state.stop.clone(), config.drain_timeout),
    );
    hearts.stop().await
}

/// What beats as long as the process lives.
struct Hearts {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Hearts {
    async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        for task in self.tasks {
            task.await?;
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Connects.
async fn start(config: &Config) -> anyhow::Result<(State, Hearts)> {
    let metrics = Metrics::new()?;
    telemetry::start(&config.log, metrics.log_events.clone())?;
    // Best effort: with fewer files, connections beyond them wait to be accepted.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_default();
    tracing::info!(version = VERSION, commit = COMMIT, files, "starting");

    let redis = Redis::new(config.redis_url.as_ref().map(|url| url.0.as_str()))
        .context("REDIS_URL cannot be read")?;
    let state = State::from(Handles {
        db: database(config, &metrics)?,
        cache: Cache::new(redis.clone(), "plant", config.cache_ttl, metrics.cache_requests.clone()),
        queue: Queue::new(redis, ""),
        metrics,
        clock: Clock::System,
        gate: gate(config)?,
        limits: Limits {
            request_timeout: config.request_timeout,
            body_timeout: config.client_timeout,
            body_bytes: config.body_limit,
        },
        stop: CancellationToken::new(),
    });
    let stop = CancellationToken::new();
    let (db, metrics) = (state.db.clone(), state.metrics.clone());
    let tasks = vec![
        tokio::spawn(db.clone().beat(stop.clone())),
        tokio::spawn(state.queue.redis().clone().beat(stop.clone())),
        tokio::spawn(idempotency::sweep(db.clone(), Clock::System, stop.clone())),
        tokio::spawn(auth::sweep(db.clone(), Clock::System, stop.clone())),
        tokio::spawn(state.gate.rate.clone().sweep(stop.clone())),
        tokio::spawn(state.cache.clone().keep(stop.clone())),
        tokio::spawn(state.queue.clone().keep(stop.clone())),
        tokio::spawn(worker::watch(db, metrics, handlers(&state, config.work.model), stop.clone())),
    ];
    db::check_schema(&state.db).await?;
    Ok((state, Hearts { stop, tasks }))
}

/// What each slice does about its jobs.
pub(crate) fn handlers(state: &State, model: ModelConfig) -> Vec<Arc<dyn Handler>> {
    let ModelConfig { seed, median, spread, failure_rate } = model;
    vec![
        Arc::new(Generations {
            db: state.db.clone(),
            clock: state.clock.clone(),
            model: Simulation { seed, median, spread, failure_rate },
        }),
        Arc::new(DueGoals {
            db: state.db.clone(),
            clock: state.clock.clone(),
            queue: state.queue.clone(),
        }),
    ]
}

/// The one who does the jobs.
pub(crate) fn worker(state: &State, model: ModelConfig) -> Worker {
    let (db, queue, metrics) = (state.db.clone(), state.queue.clone(), state.metrics.clone());
    Worker::new(db, queue, metrics, handlers(state, model))
}

fn tell(listeners: &[TcpListener]) -> anyhow::Result<()> {
    for listener in listeners {
        tracing::info!(address = %listener.local_addr()?, "listening");
    }
    Ok(())
}

fn bounds(config: &Config) -> Bounds {
    Bounds {
        connections: config.max_connections,
        headers: config.client_timeout,
        drain: config.drain_timeout,
    }
}

/// Shows jobs, or has them tried again.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn jobs(config: DatabaseConfig, action: &jobs::show::Action) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect_with(&options(&config)?)
        .await
        .context("cannot reach the database")?;
    print!("{}", jobs::show::run(action, &mut connection).await?);
    // All is said, whether or not the goodbye arrives.
    let _ = connection.close().await;
    Ok(())
}

/// Brings the database to this program's schema.
///
/// # Errors
/// As [`db::migrate`], or when the URL cannot be read.
pub async fn migrate(config: DatabaseConfig) -> anyhow::Result<()> {
    db::migrate(&options(&config)?).await?;
    println!("the database is up to date");
    Ok(())
}

/// The whole service as one router, and its description.
///
/// # Errors
/// As [`http::described`].
pub fn router(state: State) -> serde_json::Result<(Router, OpenApi)> {
    let all = http::slices().merge(health::router());
    let (routes, api) = http::described(all, &state.metrics)?;
    Ok((http::framed(routes, state), api))
}

fn gate(config: &Config) -> anyhow::Result<Gate> {
    let tokens = Tokens::new(&config.jwt_secret)?;
    let key = config.admin_key.as_ref();
    Ok(Gate {
        access: config.access,
        operators_key: key.map(|key| tokens.fingerprint(key.0.as_bytes())),
        tokens,
        passwords: Passwords::start(config.hash_threads, PATIENCE)
            .context("no threads to hash passwords with")?,
        rate: RateLimit::new(config.rate_limit),
        verification: config.require_verification,
    })
}

fn database(config: &Config, metrics: &Metrics) -> anyhow::Result<Db> {
    let bounds = db::Bounds {
        connections: config.database.pool_size,
        checkout: CHECKOUT,
        statement: config.request_timeout,
    };
    Ok(Db::new(options(&config.database)?, bounds, metrics.db_waits.clone()))
}

fn options(config: &DatabaseConfig) -> anyhow::Result<PgConnectOptions> {
    let options: PgConnectOptions = config.url.0.parse().context("DATABASE_URL cannot be read")?;
    Ok(options.application_name("plant-api"))
}

/// Cancels `stop` at the first SIGTERM or Ctrl-C; a second one ends the process at once.
fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                std::process::exit(130);
            }
            tracing::info!("stopping: finishing running requests");
            stop.cancel();
        }
    });
    Ok(())
}
