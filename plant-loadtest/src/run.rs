//! A run from start to end: checks the target, starts monitoring, runs the load engine, waits until
//! accepted work has ended, waits until the service is healthy, and returns the outcome.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};
use tokio::time::sleep;

use crate::{
    abort::AbortMonitor,
    access::{self, Account},
    actions::{self, ActionRunner},
    class_options::ClassOptions,
    client::{self, ClientConfig, Endpoint},
    completion,
    console::print_error,
    dashboard::Dashboard,
    engine::{self, EngineError, closed, control::UserControl, iterations, open},
    exporter::Exporter,
    journal::JournalWriter,
    live::{InProgress, LiveOutcome},
    load::{Model, Stage},
    outcome::{
        Class, ClassEndpoint, Ended, Load, Outcome, ResourceSample, RunStart, Target, VERSION,
    },
    probe::{self, Exposition, Probe},
    profile::Plan,
    progress::{Progress, ProgressOptions},
    recorder::{Cells, Recorder},
    scenario::CheckContext,
    service::Service,
    service_metrics,
    sla::{Metric, Resource, Sla, Unmeasured},
    target::{self, TargetError},
    work::WorkKind,
};

/// Open files reserved for everything except the sockets of virtual users.
const RESERVED_OPEN_FILES: u64 = 256;

/// Timeout for one request of the checks before the run, when the service is idle.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// How much earlier than planned a complete run may end, in seconds.
const MAX_EARLY_END_S: f64 = 1.0;

/// Seconds after the start of a stage in which the number of users may still differ from the plan.
const USER_CHANGE_S: u32 = 2;

/// How long to wait for the service to become healthy after the run if no threshold limits that
/// time.
const DEFAULT_HEALTH_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the waits after the load take at least if the run was interrupted: as long as a healthy service
/// needs to answer.
const MIN_WAIT: Duration = Duration::from_secs(1);

/// How long to wait after the accepted work has ended until the service reports an empty queue. Gauges may
/// be updated some seconds late.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings for a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Load to generate.
    pub plan: Plan,
    /// Thresholds to judge the run by.
    pub sla: Sla,
    /// Base URL of the service: `http://host:port`.
    pub host: String,
    /// The service: its health check and metrics.
    pub service: Service,
    /// How long to wait for accepted work after the load; `None`: see
    /// [`completion::drain_timeout`].
    pub drain_timeout: Option<Duration>,
    /// Password of the test accounts, for the checks of the user classes.
    pub password: Option<String>,
    /// Values of the program's options, for the user classes and their checks.
    pub options: ClassOptions,
    /// The dashboard that shows the run.
    pub dashboard: Option<Arc<Dashboard>>,
    /// Progress output.
    pub progress: ProgressOptions,
    /// Path of the journal, the file to which results are written during the run.
    pub journal: Option<PathBuf>,
    /// Address at which the load generator serves its own `/metrics`.
    pub exporter: Option<SocketAddr>,
    /// The command line that repeats the run; empty if there is none.
    pub command: Vec<String>,
    /// When the load starts; `None`: after the checks.
    pub start_at: Option<DateTime<Utc>>,
}

impl Settings {
    /// Returns settings for the default [`Service`] at `host`, without progress output, dashboard,
    /// journal, exporter and command line.
    #[must_use]
    pub fn new(plan: Plan, sla: Sla, host: String) -> Self {
        let progress = ProgressOptions { quiet: true, ..ProgressOptions::default() };
        Self {
            plan,
            sla,
            host,
            service: Service::default(),
            drain_timeout: None,
            password: None,
            options: ClassOptions::default(),
            dashboard: None,
            progress,
            journal: None,
            exporter: None,
            command: Vec::new(),
            start_at: None,
        }
    }
}

/// Error of a run that has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A check of the target failed.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The HTTP client cannot be initialized.
    #[error("HTTP client could not be initialized: {0}")]
    Client(#[from] reqwest::Error),
    /// The load engine failed.
    #[error("load engine failed: {0}")]
    Engine(#[from] EngineError),
    /// The plan is invalid.
    #[error("{0}")]
    Plan(String),
    /// The exporter cannot listen on its address.
    #[error("metrics of the load generator could not be served at {0}: {1}")]
    Exporter(SocketAddr, std::io::Error),
    /// The service does not export what a required threshold limits.
    #[error("{}", join_lines(.0))]
    NotMeasured(Vec<Unmeasured>),
    /// An action of the profile cannot be started.
    #[error(transparent)]
    Action(#[from] actions::ActionError),
    /// No virtual user started.
    #[error("no virtual user started")]
    NoUser,
    /// The time at which the load was to start had passed.
    #[error(
        "the load was to start at {0}, but the checks had not ended before; choose a later time"
    )]
    StartMissed(DateTime<Utc>),
}

/// Runs a load test and returns its outcome.
///
/// # Errors
/// When the run cannot start or has no measurements.
pub async fn run(settings: &Settings) -> Result<Outcome, RunError> {
    engine::check(&settings.plan)?;
    actions::check(&settings.plan.actions)?;
    let timeout = settings.plan.timeout.min(CHECK_TIMEOUT);
    let http = client::checks_client(&settings.host, timeout, &settings.plan.http)?;
    let context = CheckContext {
        http: http.clone(),
        host: settings.host.clone(),
        password: settings.password.clone(),
        options: settings.options.clone(),
        accounts: Vec::new(),
    };
    let accounts = check_target(&settings.plan, &settings.service, context).await?;
    let open_files_limit = raise_open_files(settings.plan.users);

    probe::check_process(&settings.service, &settings.host)
        .map_err(|reason| TargetError::NotReady { host: settings.host.clone(), reason })?;
    let metrics = settings.service.metrics.as_ref();
    let first_metrics = probe::first_scrape(&http, &settings.host, metrics).await;
    check_measured(settings, &first_metrics)?;
    let build = first_metrics.labels("build_info").unwrap_or_default();
    let cells = Cells::for_stages(&settings.plan.stages);
    let recorder = Arc::new(Recorder::new(probe::available_cpus()).with_cells(cells));
    if let Some(start_at) = settings.start_at {
        recorder.start(instant_of(start_at)?);
    }
    let probe = Probe::start(
        http.clone(),
        &settings.host,
        &settings.service,
        &first_metrics,
        Arc::clone(&recorder),
    );
    let exporter = match settings.exporter {
        None => None,
        Some(address) => Some(
            Exporter::start(address, &settings.plan.profile, Arc::clone(&recorder))
                .await
                .map_err(|error| RunError::Exporter(address, error))?,
        ),
    };
    let samples = probe.samples();
    let options = settings.progress;
    let progress = Progress::start(&settings.plan, Arc::clone(&recorder), samples, options);
    let sigterm_task = tokio::spawn(stop_on_sigterm());

    let start = RunStart {
        load: describe_load(&settings.plan, &settings.command, &recorder),
        target: Target {
            host: settings.host.clone(),
            build: build.clone(),
            access: access::summary(&accounts),
            healthy_after_s: None,
            health_cut_short: false,
            queue_after: None,
        },
        generator: probe::describe_generator(open_files_limit),
        started_at: settings.start_at.unwrap_or_else(|| SystemTime::now().into()),
        endpoints: recorder.merge(&endpoint_names(&settings.plan)).0,
        counters: recorder.counters(&counter_names(&settings.plan)),
        sla: settings.sla.clone(),
    };
    let journal = settings.journal.as_ref().map(|path| {
        JournalWriter::start(path, start.clone(), Arc::clone(&recorder), probe.samples())
    });
    let abort_monitor = AbortMonitor::start(start.clone(), Arc::clone(&recorder), probe.samples());
    let mut config =
        ClientConfig::new(&settings.host, settings.plan.timeout, Arc::clone(&recorder));
    config.accounts = Arc::clone(&accounts);
    config.http = settings.plan.http.clone();
    config.options = settings.options.clone();
    let control = user_control(settings)?;
    let dashboard_task = settings.dashboard.as_ref().map(|dashboard| {
        let outcome = start.clone().into_outcome();
        let recorder = Arc::clone(&recorder);
        let live = LiveOutcome::new(outcome, recorder, probe.samples(), InProgress::Open);
        dashboard.show(live, control.clone())
    });
    let actions = ActionRunner::start(&settings.plan, &settings.host, &recorder);
    handle_ctrl_c();
    let result = run_engine(settings, &config, control.as_ref()).await;
    let ended_at = Instant::now();
    if let (Some(dashboard), Some(task)) = (&settings.dashboard, dashboard_task) {
        task.abort();
        dashboard.load_ended();
    }
    let wait_time = match goose::is_killswitch_triggered() {
        true => Duration::ZERO,
        false => actions::OUTLAST_TIMEOUT,
    };
    let actions = actions.stop(wait_time).await;
    progress.stop();
    let aborted = abort_monitor.stop().await;
    if let Some(journal) = journal {
        journal.stop();
    }
    result?;

    let started = recorder.started_at().ok_or(RunError::NoUser)?;
    let duration_s = ended_at.duration_since(started).as_secs_f64();
    let health = async {
        let timeout = health_timeout(&settings.sla);
        let healthy = target::wait_until_healthy(&http, &settings.host, &settings.service, timeout);
        tokio::select! {
            biased;
            healthy_after_s = healthy => (healthy_after_s, false),
            // The user has not ended an aborted run.
            () = interrupted(), if aborted.is_none() => (None, true),
        }
    };
    let kinds = work_kinds(&settings.plan);
    let completions = completion::wait_until_ended(
        &http,
        &settings.host,
        &kinds,
        recorder.take_accepted(),
        settings.drain_timeout.unwrap_or_else(|| completion::drain_timeout(&settings.sla)),
        interrupted(),
    );
    let ((healthy_after_s, health_cut_short), completions) = tokio::join!(health, completions);
    let queue_after = queue_after(&http, settings).await;
    let samples = probe.stop();
    sigterm_task.abort();
    let is_short = duration_s + MAX_EARLY_END_S < f64::from(settings.plan.seconds());
    let ended = match goose::is_killswitch_triggered() || is_short {
        true if aborted.is_some() => Ended::Aborted,
        true => Ended::Interrupted,
        false => Ended::AsPlanned,
    };
    if let Some(exporter) = exporter {
        exporter.stop();
    }
    let advisory = match settings.dashboard {
        Some(_) => load_change_note(&settings.plan, &samples),
        None => Vec::new(),
    };
    let (endpoints, failures) = recorder.merge(&endpoint_names(&settings.plan));
    let access = access::summary(&accounts);
    Ok(Outcome {
        version: VERSION,
        load: describe_load(&settings.plan, &settings.command, &recorder),
        target: Target {
            host: settings.host.clone(),
            build,
            access,
            healthy_after_s,
            health_cut_short,
            queue_after,
        },
        generator: start.generator,
        started_at: start.started_at,
        duration_s,
        ended,
        aborted: aborted.filter(|_| ended == Ended::Aborted),
        endpoints,
        failures,
        samples,
        arrivals: recorder.arrivals(),
        iterations: recorder.iterations(&settings.plan.stages),
        actions,
        counters: recorder.counters(&counter_names(&settings.plan)),
        completions,
        workers: Vec::new(),
        advisory,
        sla: start.sla,
    })
}

/// Returns the moment of a time in the future.
fn instant_of(time: DateTime<Utc>) -> Result<Instant, RunError> {
    let left = (time - DateTime::<Utc>::from(SystemTime::now())).to_std();
    left.map(|left| Instant::now() + left).map_err(|_| RunError::StartMissed(time))
}

fn join_lines(unmeasured: &[Unmeasured]) -> String {
    let lines: Vec<String> = unmeasured.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Checks that the metrics of the service before the load have what the required thresholds limit.
fn check_measured(settings: &Settings, first: &Exposition) -> Result<(), RunError> {
    let Settings { plan, sla, host, service, .. } = settings;
    let is_limited = |metric: &Metric| {
        let grows = *metric == Metric::Resource(Resource::Memory);
        let mut required = sla
            .thresholds
            .iter()
            .filter(|threshold| threshold.required && threshold.users.contains(plan.users));
        required.any(|threshold| threshold.metric == *metric)
            || (grows && sla.over_time.memory_growth.is_some())
    };
    let sample = probe::first_sample(service, host, first);
    let mut missing = service_metrics::missing(service, &sample);
    missing.retain(|missing| is_limited(&missing.metric));
    if missing.is_empty() { Ok(()) } else { Err(RunError::NotMeasured(missing)) }
}

/// Returns the control of the users for the dashboard; `None` if there is none, or if the users cannot be
/// changed.
fn user_control(settings: &Settings) -> Result<Option<UserControl>, EngineError> {
    let is_used = settings.dashboard.is_some() && closed::has_adjustable_users(&settings.plan);
    is_used.then(UserControl::new).transpose().map_err(EngineError::Control)
}

async fn run_engine(
    settings: &Settings,
    config: &ClientConfig,
    control: Option<&UserControl>,
) -> Result<(), EngineError> {
    let plan = &settings.plan;
    match plan.model {
        Model::Closed if plan.has_iterations() => iterations::run(plan, config).await,
        Model::Closed => closed::run(plan, config, control).await,
        Model::Open => open::run(plan, config).await,
    }
}

/// Ends the run at the first Ctrl-C, and the program at the second; from the first run on, for as long as
/// the program runs. Goose's own handler, which this replaces, would exit with the code of a FAIL.
fn handle_ctrl_c() {
    let handler = || {
        if goose::is_killswitch_triggered() {
            // Below the progress bar.
            print_error("");
            std::process::exit(130);
        }
        goose::trigger_killswitch("interrupted");
    };
    // Fails only if it was set before.
    let _ = ctrlc::set_handler(handler);
}

/// Checks the health of the service and runs the checks of the user classes. Returns the accounts that
/// virtual users share.
pub(crate) async fn check_target(
    plan: &Plan,
    service: &Service,
    mut context: CheckContext,
) -> Result<Arc<[Arc<Account>]>, TargetError> {
    target::check_health(&context.http, &context.host, service).await?;
    let classes: Vec<_> = plan.classes.iter().map(|weighted| weighted.class).collect();
    target::run_checks(classes, &mut context).await?;
    Ok(context.accounts.into())
}

/// Waits until the run is interrupted, or was aborted, and at least [`MIN_WAIT`].
async fn interrupted() {
    tokio::join!(engine::interrupted(), sleep(MIN_WAIT));
}

/// Waits until no job waits in the queue and returns the number of those that still do; `None` unless a
/// threshold limits it, or if the run was interrupted before the queue was empty.
async fn queue_after(http: &reqwest::Client, settings: &Settings) -> Option<f64> {
    let Settings { sla, host, service, .. } = settings;
    let is_limited = sla.thresholds.iter().any(|threshold| threshold.metric == Metric::QueueAfter);
    match (is_limited, &service.metrics) {
        (true, Some(metrics)) => {
            tokio::select! {
                biased;
                depth = probe::wait_until_queue_is_empty(http, host, metrics, QUEUE_TIMEOUT) => depth,
                () = interrupted() => None,
            }
        }
        _ => None,
    }
}

fn work_kinds(plan: &Plan) -> Vec<&'static WorkKind> {
    let mut kinds: Vec<_> =
        plan.classes.iter().flat_map(|weighted| weighted.class.work_kinds).copied().collect();
    kinds.dedup_by_key(|kind| kind.name);
    kinds
}

pub(crate) fn endpoint_names(plan: &Plan) -> Vec<&'static str> {
    let endpoints = plan.classes.iter().flat_map(|weighted| weighted.class.endpoints);
    endpoints.map(|endpoint| endpoint.name).collect()
}

pub(crate) fn counter_names(plan: &Plan) -> Vec<&'static str> {
    plan.classes.iter().flat_map(|weighted| weighted.class.counters).copied().collect()
}

/// Raises the soft limit of open files for `users` virtual users. Returns the limit, or `None` if
/// it is unknown.
pub(crate) fn raise_open_files(users: u32) -> Option<u64> {
    let required = u64::from(users) * 2 + RESERVED_OPEN_FILES;
    let (soft, _) = rlimit::Resource::NOFILE.get().ok()?;
    if soft >= required {
        return Some(soft);
    }
    rlimit::increase_nofile_limit(required).ok()
}

/// Ends the run cleanly on SIGTERM.
async fn stop_on_sigterm() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            terminate.recv().await;
            goose::trigger_killswitch("terminated");
        }
    }
}

/// Returns how long to wait for the service to become healthy: the highest limit on that time.
fn health_timeout(sla: &Sla) -> Duration {
    let limits =
        sla.thresholds.iter().filter(|threshold| threshold.metric == Metric::SecondsToHealthy);
    let longest = limits.map(|threshold| threshold.loosest_limit().value).reduce(f64::max);
    longest
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(DEFAULT_HEALTH_TIMEOUT)
}

/// Returns an advisory note if the number of users differed from the plan, which means that the
/// load was changed manually in the dashboard.
fn load_change_note(plan: &Plan, samples: &[ResourceSample]) -> Vec<String> {
    let constant = plan.stages.iter().filter(|stage| stage.from_users == stage.to_users);
    let differs = |stage: &Stage| {
        // Starting and stopping users takes a moment.
        let compared = stage.from_s + USER_CHANGE_S..stage.to_s.saturating_sub(1);
        let samples = samples.iter().filter(|sample| compared.contains(&sample.second));
        samples.filter(|sample| sample.users != stage.to_users).count() > 1
    };
    let stages: Vec<&str> =
        constant.filter(|stage| differs(stage)).map(|stage| stage.name.as_str()).collect();
    if stages.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "advisory: the number of users differed from the plan in {}, probably because it was changed \
         in the dashboard; the values are those of the changed load",
        stages.join(", ")
    )]
}

fn describe_endpoint(endpoint: &&Endpoint) -> ClassEndpoint {
    let tags = endpoint.tags.iter().map(|tag| (*tag).to_owned());
    ClassEndpoint { name: endpoint.name.into(), tags: tags.collect() }
}

/// Returns the load as the outcome describes it; `command` repeats it.
pub(crate) fn describe_load(plan: &Plan, command: &[String], recorder: &Recorder) -> Load {
    let started_users = recorder.started_by_class();
    let classes = plan.classes.iter().map(|weighted| {
        let (min_wait, max_wait) = weighted.class.wait;
        Class {
            name: weighted.class.name.into(),
            weight: weighted.weight,
            users: started_users.get(weighted.class.name).copied().unwrap_or_default(),
            mean_wait_s: if plan.saturate || plan.has_iterations() {
                0.0
            } else {
                (min_wait + max_wait).as_secs_f64() / 2.0
            },
            endpoints: weighted.class.endpoints.iter().map(describe_endpoint).collect(),
            outside_tasks: weighted.class.outside_tasks.iter().map(|name| (*name).into()).collect(),
        }
    });
    Load {
        profile: plan.profile.clone(),
        description: plan.description.clone(),
        overrides: plan.overrides.clone(),
        time_scale: plan.time_scale,
        model: plan.model,
        spacing: plan.spacing,
        users: plan.users,
        share: plan.share,
        cell_s: recorder.cell_s(),
        classes: classes.collect(),
        stages: plan.stages.clone(),
        actions: plan.actions.clone(),
        timeout_s: plan.timeout.as_secs_f64(),
        command: command.to_vec(),
    }
}
