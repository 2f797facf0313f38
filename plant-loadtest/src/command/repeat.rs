//! `repeat`: runs a profile several times, alternating between `--host` (base) and `--against` (new),
//! and compares the two.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use clap::Args;

use super::{
    CommandError, Exit,
    child::{self, ChildExit},
    compare,
};
use crate::{
    compare::{
        noise_floor::NoiseFloorFile, report as comparison_report, run_metrics::RunMetrics,
        runs_needed,
    },
    console::{print, print_error},
    harness::Harness,
    outcome::Ended,
    profile::Profile,
    report::json,
};

/// Arguments of `repeat`.
#[derive(Debug, Args)]
pub struct RepeatArguments {
    /// Built-in profile (see `list`) or path of a TOML file
    pub profile: String,

    /// Base URL of the service; with --against, that of the base side
    /// [default: the local service that the program is made for]
    #[arg(short = 'H', long, value_name = "URL")]
    pub host: Option<String>,

    /// Base URL of the new version of the service: runs alternate between --host (base) and --against
    /// (new) and are compared
    #[arg(long = "against", value_name = "URL", conflicts_with = "noise_floor")]
    pub new_host: Option<String>,

    /// Measure the noise floor, which is how much identical runs differ: run both sides against
    /// --host
    #[arg(long)]
    pub noise_floor: bool,

    /// Runs per side [default: the minimum for the number of endpoints in the profile]
    #[arg(long, value_name = "N")]
    pub runs: Option<usize>,

    /// Folder for the outcome files
    #[arg(long = "into", value_name = "DIR", default_value = "reports/repeated")]
    pub output_dir: PathBuf,

    /// File with the measured noise floors
    /// [default: ~/.local/share/plant-loadtest/noise-floor.json]
    #[arg(long, value_name = "FILE")]
    pub noise_floor_file: Option<PathBuf>,

    /// Treat INCONCLUSIVE as a failure (exit 1)
    #[arg(long)]
    pub strict: bool,

    /// Add a threshold to each run, such as 'p95 < 300ms' or 'GET /items: p95 < 100ms'. Repeatable
    #[arg(long = "threshold", value_name = "LIMIT")]
    pub thresholds: Vec<String>,

    /// Options passed to each `run`, following `--`, e.g. -t 30s --time-scale 0.1
    #[arg(value_name = "RUN OPTIONS", last = true, allow_hyphen_values = true)]
    pub run_options: Vec<String>,
}

/// One side of the comparison, or the only one.
#[derive(Debug)]
struct Side {
    name: &'static str,
    host: String,
    runs: Vec<RunMetrics>,
}

/// Executes the runs, compares them if there are two sides, and prints the result.
///
/// # Errors
/// When a run cannot start, or `--runs` is too low for a comparison.
pub async fn repeat(harness: &Harness, arguments: &RepeatArguments) -> Result<Exit, CommandError> {
    let profile = Profile::find(harness, &arguments.profile)?;
    let endpoints: std::collections::BTreeSet<&str> = profile
        .classes
        .iter()
        .flat_map(|weighted| weighted.class.endpoints)
        .map(|endpoint| endpoint.name)
        .collect();
    let needed = runs_needed(endpoints.len());
    let runs = arguments.runs.unwrap_or(needed);
    if runs < needed {
        return Err(format!(
            "--runs {runs} is too low: {} endpoints need at least {needed} runs per side, because with \
             fewer runs not even complete separation of the sides is significant",
            endpoints.len()
        )
        .into());
    }
    let service = profile.service(harness);
    let host = arguments.host.as_ref().unwrap_or(&service.host);
    let mut sides = sides(arguments, host);
    for round in 0..runs {
        for turn in 0..sides.len() {
            // A B, B A, A B, …: gradual changes of the machine affect both sides equally.
            let index = if round % 2 == 0 { turn } else { sides.len() - 1 - turn };
            let file =
                arguments.output_dir.join(format!("{}-{:02}.json", sides[index].name, round + 1));
            print_error(&format!("run {} of {runs}, {}", round + 1, sides[index].name));
            let Some(metrics) = run_once(arguments, &sides[index].host, &file).await? else {
                return Err(CommandError::new(Exit::CouldNotRun, &"interrupted"));
            };
            sides[index].runs.push(metrics);
        }
    }
    compare_sides(arguments, &sides)
}

fn sides(arguments: &RepeatArguments, host: &str) -> Vec<Side> {
    let side = |name, host: &str| Side { name, host: host.to_owned(), runs: Vec::new() };
    match &arguments.new_host {
        Some(new_host) => vec![side("base", host), side("new", new_host)],
        None if arguments.noise_floor => {
            vec![side("same-a", host), side("same-b", host)]
        }
        None => vec![side("run", host)],
    }
}

/// Executes one run in a separate process, so that runs share no connections or memory, and writes
/// its outcome to `file`. Returns `None` if it was interrupted.
async fn run_once(
    arguments: &RepeatArguments,
    host: &str,
    file: &Path,
) -> Result<Option<RunMetrics>, CommandError> {
    let mut command = child::run_command(&arguments.profile)?;
    command
        .args(["--host", host, "--json"])
        .arg(file)
        .arg("--html")
        .arg(file.with_extension("html"))
        .args(arguments.thresholds.iter().map(|limit| format!("--threshold={limit}")))
        .args(&arguments.run_options)
        .stdout(Stdio::null());
    let ChildExit { code, interrupted } = child::execute(command).await?;
    if !matches!(code, Some(0 | 1 | 4)) {
        return Err(CommandError::could_not_run(&"the run failed; see the message above"));
    }
    let outcome = json::read(file)?;
    if interrupted || outcome.ended != Ended::AsPlanned {
        return Ok(None);
    }
    Ok(Some(RunMetrics::from_outcome(&file.display().to_string(), &outcome)))
}

fn compare_sides(arguments: &RepeatArguments, sides: &[Side]) -> Result<Exit, CommandError> {
    let path = compare::noise_floor_path(arguments.noise_floor_file.as_deref());
    let mut floors = NoiseFloorFile::read(&path)?;
    let [base, new] = sides else {
        let files: Vec<&str> =
            sides.iter().flat_map(|side| &side.runs).map(|run| run.file.as_str()).collect();
        print(&format!("{} runs:\n{}", files.len(), files.join("\n")));
        return Ok(Exit::Success);
    };
    if arguments.noise_floor {
        let all: Vec<RunMetrics> =
            base.runs.iter().chain(&new.runs).filter(|run| run.valid).cloned().collect();
        let measured = floors.update(&all).cloned();
        floors.write(&path)?;
        let comparison = compare::compare_runs(&base.runs, &new.runs, &floors)?;
        print(&format!("{}\n", comparison_report::text(&comparison)));
        let shifts = measured.iter().flat_map(|floor| floor.endpoints.values()).copied();
        print(&format!(
            "Noise floor: identical runs differ by up to {:.1} % on this machine. Saved as the margin \
             for comparisons in {}.",
            shifts.fold(0.0, f64::max),
            path.display()
        ));
        return Ok(Exit::Success);
    }
    let comparison = compare::compare_runs(&base.runs, &new.runs, &floors)?;
    print(&comparison_report::text(&comparison));
    Ok(compare::exit(&comparison, arguments.strict))
}
