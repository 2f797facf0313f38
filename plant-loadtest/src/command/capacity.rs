//! `capacity`: searches for the highest load that meets all thresholds, by trials of one level of load
//! each.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{CommandError, Exit, disable_library_logging, print};
use crate::{
    access,
    capacity::{Trial, TrialResult, TrialRunner, format_level, search::Search},
    duration,
    load::Model,
    profile::{Overrides, Plan, Profile},
    report::table,
    sla::Sla,
    target,
};

/// Maximum number of trials; ends a search that does not converge.
const MAX_TRIALS: usize = 40;

/// Arguments of `capacity`.
#[derive(Debug, Args)]
pub struct CapacityArguments {
    /// Profile with the user classes and thresholds: built-in (see `list`) or path of a TOML file
    pub profile: String,

    /// Base URL of the service
    #[arg(short = 'H', long, value_name = "URL", default_value = "http://127.0.0.1:8001")]
    pub host: String,

    /// Level of the first trial: users (closed profiles) or arrivals per second (open profiles)
    /// [default: a tenth of the profile's peak]
    #[arg(long, value_name = "LEVEL")]
    pub from: Option<f64>,

    /// Highest level to try
    #[arg(long = "most", value_name = "LEVEL", default_value_t = 100_000.0)]
    pub max_load: f64,

    /// Duration of each trial
    #[arg(long = "step", value_name = "DURATION", default_value = "20s", value_parser = duration::parse_positive)]
    pub trial_duration: Duration,

    /// Precision in percent: stop when the highest level that met the thresholds and the lowest one
    /// that violated them are this close
    #[arg(long = "within", value_name = "PERCENT", default_value_t = 5.0)]
    pub precision_percent: f64,

    /// Maximum concurrent users (open profiles only); overrides the profile
    #[arg(short = 'u', long, value_name = "N")]
    pub users: Option<u32>,

    /// SLA file with the thresholds: built-in name or path; overrides the profile
    #[arg(long, value_name = "SLA")]
    pub sla: Option<PathBuf>,

    /// Timeout for one request
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::parse_positive)]
    pub timeout: Duration,

    /// Password of the test accounts, for a service that requires authentication
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "LOAD_TEST_PASSWORD",
        hide_env_values = true,
        default_value = access::TEST_PASSWORD
    )]
    pub password: String,

    /// Allow a target that is not a loopback address, such as another machine
    #[arg(long)]
    pub allow_remote: bool,
}

/// Doubles the level until a threshold is violated, then bisects, and prints all trials.
///
/// # Errors
/// When there are no thresholds, or a trial cannot be measured.
pub async fn capacity(arguments: &CapacityArguments) -> Result<Exit, CommandError> {
    disable_library_logging();
    let (trials, mut search, unit) = prepare(arguments).await?;
    let mut completed: Vec<Trial> = Vec::new();
    while let Some(next) = search.next_level().filter(|_| completed.len() < MAX_TRIALS) {
        eprint!("{} {unit} … ", format_level(next));
        let trial = trials.run_trial(next).await?;
        eprintln!("{}", trial.table_row()[4]);
        // A load that the generator cannot produce counts as violated: higher loads are not tried.
        search.record(next, matches!(trial.result, TrialResult::Met));
        completed.push(trial);
        if goose::is_killswitch_triggered() {
            return Err(CommandError::new(
                Exit::CouldNotRun,
                &"interrupted before the search ended; run it again for a result",
            ));
        }
    }
    print(&summarize(&completed, &search, unit, arguments.trial_duration));
    Ok(match (find_trial(&completed, search.lowest_violated()), search.highest_met()) {
        (Some(Trial { result: TrialResult::GeneratorLimited(_), .. }), _) => Exit::Undecided,
        (_, None) => Exit::Failed,
        (_, Some(_)) => Exit::Success,
    })
}

/// Returns the trial at `level`.
fn find_trial(completed: &[Trial], level: Option<f64>) -> Option<&Trial> {
    let level = level?;
    completed.iter().find(|trial| (trial.level - level).abs() < 1e-9)
}

async fn prepare(
    arguments: &CapacityArguments,
) -> Result<(TrialRunner, Search, &'static str), CommandError> {
    let mut profile = Profile::find(&arguments.profile)?;
    let plan = Plan::new(&profile, &Overrides::default())?;
    let sla_name = arguments.sla.as_ref().map(|path| path.display().to_string());
    let Some(sla_name) = sla_name.or_else(|| profile.sla.clone()) else {
        let message = format!("profile {} has no SLA file; set --sla", profile.name);
        return Err(message.into());
    };
    let sla = Sla::find(&sla_name, &plan.allowed_names())?;
    let host = target::parse_address(&arguments.host, arguments.allow_remote).await?;
    if !(arguments.precision_percent > 0.0 && arguments.precision_percent < 100.0) {
        return Err("--within must be greater than 0 and less than 100".to_owned().into());
    }
    let (peak, unit) = match profile.model {
        Model::Open => (plan.peak_rate(), "arrivals/s"),
        Model::Closed => (f64::from(plan.users), "users"),
    };
    let from = arguments.from.unwrap_or(peak / 10.0);
    if !(from.is_finite() && from > 0.0 && arguments.max_load >= from) {
        return Err("--from must be greater than 0, and --most at least --from".to_owned().into());
    }
    if let (Model::Open, Some(users)) = (profile.model, arguments.users) {
        profile.users = users.max(1);
    }
    let integral = profile.model == Model::Closed;
    let search =
        Search::new(from, arguments.max_load, arguments.precision_percent / 100.0, integral);
    let step_s = arguments.trial_duration.as_secs();
    let mut trials = TrialRunner::new(profile, &sla, &plan, &host, arguments.timeout, step_s);
    trials.password.clone_from(&arguments.password);
    if trials.threshold_count() == 0 {
        return Err(format!("no threshold of {sla_name} applies to a constant load").into());
    }
    Ok((trials, search, unit))
}

fn summarize(completed: &[Trial], search: &Search, unit: &str, trial_duration: Duration) -> String {
    let mut table = table::plain([unit, "successful requests/s", "P95", "errors", "thresholds"]);
    for trial in completed {
        table.add_row(trial.table_row());
    }
    let highest = match find_trial(completed, search.highest_met()) {
        Some(trial) => format!(
            "Highest load that met all thresholds: {} {unit}, {:.1} successful requests/s.",
            format_level(trial.level),
            trial.throughput
        ),
        None => "No load met all thresholds.".to_owned(),
    };
    let next = match find_trial(completed, search.lowest_violated()) {
        Some(Trial { level, result: TrialResult::GeneratorLimited(reason), .. }) => {
            format!(
                "The limit of the service was not reached: at {} {unit} {reason}.",
                format_level(*level)
            )
        }
        Some(Trial { level, result: TrialResult::Violated(violations), .. }) => {
            format!("First violation, at {} {unit}: {violations}.", format_level(*level))
        }
        _ => "No threshold was violated up to the highest level to try (--most).".to_owned(),
    };
    let length = duration::format(trial_duration.as_secs());
    format!("{highest}\n{next}\n\nTrials of {length} each, in this order:\n{table}")
}
