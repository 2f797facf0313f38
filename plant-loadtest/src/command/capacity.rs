//! `capacity`: how much does the service hold?

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{Exit, Failure, print, silence_libraries};
use crate::{
    access,
    capacity::{Found, Trial, Trials, level, search::Search},
    outcome::Model,
    profile::{Overrides, Plan, Profile},
    report::table,
    sla::Sla,
    target, timespan,
};

/// A search that goes on longer than this has lost its way.
const MOST_TRIALS: u32 = 40;

/// Arguments of `capacity`.
#[derive(Debug, Args)]
pub struct CapacityArguments {
    /// Whose users and promises: a built-in profile (see `list`), or the path of one
    pub profile: String,

    /// Where the service listens
    #[arg(short = 'H', long, value_name = "URL", default_value = "http://127.0.0.1:8001")]
    pub host: String,

    /// The first load to try, in users or, for an open profile, arrivals a second; a tenth of the
    /// profile's height unless given
    #[arg(long, value_name = "L")]
    pub from: Option<f64>,

    /// Never try more than this
    #[arg(long, value_name = "L", default_value_t = 100_000.0)]
    pub most: f64,

    /// How long each load is held
    #[arg(long, value_name = "D", default_value = "20s", value_parser = timespan::parse_positive)]
    pub step: Duration,

    /// Stop when what holds and what breaks are this close, in percent
    #[arg(long, value_name = "P", default_value_t = 5.0)]
    pub within: f64,

    /// The most that can be busy at once, for an open profile, instead of the profile's
    #[arg(short = 'u', long, value_name = "N")]
    pub users: Option<u32>,

    /// Judge by these promises: the name of a built-in SLA file, or the path of one
    #[arg(long, value_name = "F")]
    pub sla: Option<PathBuf>,

    /// How long one request may take
    #[arg(long, value_name = "D", default_value = "30s", value_parser = timespan::parse_positive)]
    pub timeout: Duration,

    /// What the accounts of test customers log in with, where the service demands tokens
    #[arg(
        long,
        value_name = "P",
        env = "LOAD_TEST_PASSWORD",
        hide_env_values = true,
        default_value = access::PASSWORD
    )]
    pub password: String,

    /// Allow a target on another machine
    #[arg(long)]
    pub allow_remote: bool,
}

/// Raises the load until a promise breaks, then closes in on where.
///
/// # Errors
/// When there is nothing to break, or nothing could be measured.
pub async fn capacity(arguments: &CapacityArguments) -> Result<Exit, Failure> {
    silence_libraries();
    let (trials, mut search, unit) = prepare(arguments).await?;
    let mut done: Vec<Trial> = Vec::new();
    while let Some(next) = search.next().filter(|_| done.len() < MOST_TRIALS as usize) {
        eprint!("{} {unit} … ", level(next));
        let trial = trials.try_level(next).await?;
        eprintln!("{}", trial.cells()[4]);
        // What the generator cannot do it cannot do more of either: the search goes on below.
        search.learn(next, matches!(trial.found, Found::Held));
        done.push(trial);
        if goose::is_killswitch_triggered() {
            return Err(Failure::new(Exit::CouldNotRun, &"interrupted: there is no answer yet"));
        }
    }
    print(&told(&done, &search, unit, arguments.step));
    Ok(match (at(&done, search.broke()), search.held()) {
        (Some(Trial { found: Found::GeneratorGaveUp(_), .. }), _) => Exit::NoVerdict,
        (_, None) => Exit::Failed,
        (_, Some(_)) => Exit::Good,
    })
}

/// The trial at this level.
fn at(done: &[Trial], level: Option<f64>) -> Option<&Trial> {
    let level = level?;
    done.iter().find(|trial| (trial.level - level).abs() < 1e-9)
}

async fn prepare(arguments: &CapacityArguments) -> Result<(Trials, Search, &'static str), Failure> {
    let mut profile = Profile::find(&arguments.profile)?;
    let plan = Plan::new(&profile, &Overrides::default())?;
    let wanted = arguments.sla.as_ref().map(|path| path.display().to_string());
    let Some(wanted) = wanted.or_else(|| profile.sla.clone()) else {
        let message = format!("{} promises nothing that could break: give --sla", profile.name);
        return Err(message.into());
    };
    let sla = Sla::find(&wanted, &plan.user_classes(), &plan.stages)?;
    let host = target::address(&arguments.host, arguments.allow_remote).await?;
    if !(arguments.within > 0.0 && arguments.within < 100.0) {
        return Err("--within must be above 0 and below 100 percent".to_owned().into());
    }
    let (height, unit) = match profile.model {
        Model::Open => (plan.rate(), "arrivals a second"),
        Model::Closed => (f64::from(plan.users), "users"),
    };
    let from = arguments.from.unwrap_or(height / 10.0);
    if !(from.is_finite() && from > 0.0 && arguments.most >= from) {
        return Err("--from must be above zero, and --most no less".to_owned().into());
    }
    if let (Model::Open, Some(users)) = (profile.model, arguments.users) {
        profile.users = users.max(1);
    }
    let whole = profile.model == Model::Closed;
    let search = Search::new(from, arguments.most, arguments.within / 100.0, whole);
    let step_s = arguments.step.as_secs();
    let mut trials = Trials::new(profile, &sla, &plan, &host, arguments.timeout, step_s);
    trials.password.clone_from(&arguments.password);
    if trials.promises() == 0 {
        return Err("none of the promises is about a load that is held".to_owned().into());
    }
    Ok((trials, search, unit))
}

fn told(done: &[Trial], search: &Search, unit: &str, step: Duration) -> String {
    let mut table = table::plain([unit, "answered a second", "P95", "errors", "promises"]);
    for trial in done {
        table.add_row(trial.cells());
    }
    let held = match at(done, search.held()) {
        Some(trial) => format!(
            "Held: {} {unit}, {:.1} requests a second answered rightly.",
            level(trial.level),
            trial.answered
        ),
        None => "Nothing held.".to_owned(),
    };
    let broke = match at(done, search.broke()) {
        Some(Trial { level: at, found: Found::GeneratorGaveUp(why), .. }) => {
            format!("The service may hold more, but at {} {unit} {why}.", level(*at))
        }
        Some(Trial { level: at, found: Found::Broke(what), .. }) => {
            format!("Breaks next, at {} {unit}: {what}.", level(*at))
        }
        _ => "No promise broke up to the highest load allowed (--most).".to_owned(),
    };
    let each = timespan::display(step.as_secs());
    format!("{held}\n{broke}\n\nEach load was held for {each}, in this order:\n{table}")
}
