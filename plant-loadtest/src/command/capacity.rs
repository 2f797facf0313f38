//! `capacity`: searches for the highest load that meets all thresholds, by trials of one level of load
//! each.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{CommandError, Exit, disable_library_logging, report::find_thresholds};
use crate::{
    capacity::{
        Trial, TrialResult, TrialRunner, curve, format_level,
        search::{LevelResult, Search},
    },
    console::{print, print_error, write_error},
    duration,
    harness::Harness,
    load::Model,
    profile::{Overrides, Plan, Profile},
    report, target,
};

/// Maximum number of trials; ends a search that does not converge.
const MAX_TRIALS: usize = 40;

/// Arguments of `capacity`.
#[derive(Debug, Args)]
pub struct CapacityArguments {
    /// Profile with the user classes and thresholds: built-in (see `list`) or path of a TOML file
    pub profile: String,

    /// Base URL of the service [default: the local service that the program is made for]
    #[arg(short = 'H', long, value_name = "URL")]
    pub host: Option<String>,

    /// Level of the first trial: users (closed profiles) or arrivals per second (open profiles)
    /// [default: a tenth of the profile's peak]
    #[arg(long, value_name = "LEVEL")]
    pub from: Option<f64>,

    /// Highest level to try
    #[arg(long = "most", value_name = "LEVEL", default_value_t = 100_000.0)]
    pub max_load: f64,

    /// Duration of each trial. A trial in which a threshold is not decidable is run again, twice as
    /// long, up to eight times this
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

    /// Add a threshold, such as 'p95 < 300ms' or 'GET /items: p95 < 100ms'. Repeatable
    #[arg(long = "threshold", value_name = "LIMIT")]
    pub thresholds: Vec<String>,

    /// Write an HTML page with the curve of P95 over the load to this file
    /// [default: reports/capacity-PROFILE.html]
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Timeout for one request [default: that of the profile, else 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive)]
    pub timeout: Option<Duration>,

    /// Password of the test accounts, for a service that requires authentication
    /// [default: that of the seeded accounts]
    #[arg(long, value_name = "PASSWORD", env = "LOAD_TEST_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,

    /// Allow a target that is not a loopback address, such as another machine
    #[arg(long)]
    pub allow_remote: bool,
}

/// Doubles the level until a threshold is violated, then bisects, and prints all trials.
///
/// # Errors
/// When there are no thresholds, or a trial cannot be measured.
pub async fn capacity(
    harness: &Harness,
    arguments: &CapacityArguments,
) -> Result<Exit, CommandError> {
    disable_library_logging();
    let (trials, mut search, unit) = prepare(harness, arguments).await?;
    let mut completed: Vec<Trial> = Vec::new();
    while let Some(next) = search.next_level().filter(|_| completed.len() < MAX_TRIALS) {
        write_error(&format!("{} {unit} … ", format_level(next)));
        let trial = trials.run_trial(next).await?;
        print_error(&trial.table_row()[4]);
        // A load that the generator cannot produce counts as violated: higher loads are not tried.
        let result = match trial.result {
            TrialResult::Met => LevelResult::Met,
            TrialResult::Undecided(_) => LevelResult::Undecided,
            TrialResult::Violated(_) | TrialResult::GeneratorLimited(_) => LevelResult::Violated,
        };
        search.record(next, result);
        completed.push(trial);
        if goose::is_killswitch_triggered() {
            return Err(CommandError::new(
                Exit::CouldNotRun,
                &"interrupted before the search ended; run it again for a result",
            ));
        }
    }
    let result = describe_result(&completed, &search, unit);
    let mut files = Vec::new();
    let path = arguments.html.clone().unwrap_or_else(|| default_html(&arguments.profile));
    let page = curve::html(&arguments.profile, unit, &completed, &result);
    report::save(&path, &page, &mut files)?;
    let length = duration::format(arguments.trial_duration.as_secs());
    print(&format!(
        "{result}\n\nTrials of {length} each, longer where a threshold was not decidable, in this \
         order:\n{}\n\n{}",
        curve::table(unit, &completed),
        path.display()
    ));
    Ok(match (find_trial(&completed, search.lowest_violated()), search.highest_met()) {
        (Some(Trial { result: TrialResult::GeneratorLimited(_), .. }), _) => Exit::Undecided,
        (None, None) => Exit::Undecided,
        (Some(_), None) => Exit::Failed,
        (_, Some(_)) => Exit::Success,
    })
}

fn default_html(profile: &str) -> PathBuf {
    let name = std::path::Path::new(profile).file_stem().map(|stem| stem.to_string_lossy());
    PathBuf::from(format!("reports/capacity-{}.html", name.unwrap_or_default()))
}

/// Returns the trial at `level`.
fn find_trial(completed: &[Trial], level: Option<f64>) -> Option<&Trial> {
    let level = level?;
    completed.iter().find(|trial| (trial.level - level).abs() < 1e-9)
}

async fn prepare(
    harness: &Harness,
    arguments: &CapacityArguments,
) -> Result<(TrialRunner, Search, &'static str), CommandError> {
    let mut profile = Profile::find(harness, &arguments.profile)?;
    let plan = Plan::new(&profile, &Overrides::default())?;
    let sla_name = arguments.sla.as_ref().map(|path| path.display().to_string());
    let names = profile.allowed_names(harness, &plan);
    let sla =
        find_thresholds(harness, &profile, &names, sla_name.as_deref(), &arguments.thresholds)?;
    if sla.thresholds.is_empty() {
        let message =
            format!("profile {} has no thresholds; set --sla or --threshold", profile.name);
        return Err(message.into());
    }
    let service = profile.service(harness);
    let host = arguments.host.as_ref().unwrap_or(&service.host);
    let host = target::parse_address(host, arguments.allow_remote).await?;
    if let Some(notice) = target::remote_notice(&host).await {
        print_error(&format!("Note: {notice}"));
    }
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
    profile.timeout = arguments.timeout.unwrap_or(profile.timeout);
    let integral = profile.model == Model::Closed;
    let search =
        Search::new(from, arguments.max_load, arguments.precision_percent / 100.0, integral);
    let step_s = arguments.trial_duration.as_secs();
    let mut trials = TrialRunner::new(profile, &sla, &plan, &host, step_s);
    trials.password.clone_from(&arguments.password);
    trials.options = harness.option_values.clone();
    trials.service = service;
    if trials.threshold_count() == 0 {
        return Err(format!("no threshold of {} applies to a constant load", sla.name).into());
    }
    Ok((trials, search, unit))
}

/// Describes the result: the highest load that met all thresholds, the first violation above it, and
/// the knee of the curve.
fn describe_result(completed: &[Trial], search: &Search, unit: &str) -> String {
    let highest = match find_trial(completed, search.highest_met()) {
        Some(trial) => format!(
            "Highest load that met all thresholds: {}, {:.1} successful requests/s.",
            curve::describe_level(trial.level, unit),
            trial.throughput
        ),
        None => "No load met all thresholds.".to_owned(),
    };
    let undecided =
        completed.iter().rfind(|trial| matches!(trial.result, TrialResult::Undecided(_)));
    let next = match (find_trial(completed, search.lowest_violated()), undecided) {
        (Some(Trial { level, result: TrialResult::GeneratorLimited(reason), .. }), _) => {
            format!(
                "The limit of the service was not reached: at {} {reason}.",
                curve::describe_level(*level, unit)
            )
        }
        (Some(Trial { level, result: TrialResult::Violated(violations), .. }), _) => {
            format!("First violation, at {}: {violations}.", curve::describe_level(*level, unit))
        }
        (_, Some(Trial { level, result: TrialResult::Undecided(reason), .. })) => {
            format!(
                "Not decidable at {}: {reason}. Longer trials (--step) have more requests.",
                curve::describe_level(*level, unit)
            )
        }
        _ => "No threshold was violated up to the highest level to try (--most).".to_owned(),
    };
    let knee = curve::describe_knee(&curve::points(completed), unit);
    format!("{highest}\n{next}\n{knee}").trim_end().to_owned()
}
