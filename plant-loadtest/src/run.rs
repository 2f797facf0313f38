//! A run from beginning to end: check the target, watch it, load it, let it settle, write down.
//! Settling means that what was accepted is followed until it is done.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use goose::GooseError;

use crate::{
    access::{self, Accounts},
    client::{self, Destination},
    completion::{self, Work},
    engine::dashboard::Dashboard,
    engine::{
        closed,
        open::{self, OpenError},
    },
    exporter::Exporter,
    journal::Writing,
    outcome::{Class, Ended, Load, Model, Outcome, ResourceSample, Target, VERSION},
    probe::{self, Probe},
    profile::{Plan, Stage},
    progress::{Progress, Telling},
    recorder::{Cells, Recorder},
    scenarios::{ActsFor, Need},
    sla::{Figure, Sla},
    target::{self, TargetError},
};

/// Sockets for every user, and some for the rest of the program.
const FILES_BESIDE_USERS: u64 = 256;

/// How long the service may take to answer before the run, when it has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(10);

/// Seconds until a stage has its users.
const SETTLED_S: u32 = 2;

/// How long the service may take to answer after the run when no promise says so.
const SETTLE: Duration = Duration::from_secs(10);

/// What to run, and against what.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The load.
    pub plan: Plan,
    /// The promises.
    pub sla: Sla,
    /// The service, as `http://host:port`.
    pub host: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// What accounts log in with, where the service demands tokens.
    pub password: String,
    /// Goose's dashboard, in the closed model.
    pub dashboard: Option<Dashboard>,
    /// What is told while it runs.
    pub telling: Telling,
    /// Where results are written as they arrive.
    pub journal: Option<PathBuf>,
    /// Where the harness's own `/metrics` are.
    pub exporter: Option<SocketAddr>,
}

impl Settings {
    /// Settings of a run that nobody watches.
    #[must_use]
    pub fn new(plan: Plan, sla: Sla, host: String, timeout: Duration) -> Self {
        let telling = Telling { quiet: true, ..Telling::default() };
        Self {
            plan,
            sla,
            host,
            timeout,
            password: access::PASSWORD.into(),
            dashboard: None,
            telling,
            journal: None,
            exporter: None,
        }
    }
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The target is not fit to be loaded.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The HTTP library cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
    /// Goose does not run the plan.
    #[error("the load engine does not run: {0}")]
    Engine(#[from] GooseError),
    /// Users cannot be made ready.
    #[error("the load engine does not run: {0}")]
    Open(#[from] OpenError),
    /// The load makes no sense.
    #[error("{0}")]
    Plan(String),
    /// The exporter's address is taken.
    #[error("the harness's own metrics cannot be served at {0}: {1}")]
    Exporter(SocketAddr, std::io::Error),
    /// Not a single user came to start.
    #[error("no user ever started")]
    NoUser,
}

/// Runs `settings`.
///
/// # Errors
/// When nothing could be measured.
pub async fn run(settings: &Settings) -> Result<Outcome, RunError> {
    let http = client::transport(&settings.host, settings.timeout.min(PATIENCE))?;
    let accounts = check(&http, settings).await?;
    let open_files_limit = raise_open_files(settings.plan.users);

    let metrics_url = format!("{}/metrics", settings.host);
    let build = probe::build_info(&http, &metrics_url).await;
    let cells = Cells::of(&settings.plan.stages);
    let recorder = Arc::new(Recorder::new(probe::processors()).with_cells(cells));
    let probe = Probe::start(http.clone(), &settings.host, Arc::clone(&recorder));
    let exporter = match settings.exporter {
        None => None,
        Some(address) => Some(
            Exporter::start(address, &settings.plan.profile, Arc::clone(&recorder))
                .await
                .map_err(|error| RunError::Exporter(address, error))?,
        ),
    };
    let samples = probe.samples();
    let telling = settings.telling;
    let progress = Progress::start(&settings.plan, Arc::clone(&recorder), samples, telling);
    let terminated = tokio::spawn(stop_when_terminated());

    let began = SystemTime::now();
    let head = Outcome {
        version: VERSION,
        load: load(settings, &recorder),
        target: Target {
            host: settings.host.clone(),
            build,
            access: accounts.as_ref().map(|accounts| accounts.told()),
            healthy_after_s: None,
        },
        generator: probe::describe(open_files_limit),
        started_at: began.into(),
        duration_s: 0.0,
        ended: Ended::AsPlanned,
        endpoints: recorder.merge(&endpoint_names(&settings.plan)).0,
        failures: Vec::new(),
        samples: Vec::new(),
        arrivals: Vec::new(),
        completions: Vec::new(),
        advisory: Vec::new(),
        sla: settings.sla.clone(),
    };
    let journal = settings
        .journal
        .as_ref()
        .map(|path| Writing::start(path, head.clone(), Arc::clone(&recorder), probe.samples()));
    let mut destination = Destination::new(&settings.host, settings.timeout, Arc::clone(&recorder));
    destination.told = settings.dashboard.is_some();
    destination.accounts.clone_from(&accounts);
    let driven = drive(settings, &destination).await;
    terminated.abort();
    progress.stop();
    if let Some(journal) = journal {
        journal.stop();
    }
    let samples = probe.stop();
    driven?;

    let started = recorder.started().ok_or(RunError::NoUser)?;
    let duration_s = started.elapsed().as_secs_f64();
    let completions = completion::follow(
        &http,
        &settings.host,
        &work(&settings.plan),
        recorder.take_accepted(),
        completion::patience(&settings.sla),
    )
    .await;
    let ended =
        if goose::is_killswitch_triggered() { Ended::Interrupted } else { Ended::AsPlanned };
    let healthy_after_s =
        target::seconds_to_healthy(&http, &settings.host, patience(&settings.sla)).await;
    if let Some(exporter) = exporter {
        exporter.stop();
    }
    let advisory = match settings.dashboard {
        Some(_) => steered(&settings.plan, &samples),
        None => Vec::new(),
    };
    let (endpoints, failures) = recorder.merge(&endpoint_names(&settings.plan));
    let access = accounts.map(|accounts| accounts.told());
    let target = Target { access, healthy_after_s, ..head.target };
    let (load, arrivals) = (load(settings, &recorder), recorder.arrivals());
    Ok(Outcome {
        load,
        target,
        duration_s,
        ended,
        endpoints,
        failures,
        samples,
        arrivals,
        completions,
        advisory,
        ..head
    })
}

async fn drive(settings: &Settings, destination: &Destination) -> Result<(), RunError> {
    let plan = &settings.plan;
    match plan.model {
        Model::Closed => closed::drive(plan, destination, settings.dashboard.as_ref()).await?,
        Model::Open => {
            // Goose catches Ctrl-C by itself, but only while it attacks.
            let interrupted = tokio::spawn(stop_when_interrupted());
            let driven = open::drive(plan, destination).await;
            interrupted.abort();
            driven?;
        }
    }
    Ok(())
}

/// Whether the service is fit to be loaded; the accounts that users act for, where it demands some.
async fn check(
    http: &reqwest::Client,
    settings: &Settings,
) -> Result<Option<Arc<Accounts>>, TargetError> {
    let Settings { plan, host, .. } = settings;
    target::check_health(http, host).await?;
    let customers = plan.classes.iter().any(|share| share.class.acts_for == ActsFor::Customer);
    let accounts = match customers {
        true => target::log_in(http, host, &settings.password).await?,
        false => None,
    };
    target::check(http, host, &needs(plan), accounts.as_ref()).await?;
    Ok(accounts.map(Arc::new))
}

fn needs(plan: &Plan) -> Vec<Need> {
    let needs = plan.classes.iter().flat_map(|share| share.class.needs);
    needs.copied().collect::<BTreeSet<_>>().into_iter().collect()
}

fn work(plan: &Plan) -> Vec<&'static Work> {
    let mut work: Vec<_> =
        plan.classes.iter().flat_map(|share| share.class.work).copied().collect();
    work.dedup_by_key(|work| work.name);
    work
}

fn endpoint_names(plan: &Plan) -> Vec<&'static str> {
    let endpoints = plan.classes.iter().flat_map(|share| share.class.endpoints);
    endpoints.map(|endpoint| endpoint.name).collect()
}

/// Asks the system for as many sockets as the users need; the limit reached, if it tells.
fn raise_open_files(users: u32) -> Option<u64> {
    let wanted = u64::from(users) * 2 + FILES_BESIDE_USERS;
    let (soft, _) = rlimit::Resource::NOFILE.get().ok()?;
    if soft >= wanted {
        return Some(soft);
    }
    rlimit::increase_nofile_limit(wanted).ok()
}

/// Goose ends a run cleanly on Ctrl-C by itself; a polite `kill` should do the same.
async fn stop_when_terminated() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            terminate.recv().await;
            goose::trigger_killswitch("terminated");
        }
    }
}

/// The first Ctrl-C ends the run, the second one the program.
async fn stop_when_interrupted() {
    if tokio::signal::ctrl_c().await.is_ok() {
        goose::trigger_killswitch("interrupted");
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(130);
    }
}

fn patience(sla: &Sla) -> Duration {
    let survival = sla.promises.iter().filter(|promise| promise.figure == Figure::SecondsToHealthy);
    let longest = survival.map(|promise| promise.below).reduce(f64::max);
    longest.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(SETTLE)
}

/// Whether somebody changed the load in the dashboard: then it was another load than the plan's.
fn steered(plan: &Plan, samples: &[ResourceSample]) -> Vec<String> {
    let holds = plan.stages.iter().filter(|stage| stage.from_users == stage.to_users);
    let away = |stage: &Stage| {
        // Users who come and go take a moment.
        let settled = stage.from_s + SETTLED_S..stage.to_s.saturating_sub(1);
        let ours = samples.iter().filter(|sample| settled.contains(&sample.second));
        ours.filter(|sample| sample.users != stage.to_users).count() > 1
    };
    let stages: Vec<&str> =
        holds.filter(|stage| away(stage)).map(|stage| stage.name.as_str()).collect();
    if stages.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "advisory: there were other users than planned in {}, as somebody steering in the dashboard \
         would cause; the figures are of that load",
        stages.join(", ")
    )]
}

fn load(settings: &Settings, recorder: &Recorder) -> Load {
    let plan = &settings.plan;
    let joined = recorder.joined();
    let classes = plan.classes.iter().map(|share| {
        let (shortest, longest) = share.class.wait;
        Class {
            name: share.class.name.into(),
            weight: share.weight,
            users: joined.get(share.class.name).copied().unwrap_or_default(),
            mean_wait_s: if plan.saturate { 0.0 } else { (shortest + longest).as_secs_f64() / 2.0 },
        }
    });
    Load {
        profile: plan.profile.clone(),
        description: plan.description.clone(),
        changes: plan.changes.clone(),
        time_scale: plan.time_scale,
        model: plan.model,
        spacing: plan.spacing,
        users: plan.users,
        cell_s: recorder.cell_s(),
        classes: classes.collect(),
        stages: plan.stages.clone(),
        timeout_s: settings.timeout.as_secs_f64(),
    }
}
