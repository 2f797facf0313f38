//! `worker`: runs the users that a Locust master orders.

use std::time::Duration;

use clap::Args;

use super::{CommandError, Exit, disable_library_logging, report::find_thresholds};
use crate::{
    duration,
    harness::Harness,
    load::Model,
    profile::{Overrides, Plan, Profile},
    trace::TraceHeader,
    worker::{self, Settings},
};

/// Arguments of `worker`.
#[derive(Debug, Args)]
pub struct WorkerArguments {
    /// Profile whose user classes to run: a built-in one (see `list`) or path of a TOML file. The number of
    /// users comes from the master
    pub profile: String,

    /// Host of the Locust master
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub master_host: String,

    /// Port of the Locust master
    #[arg(long, value_name = "PORT", default_value_t = 5557)]
    pub master_port: u16,

    /// Base URL of the service, unless the master orders another one [default: the local service that the
    /// program is made for]
    #[arg(short = 'H', long, value_name = "URL")]
    pub host: Option<String>,

    /// SLA file with the thresholds: built-in name or path [default: that of the profile]
    #[arg(long, value_name = "SLA")]
    pub sla: Option<String>,

    /// Add a threshold, such as 'p95 < 300ms'. Repeatable
    #[arg(long = "threshold", value_name = "LIMIT")]
    pub thresholds: Vec<String>,

    /// Timeout for one request [default: that of the profile, else 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive)]
    pub timeout: Option<Duration>,

    /// Share of the requests whose `traceparent` has the sampled flag, 0 to 1; `off`: no `traceparent`
    /// [default: that of the profile, else 0.01]
    #[arg(long, value_name = "SHARE")]
    pub traces: Option<TraceHeader>,

    /// Password of the test accounts, for a service that requires authentication
    /// [default: that of the seeded accounts]
    #[arg(long, value_name = "PASSWORD", env = "LOAD_TEST_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,

    /// How long the master may be silent before the users are stopped and another master is looked for; it
    /// replies to a heartbeat each second
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = duration::parse_positive,
        default_value = "1m",
        hide_short_help = true
    )]
    pub master_timeout: Duration,

    /// How long to look for a master before the worker ends
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive, default_value = "5m")]
    pub wait_for_master: Duration,

    /// Allow a target that is not a loopback address, such as another machine
    #[arg(long)]
    pub allow_remote: bool,
}

/// Runs users until the master ends the worker, or Ctrl-C.
///
/// # Errors
/// When the profile is invalid, or no master replies.
pub async fn worker(harness: &Harness, arguments: WorkerArguments) -> Result<Exit, CommandError> {
    disable_library_logging();
    let profile = Profile::find(harness, &arguments.profile)?;
    let mut plan = Plan::new(&profile, &Overrides::default())?;
    plan.timeout = arguments.timeout.unwrap_or(plan.timeout);
    plan.http.traces = arguments.traces.unwrap_or(plan.http.traces);
    let names = profile.allowed_names(harness, &plan);
    let sla_file = arguments.sla.as_deref();
    let sla = find_thresholds(harness, &profile, &names, sla_file, &arguments.thresholds)?;
    let service = profile.service(harness);
    let settings = Settings {
        plan: ordered_load(plan),
        sla,
        host: arguments.host.unwrap_or_else(|| service.host.clone()),
        service,
        allow_remote: arguments.allow_remote,
        password: arguments.password,
        options: harness.option_values.clone(),
        master: format!("{}:{}", arguments.master_host, arguments.master_port),
        master_timeout: arguments.master_timeout,
        search_timeout: arguments.wait_for_master,
        node_id: node_id(),
    };
    worker::run(settings).await?;
    Ok(Exit::Success)
}

/// Returns the plan without its load: users with think time, whose number the master orders.
fn ordered_load(plan: Plan) -> Plan {
    Plan {
        model: Model::Closed,
        users: 0,
        stages: Vec::new(),
        actions: Vec::new(),
        description: format!("{} (users ordered by Locust's master)", plan.description),
        ..plan
    }
}

/// Returns a node id like those of Locust's own workers: the name of the machine, and a random part.
fn node_id() -> String {
    #[cfg(unix)]
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let machine = std::env::consts::OS;
    // An identity has 255 bytes at most.
    let machine: String = machine.chars().filter(char::is_ascii_graphic).take(100).collect();
    format!("{machine}_{}", uuid::Uuid::new_v4().simple())
}
