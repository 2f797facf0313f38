//! The commands `serve`, `work`, `migrate` and `jobs` of `plant-api`. `serve` connects, binds,
//! serves requests and runs jobs until SIGTERM, and drains.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::Uri;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa::openapi::OpenApi;

use crate::cache::{Cache, Topic};
use crate::clock::Clock;
use crate::config::{
    AccessMode, Config, DatabaseConfig, DeskConfig, ModelConfig, ProviderConfig,
    SimulatedWriterConfig, WriterConfig,
};
use crate::crypto::Sealer;
use crate::db::{self, Db};
use crate::enhancement::circuits::Circuits;
use crate::enhancement::desk::{AllowList, Desk};
use crate::enhancement::job::EnhancementHandler;
use crate::enhancement::writer::Writer;
use crate::generation::job::GenerationHandler;
use crate::generation::model::SimulatedModel;
use crate::http_client::{CollectorClient, HttpClient, Reach};
use crate::jobs::{self, JobHandler};
use crate::limit::{BodyBudget, Overload, RATE_LIMIT_CLEANUP_INTERVAL, RateLimit};
use crate::metrics::{COMMIT, Metrics, VERSION};
use crate::passwords::{MAX_HASH_LATENCY, PasswordHasher};
use crate::payments::job::{PaymentHandler, WEBHOOK_PATH};
use crate::payments::provider::SimulatedProvider;
use crate::performance_agent::rules::RuleSets;
use crate::performance_agent::workflows::job::WorkflowHandler;
use crate::performance_agent::{self, Agent, AgentSettings};
use crate::plant::deliverables::job::DueGoalHandler;
use crate::queue::Queue;
use crate::redis::Redis;
use crate::signature::WebhookKey;
use crate::state::{AccessPolicy, AppState, Handles, RequestLimits};
use crate::token::Tokens;
use crate::traces::{StatementSpans, Traces};
use crate::tunables::{Defaults, Tunables, catalogue};
use crate::worker::{self, AnyJobHandler, Worker};
use crate::{auth, cleanup, fake_desk, health, http, page, serve, telemetry, write};

/// Timeout for acquiring a database connection; below the request timeout, so that clients of an
/// overloaded service receive an early 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1500);

/// Timeout of requests for a connection while they arrive faster than the connections serve them.
const CONGESTION_TARGET: Duration = Duration::from_millis(100);

/// Delay before the database is asked again for its identity.
const IDENTITY_RETRY_DELAY: Duration = Duration::from_millis(200);

/// Timeout for commits in progress when the process stops.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum number of database connections of a worker process, so that `serve` keeps its share of
/// the server's `max_connections`.
const MAX_WORKER_CONNECTIONS: u32 = 2;

/// Serves the API until SIGTERM or Ctrl-C, and runs background jobs unless disabled.
///
/// # Errors
/// Returns an error if the startup fails.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let rules = RuleSets::load(&config.agent.rules, &catalogue(&configured_tunables(&config)))?;
    let (state, background) = start(&config).await?;
    let listeners = serve::bind(&config.listen).await?;
    if config.access_mode == AccessMode::Open {
        tracing::warn!("PLANT_ACCESS=open: anonymous requests have all permissions");
    }
    if config.jwt_secret.is_default() {
        tracing::warn!(
            "JWT_SECRET is the public default: anyone can forge access tokens; set your own"
        );
    }
    if config.jwt_secret.is_short() {
        tracing::warn!(
            bytes = config.jwt_secret.0.len(),
            "JWT_SECRET is short: access tokens can be forged by guessing it; for development only"
        );
    }
    if config.webhook_secret.is_default() {
        tracing::warn!(
            "PLANT_PAYMENT_WEBHOOK_SECRET is the public default: anyone can forge payment events; \
             set your own"
        );
    }
    if config.secret_key.is_default() {
        tracing::warn!(
            "PLANT_SECRET_KEY is the public default: anyone who reads the database can open the \
             secrets of tenants; set your own"
        );
    }
    // Before the log line, at which a supervisor may already send a signal.
    stop_on_signal(state.shutdown.clone())?;
    log_addresses(&listeners)?;
    let address = listeners.first().map(TcpListener::local_addr).transpose()?;
    let port = address.map_or(0, |address| address.port());
    let agent = Agent::new(AgentSettings::new(&config, port, rules));
    // Workflows collect the metrics of the process that runs them.
    let workflows = WorkflowHandler { state: state.clone(), agent: agent.clone() };
    let mut job_handlers = vec![AnyJobHandler::new(workflows)];
    let (router, _) = router(state.clone(), agent)?;
    let server = serve::serve(listeners, router, config.connections, state.shutdown.clone());
    if config.worker.in_serve {
        let fake_desk = start_fake_desk(&config, &background.shutdown).await?;
        let simulations = Simulations::new(&config, address, fake_desk)?;
        job_handlers.extend(handlers(&state, &simulations));
    }
    tokio::join!(
        server,
        worker_for(&state, job_handlers)
            .run(state.shutdown.clone(), config.connections.drain_timeout)
    );
    background.stop().await
}

/// Runs background jobs until SIGTERM or Ctrl-C; serves only the operational endpoints.
///
/// # Errors
/// Returns an error if the startup fails.
pub async fn work(mut config: Config) -> anyhow::Result<()> {
    config.database.pool_size = config.database.pool_size.min(MAX_WORKER_CONNECTIONS);
    let (state, background) = start(&config).await?;
    let listeners = serve::bind(&config.worker.listen).await?;
    // Before the log line, at which a supervisor may already send a signal.
    stop_on_signal(state.shutdown.clone())?;
    log_addresses(&listeners)?;
    let (routes, api) = http::with_openapi(health::router(), &state.metrics)?;
    let router = http::with_middleware(routes, &api, state.clone());
    if config.provider.webhook_url.is_none() {
        tracing::warn!(
            listen = ?config.listen,
            "PLANT_PAYMENT_WEBHOOK_URL is empty: payment events are posted to the address on which \
             the service listens by the same settings"
        );
    }
    let fake_desk = start_fake_desk(&config, &background.shutdown).await?;
    let simulations = Simulations::new(&config, None, fake_desk)?;
    tokio::join!(
        serve::serve(listeners, router, config.connections, state.shutdown.clone()),
        worker(&state, &simulations).run(state.shutdown.clone(), config.connections.drain_timeout),
    );
    background.stop().await
}

/// Tasks that run until the process stops: heartbeats, clean-up, cache refresh, pushes to Redis lists.
struct BackgroundTasks {
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    /// Commits that outlive their requests.
    writes: TaskTracker,
    traces: Traces,
    /// Refresh of the tunables, and its end: it uses the database when it ends.
    tunables: (CancellationToken, JoinHandle<()>),
}

impl BackgroundTasks {
    async fn stop(self) -> anyhow::Result<()> {
        // They use the database and Redis, so they come first.
        self.writes.close();
        if tokio::time::timeout(COMMIT_TIMEOUT, self.writes.wait()).await.is_err() {
            tracing::warn!(count = self.writes.len(), "stopping with commits in progress");
        }
        let (end, refresh) = self.tunables;
        end.cancel();
        refresh.await?;
        self.shutdown.cancel();
        for task in self.tasks {
            task.await?;
        }
        self.traces.shutdown().await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Initializes logging, creates the state, starts the background tasks and checks the schema.
async fn start(config: &Config) -> anyhow::Result<(AppState, BackgroundTasks)> {
    let metrics = Metrics::new()?;
    let traces = Traces::new(&config.traces, CollectorClient::new())?;
    let statements = traces.is_exporting().then_some(StatementSpans);
    telemetry::init(&config.log, metrics.log_events.clone(), statements)?;
    // Best effort: with fewer file descriptors, further connections wait in the listen backlog.
    let max_open_files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_default();
    tracing::info!(version = VERSION, commit = COMMIT, max_open_files, "starting");

    let redis = Redis::new(config.redis_url.as_ref().map(|url| url.0.as_str()))
        .context("invalid REDIS_URL")?;
    let db = database(config, &metrics)?;
    db::check_schema(&db).await?;
    let tunables = Tunables::new(&configured_tunables(config), metrics.tunables_version.clone());
    match tunables.refresh(&db).await {
        // Until the first refresh that succeeds, the configured values are in force.
        Err(error) if error.is_outage() => {}
        result => result.context("cannot read the tunables")?,
    }
    // They are opened on demand as well, so an outage is no reason to wait.
    let _ = db.open_connections().await;
    let state = AppState::from(Handles {
        db,
        cache: Cache::new(redis.clone(), metrics.cache_requests.clone()),
        queue: Queue::new(redis, ""),
        metrics,
        clock: Clock::System,
        access_policy: access_policy(config)?,
        request_limits: RequestLimits {
            request_timeout: config.request_timeout,
            body_timeout: config.connections.client_timeout,
            max_body_bytes: config.body_limit,
            body_budget: BodyBudget::for_bodies_of(config.body_limit),
            response_budget: BodyBudget::for_responses(),
        },
        overload: Overload::default(),
        tunables,
        traces,
        shutdown: CancellationToken::new(),
        write_tasks: TaskTracker::new(),
    });
    let shutdown = CancellationToken::new();
    let (db, metrics) = (state.db.clone(), state.metrics.clone());
    let handles = || (state.db.clone(), state.clock.clone());
    let retention = config.agent.retention;
    let handlers = handlers(&state, &Simulations::new(config, None, None)?);
    let kinds = handlers.iter().map(AnyJobHandler::kind).chain([WorkflowHandler::KIND]).collect();
    let tasks = vec![
        tokio::spawn(db.clone().run_heartbeat(shutdown.clone())),
        tokio::spawn(db::run_schema_check(db.clone(), shutdown.clone())),
        tokio::spawn(state.queue.redis().clone().run_heartbeat(shutdown.clone())),
        tokio::spawn(cleanup::run(
            "idempotency keys",
            write::delete_expired,
            handles(),
            shutdown.clone(),
        )),
        tokio::spawn(cleanup::run(
            "finished jobs",
            jobs::delete_expired,
            handles(),
            shutdown.clone(),
        )),
        tokio::spawn(cleanup::run(
            "snapshots and workflows",
            async move |db: &Db, clock: &Clock| {
                performance_agent::delete_expired(db, clock, retention).await
            },
            handles(),
            shutdown.clone(),
        )),
        tokio::spawn(cleanup::run("sessions", auth::delete_expired, handles(), shutdown.clone())),
        tokio::spawn(
            state
                .access_policy
                .rate_limit
                .clone()
                .run_cleanup(RATE_LIMIT_CLEANUP_INTERVAL, shutdown.clone()),
        ),
        tokio::spawn(state.overload.clone().run(shutdown.clone())),
        tokio::spawn(state.cache.clone().run_refresh_loop(shutdown.clone())),
        tokio::spawn(
            state
                .cache
                .clone()
                .run_notification_loop(state.db.cache_notifications(), shutdown.clone()),
        ),
        tokio::spawn(set_cache_prefix(state.clone(), shutdown.clone())),
        tokio::spawn(state.queue.clone().run_push_loop(shutdown.clone())),
        tokio::spawn(worker::run_gauge_updates(db, metrics, kinds, shutdown.clone())),
    ];
    let writes = state.write_tasks.clone();
    let end = CancellationToken::new();
    let refresh = state.tunables.clone().run_refresh(state.db.clone(), end.clone());
    let tunables = (end, tokio::spawn(refresh));
    let traces = state.traces.clone();
    Ok((state, BackgroundTasks { shutdown, tasks, writes, traces, tunables }))
}

fn configured_tunables(config: &Config) -> Defaults {
    let workers = config.worker.enhancement_workers;
    tunable_defaults(config.cache_ttl, config.request_timeout, workers)
}

/// Returns the configured values of the tunables.
pub(crate) fn tunable_defaults(
    cache_ttl: Duration,
    statement_timeout: Duration,
    enhancement_workers: usize,
) -> Defaults {
    let kinds = [GenerationHandler::KIND, PaymentHandler::KIND, DueGoalHandler::KIND];
    let workers = kinds.iter().map(|kind| (kind.name, kind.max_concurrency));
    let enhancements = (EnhancementHandler::KIND.name, enhancement_workers);
    Defaults {
        cache_ttl,
        topics: Topic::ALL.iter().map(|topic| topic.name()).collect(),
        page_size: page::MAX_LIMIT,
        statement_timeout,
        workers: workers.chain([enhancements]).collect(),
    }
}

/// Sets the cache's prefix when the database is connected. Services with different databases may
/// share a Redis server, so the prefix contains the database's identity.
async fn set_cache_prefix(state: AppState, shutdown: CancellationToken) {
    let set = async {
        loop {
            match state.db.identity().await {
                Ok(identity) => return state.cache.set_prefix(format!("plant:{identity}")),
                Err(_) => tokio::time::sleep(IDENTITY_RETRY_DELAY).await,
            }
        }
    };
    tokio::select! {
        () = set => {}
        () = shutdown.cancelled() => {}
    }
}

/// Starts the fake service desk of this process, unless another is configured, and returns its URL;
/// `None` in access mode `required`, in which there is none.
async fn start_fake_desk(
    config: &Config,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Uri>> {
    if config.access_mode == AccessMode::Required {
        return Ok(None);
    }
    if let Some(url) = &config.desk.fake_desk_url {
        return Ok(Some(url.clone()));
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?).parse()?;
    tokio::spawn(fake_desk::serve(listener, fake_desk::Behavior::default(), shutdown.clone()));
    Ok(Some(url))
}

/// Serves a fake service desk until SIGTERM or Ctrl-C.
///
/// # Errors
/// Returns an error if the address cannot be bound.
pub async fn fake_desk(options: fake_desk::Options) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen).await?;
    let shutdown = CancellationToken::new();
    stop_on_signal(shutdown.clone())?;
    eprintln!("fake service desk listening on http://{}", listener.local_addr()?);
    Ok(fake_desk::serve(listener, options.behavior, shutdown).await?)
}

/// The external systems that the jobs use, simulated unless configured.
pub(crate) struct Simulations {
    model: SimulatedModel,
    provider: SimulatedProvider,
    /// URL that the provider posts its events to.
    webhook_url: Uri,
    pub(crate) writer: WriterConfig,
    pub(crate) desk: DeskConfig,
    /// URL of the fake service desk; `None`: there is none.
    pub(crate) fake_desk: Option<Uri>,
    /// Number of tickets that are enhanced at once.
    pub(crate) enhancement_workers: usize,
}

impl Simulations {
    /// Returns the configured simulations. Unless configured, the webhook is that of the service that
    /// listens on `address`; `None`: on the first configured address.
    fn new(
        config: &Config,
        address: Option<SocketAddr>,
        fake_desk: Option<Uri>,
    ) -> anyhow::Result<Self> {
        let address = address.or_else(|| config.listen.first().copied());
        let simulations =
            Self::with(config.worker.model, &config.provider, address.context("no address")?)?;
        Ok(Self {
            writer: config.writer.clone(),
            desk: config.desk.clone(),
            fake_desk,
            enhancement_workers: config.worker.enhancement_workers,
            ..simulations
        })
    }

    /// Returns simulations with these settings, an instant writer, and no service desk.
    pub(crate) fn with(
        model: ModelConfig,
        provider: &ProviderConfig,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let ModelConfig { seed, median, spread, failure_rate } = model;
        Ok(Self {
            model: SimulatedModel { seed, median, spread, failure_rate },
            webhook_url: provider.webhook_url(address, WEBHOOK_PATH)?,
            provider: SimulatedProvider {
                seed: provider.seed,
                delay: provider.delay,
                decline_rate: provider.decline_rate,
                refund_rate: provider.refund_rate,
                repeat_rate: provider.repeat_rate,
                reorder_rate: provider.reorder_rate,
                late_rate: provider.late_rate,
            },
            writer: WriterConfig::Simulated(SimulatedWriterConfig::default()),
            desk: DeskConfig::default(),
            fake_desk: None,
            enhancement_workers: crate::enhancement::job::KIND.max_concurrency,
        })
    }
}

/// Returns the job handlers of all slices, except that of workflows, which needs the performance agent.
pub(crate) fn handlers(state: &AppState, simulations: &Simulations) -> Vec<AnyJobHandler> {
    let client = HttpClient::new(Reach::Any);
    let circuits = |target: &str| {
        let open = state.metrics.circuits_open.with_label_values(&[target]);
        Circuits::new(state.clock.clone(), open)
    };
    let allow_list = AllowList::new(simulations.desk.hosts.clone(), simulations.fake_desk.clone());
    vec![
        AnyJobHandler::new(GenerationHandler {
            db: state.db.clone(),
            clock: state.clock.clone(),
            model: simulations.model,
        }),
        AnyJobHandler::new(PaymentHandler::new(
            state.db.clone(),
            state.clock.clone(),
            simulations.provider,
            simulations.webhook_url.clone(),
            state.access_policy.webhook_key.clone(),
            client.clone(),
        )),
        AnyJobHandler::new(EnhancementHandler {
            db: state.db.clone(),
            clock: state.clock.clone(),
            access_mode: state.access_policy.access_mode,
            sealer: state.access_policy.sealer.clone(),
            writer: Writer::new(simulations.writer.clone(), client.clone(), circuits("writer")),
            desk: Desk::new(allow_list, client, circuits("desk")),
            max_concurrency: simulations.enhancement_workers,
            duration: state.metrics.enhancement_duration.clone(),
        }),
        AnyJobHandler::new(DueGoalHandler {
            db: state.db.clone(),
            clock: state.clock.clone(),
            queue: state.queue.clone(),
        }),
    ]
}

/// Creates a worker for the jobs of all slices, except workflows.
pub(crate) fn worker(state: &AppState, simulations: &Simulations) -> Worker {
    worker_for(state, handlers(state, simulations))
}

/// Creates a worker with these handlers.
pub(crate) fn worker_for(state: &AppState, handlers: Vec<AnyJobHandler>) -> Worker {
    Worker::new(
        state.db.clone(),
        state.queue.clone(),
        state.cache.clone(),
        state.metrics.clone(),
        state.tunables.clone(),
        handlers,
    )
}

fn log_addresses(listeners: &[TcpListener]) -> anyhow::Result<()> {
    for listener in listeners {
        tracing::info!(address = %listener.local_addr()?, "listening");
    }
    Ok(())
}

/// Lists or requeues jobs.
///
/// # Errors
/// Returns an error if the connection or a statement fails.
pub async fn jobs(config: DatabaseConfig, action: &jobs::command::Action) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect_with(&connect_options(&config)?)
        .await
        .context("cannot connect to the database")?;
    print!("{}", jobs::command::run(action, &mut connection).await?);
    // The output is complete even if closing fails.
    let _ = connection.close().await;
    Ok(())
}

/// Applies the pending database migrations.
///
/// # Errors
/// As [`db::migrate`]; also if the URL is invalid.
pub async fn migrate(config: DatabaseConfig) -> anyhow::Result<()> {
    db::migrate(&connect_options(&config)?).await?;
    println!("the database schema is up to date");
    Ok(())
}

/// Returns the router of all routes and its OpenAPI description.
///
/// # Errors
/// As [`http::with_openapi`].
pub fn router(state: AppState, agent: Agent) -> serde_json::Result<(Router, OpenApi)> {
    let routes = http::api_routes(agent).merge(health::router());
    let (routes, api) = http::with_openapi(routes, &state.metrics)?;
    Ok((http::with_middleware(routes, &api, state), api))
}

fn access_policy(config: &Config) -> anyhow::Result<AccessPolicy> {
    let tokens = Tokens::new(&config.jwt_secret)?;
    let admin_key = config.admin_key.as_ref();
    Ok(AccessPolicy {
        access_mode: config.access_mode,
        admin_key_fingerprint: admin_key.map(|key| tokens.hmac(key.0.as_bytes())),
        tokens,
        webhook_key: WebhookKey::new(&config.webhook_secret)?,
        sealer: Sealer::new(&config.secret_key, &config.old_secret_keys)?,
        password_hasher: PasswordHasher::start(config.hash_threads, MAX_HASH_LATENCY)
            .context("cannot start the password hashing threads")?,
        rate_limit: RateLimit::new(config.rate_limit),
        cors_origins: config.cors_origins.clone().into(),
        require_verification: config.require_verification,
    })
}

fn database(config: &Config, metrics: &Metrics) -> anyhow::Result<Db> {
    let limits = db::DatabaseLimits {
        max_connections: config.database.pool_size,
        acquire_timeout: ACQUIRE_TIMEOUT,
        congestion_target: CONGESTION_TARGET,
        statement_timeout: config.request_timeout,
    };
    Ok(Db::new(connect_options(&config.database)?, limits, metrics.db_pool_wait.clone()))
}

fn connect_options(config: &DatabaseConfig) -> anyhow::Result<PgConnectOptions> {
    let options: PgConnectOptions = config.url.0.parse().context("invalid DATABASE_URL")?;
    Ok(options.application_name("plant-api"))
}

/// Cancels `shutdown` on the first SIGTERM or Ctrl-C; exits at once on the second.
fn stop_on_signal(shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if shutdown.is_cancelled() {
                std::process::exit(130);
            }
            tracing::info!("stopping: waiting for running requests and jobs");
            shutdown.cancel();
        }
    });
    Ok(())
}
