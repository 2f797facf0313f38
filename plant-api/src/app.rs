//! The program in one page: connect, bind, serve, drain, stop.

use std::time::Duration;

use anyhow::Context;
use axum::Router;
use sqlx::postgres::PgConnectOptions;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{Access, Config, DatabaseConfig};
use crate::db::{self, Db};
use crate::limit::RateLimit;
use crate::metrics::{COMMIT, Metrics, VERSION};
use crate::passwords::{PATIENCE, Passwords};
use crate::redis::Redis;
use crate::serve::Bounds;
use crate::state::{Gate, Handles, Limits, State};
use crate::token::Tokens;
use crate::{auth, health, http, idempotency, serve, telemetry};

/// Longest wait for a database connection: beyond it a quick 503 serves the client better.
const CHECKOUT: Duration = Duration::from_millis(1500);

/// Runs the service until SIGTERM or Ctrl-C.
///
/// # Errors
/// What kept it from starting, with what to do about it.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let metrics = Metrics::new()?;
    telemetry::start(&config.log, metrics.log_events.clone())?;
    // Best effort: with fewer files, connections beyond them wait to be accepted.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_default();
    tracing::info!(version = VERSION, commit = COMMIT, files, "starting");

    let stop = CancellationToken::new();
    let redis = Redis::new(config.redis_url.as_ref().map(|url| url.0.as_str()))
        .context("REDIS_URL cannot be read")?;
    let state = State::from(Handles {
        db: database(&config, &metrics)?,
        cache: Cache::new(redis.clone(), "plant", config.cache_ttl, metrics.cache_requests.clone()),
        redis,
        metrics,
        clock: Clock::System,
        gate: gate(&config)?,
        limits: Limits {
            request_timeout: config.request_timeout,
            body_timeout: config.client_timeout,
            body_bytes: config.body_limit,
        },
        stop: stop.clone(),
    });
    let hearts_stop = CancellationToken::new();
    let hearts = [
        tokio::spawn(state.db.clone().beat(hearts_stop.clone())),
        tokio::spawn(state.redis.clone().beat(hearts_stop.clone())),
        tokio::spawn(idempotency::sweep(state.db.clone(), Clock::System, hearts_stop.clone())),
        tokio::spawn(auth::sweep(state.db.clone(), Clock::System, hearts_stop.clone())),
        tokio::spawn(state.gate.rate.clone().sweep(hearts_stop.clone())),
        tokio::spawn(state.cache.clone().keep(hearts_stop.clone())),
    ];
    db::check_schema(&state.db).await?;

    let listeners = serve::bind(&config.listen).await?;
    if config.access == Access::Open {
        tracing::warn!("access is open: anybody who can reach this service may do everything");
    }
    if config.jwt_secret.is_the_default() {
        tracing::warn!("JWT_SECRET is the default: anybody can make tokens");
    }
    for listener in &listeners {
        tracing::info!(address = %listener.local_addr()?, "listening");
    }
    stop_on_signal(stop.clone())?;
    let bounds = Bounds {
        connections: config.max_connections,
        headers: config.client_timeout,
        drain: config.drain_timeout,
    };
    let (router, _) = router(state)?;
    serve::serve(listeners, router, bounds, stop).await;

    hearts_stop.cancel();
    for heart in hearts {
        heart.await?;
    }
    tracing::info!("stopped");
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
        passwords: Passwords::start(None, PATIENCE).context("no threads to hash passwords with")?,
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
