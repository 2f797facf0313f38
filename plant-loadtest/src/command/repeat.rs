//! `repeat`: as many runs as a comparison takes, the sides in turns.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use clap::Args;
use tokio::process::Command;

use super::{Exit, Failure, compare, print};
use crate::{
    compare::{self as comparing, floor::Floors, report as written, run_figures::RunFigures},
    outcome::Ended,
    profile::Profile,
    report::json,
};

/// Arguments of `repeat`.
#[derive(Debug, Args)]
pub struct RepeatArguments {
    /// A built-in profile (see `list`), or the path of a profile's TOML file
    pub profile: String,

    /// Where the service listens
    #[arg(short = 'H', long, value_name = "URL", default_value = "http://127.0.0.1:8001")]
    pub host: String,

    /// Where another version of it listens: the runs take turns, and are compared at the end
    #[arg(long, value_name = "URL", conflicts_with = "noise_floor")]
    pub against: Option<String>,

    /// Run both sides against the same service, to learn how much identical runs differ here
    #[arg(long)]
    pub noise_floor: bool,

    /// Runs a side; as many as the profile's endpoints take when left out
    #[arg(long, value_name = "N")]
    pub runs: Option<usize>,

    /// The folder for the outcomes
    #[arg(long, value_name = "DIR", default_value = "reports/repeated")]
    pub into: PathBuf,

    /// Where noise floors are kept
    #[arg(long, value_name = "F")]
    pub noise_floor_file: Option<PathBuf>,

    /// Treat INCONCLUSIVE as a failure (exit 1)
    #[arg(long)]
    pub strict: bool,

    /// What each `run` gets beside, behind `--`: -t 30s --time-scale 0.1 and the like
    #[arg(value_name = "RUN OPTIONS", last = true, allow_hyphen_values = true)]
    pub run_options: Vec<String>,
}

/// One of the two sides.
#[derive(Debug)]
struct Side {
    name: &'static str,
    host: String,
    runs: Vec<RunFigures>,
}

/// Runs, compares where there are two sides, and prints.
///
/// # Errors
/// When a run cannot start, or too few runs were asked for.
pub async fn repeat(arguments: &RepeatArguments) -> Result<Exit, Failure> {
    let profile = Profile::find(&arguments.profile)?;
    let endpoints: std::collections::BTreeSet<&str> = profile
        .classes
        .iter()
        .flat_map(|share| share.class.endpoints)
        .map(|endpoint| endpoint.name)
        .collect();
    let needed = comparing::runs_needed(endpoints.len());
    let runs = arguments.runs.unwrap_or(needed);
    if runs < needed {
        return Err(format!(
            "{runs} runs a side prove nothing: with {} endpoints it takes {needed}, because with \
             fewer even complete separation of the sides is too likely by chance",
            endpoints.len()
        )
        .into());
    }
    let mut sides = sides(arguments);
    for round in 0..runs {
        for turn in 0..sides.len() {
            // A B, B A, A B, …: a machine that slowly changes hits both sides alike.
            let index = if round % 2 == 0 { turn } else { sides.len() - 1 - turn };
            let outcome =
                arguments.into.join(format!("{}-{:02}.json", sides[index].name, round + 1));
            eprintln!("run {} of {runs}, {}", round + 1, sides[index].name);
            let Some(figures) = run_once(arguments, &sides[index].host, &outcome).await? else {
                return Err(Failure::new(Exit::CouldNotRun, &"interrupted"));
            };
            sides[index].runs.push(figures);
        }
    }
    conclude(arguments, &sides)
}

fn sides(arguments: &RepeatArguments) -> Vec<Side> {
    let side = |name, host: &str| Side { name, host: host.to_owned(), runs: Vec::new() };
    match &arguments.against {
        Some(other) => vec![side("base", &arguments.host), side("new", other)],
        None if arguments.noise_floor => {
            vec![side("same-a", &arguments.host), side("same-b", &arguments.host)]
        }
        None => vec![side("run", &arguments.host)],
    }
}

/// Runs in a process of its own, so that no run inherits connections or memory from another;
/// `None` when it was interrupted.
async fn run_once(
    arguments: &RepeatArguments,
    host: &str,
    outcome: &Path,
) -> Result<Option<RunFigures>, Failure> {
    let could_not = |reason: String| Failure::new(Exit::CouldNotRun, &reason);
    let program = std::env::current_exe().map_err(|error| could_not(error.to_string()))?;
    let mut command = Command::new(program);
    command
        .args(["run", &arguments.profile, "--headless", "--host", host, "--json"])
        .arg(outcome)
        .arg("--html")
        .arg(outcome.with_extension("html"))
        .args(&arguments.run_options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| could_not(error.to_string()))?;
    let (ended, interrupted) = tokio::select! {
        ended = child.wait() => (ended, false),
        // The terminal sends Ctrl-C to the run too, which then ends by itself with its report.
        _ = tokio::signal::ctrl_c() => (child.wait().await, true),
    };
    let code = ended.map_err(|error| could_not(error.to_string()))?.code();
    match code {
        Some(0 | 1 | 4) => {}
        Some(2) => return Err(Failure::new(Exit::Usage, &"a run refused its options, see above")),
        _ => return Err(could_not("a run could not be made, see above".into())),
    }
    let measured = json::read(outcome)?;
    if interrupted || measured.ended != Ended::AsPlanned {
        return Ok(None);
    }
    Ok(Some(RunFigures::of(&outcome.display().to_string(), &measured)))
}

fn conclude(arguments: &RepeatArguments, sides: &[Side]) -> Result<Exit, Failure> {
    let path = compare::floor_path(arguments.noise_floor_file.as_deref());
    let mut floors = Floors::read(&path)?;
    let [base, new] = sides else {
        let files: Vec<&str> =
            sides.iter().flat_map(|side| &side.runs).map(|run| run.file.as_str()).collect();
        print(&format!("{} runs:\n{}", files.len(), files.join("\n")));
        return Ok(Exit::Good);
    };
    if arguments.noise_floor {
        let all: Vec<RunFigures> =
            base.runs.iter().chain(&new.runs).filter(|run| run.valid).cloned().collect();
        let learnt = floors.learn(&all).cloned();
        floors.write(&path)?;
        let comparison = compare::compared(&base.runs, &new.runs, &floors)?;
        print(&format!("{}\n", written::text(&comparison)));
        let widest = learnt.iter().flat_map(|floor| floor.endpoints.values()).copied();
        print(&format!(
            "Identical runs differ by up to {:.1} % here, which is now the margin ({}).",
            widest.fold(0.0, f64::max),
            path.display()
        ));
        return Ok(Exit::Good);
    }
    let comparison = compare::compared(&base.runs, &new.runs, &floors)?;
    print(&written::text(&comparison));
    Ok(compare::exit(&comparison, arguments.strict))
}
