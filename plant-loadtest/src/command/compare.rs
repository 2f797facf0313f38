//! `compare`: compares runs before and after a change, or detects changes in a series of runs.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{CommandError, Exit};
use crate::{
    compare::{
        Change, Comparison, history::History, noise_floor::NoiseFloorFile,
        report as comparison_report, run_metrics::RunMetrics,
    },
    console::print,
    report,
};

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct CompareArguments {
    /// Outcome files of the runs before the change (with --history: of all runs)
    #[arg(value_name = "BASE", required = true)]
    pub base: Vec<PathBuf>,

    /// Outcome files of the runs after the change, following `--`
    #[arg(value_name = "NEW", last = true)]
    pub new: Vec<PathBuf>,

    /// Order the runs by time and detect step changes, instead of comparing two sides
    #[arg(long, conflicts_with = "new")]
    pub history: bool,

    /// Write the runs of --history as CSV to this file, one line per run and endpoint
    #[arg(long, value_name = "FILE", requires = "history")]
    pub csv: Option<PathBuf>,

    /// Write the comparison as Markdown for a pull request to this file
    #[arg(long, value_name = "FILE", conflicts_with = "history")]
    pub markdown: Option<PathBuf>,

    /// Write the comparison as JSON to this file
    #[arg(long, value_name = "FILE", conflicts_with = "history")]
    pub json: Option<PathBuf>,

    /// File with the measured noise floors
    /// [default: ~/.local/share/plant-loadtest/noise-floor.json]
    #[arg(long, value_name = "FILE")]
    pub noise_floor_file: Option<PathBuf>,

    /// Treat INCONCLUSIVE as a failure (exit 1)
    #[arg(long)]
    pub strict: bool,
}

/// Compares the runs and prints the result.
///
/// # Errors
/// When a file cannot be read, or the runs are not comparable.
pub fn compare(arguments: &CompareArguments) -> Result<Exit, CommandError> {
    let base = read(&arguments.base)?;
    if arguments.history {
        return history(base, arguments.csv.as_deref());
    }
    let new = read(&arguments.new)?;
    let floors = NoiseFloorFile::read(&noise_floor_path(arguments.noise_floor_file.as_deref()))?;
    let comparison = compare_runs(&base, &new, &floors)?;
    let mut files = Vec::new();
    if let Some(path) = &arguments.markdown {
        report::save(path, &comparison_report::markdown(&comparison), &mut files)?;
    }
    if let Some(path) = &arguments.json {
        report::save(path, &json(&comparison)?, &mut files)?;
    }
    let files: String = files.iter().map(|path| format!("\n{}", path.display())).collect();
    print(&format!("{}\n{files}", comparison_report::text(&comparison)));
    Ok(exit(&comparison, arguments.strict))
}

/// Compares `base` and `new` with the noise floor of the machine that ran the base side.
pub(super) fn compare_runs(
    base: &[RunMetrics],
    new: &[RunMetrics],
    floors: &NoiseFloorFile,
) -> Result<Comparison, String> {
    let (machine, load) =
        base.first().map_or(("", ""), |run| (run.machine.as_str(), run.load.as_str()));
    Comparison::new(base, new, &floors.for_load(machine, load))
}

/// Returns the exit code of a comparison: an advisory one always succeeds.
pub(super) fn exit(comparison: &Comparison, strict: bool) -> Exit {
    match comparison.change {
        _ if comparison.advisory => Exit::Success,
        Change::Regressed => Exit::Failed,
        Change::Inconclusive if strict => Exit::Failed,
        _ => Exit::Success,
    }
}

pub(super) fn noise_floor_path(path: Option<&Path>) -> PathBuf {
    path.map_or_else(NoiseFloorFile::default_path, Path::to_path_buf)
}

fn read(paths: &[PathBuf]) -> Result<Vec<RunMetrics>, CommandError> {
    paths.iter().map(|path| RunMetrics::read(path).map_err(CommandError::from)).collect()
}

fn history(runs: Vec<RunMetrics>, csv: Option<&Path>) -> Result<Exit, CommandError> {
    let history = History::new(runs)?;
    let mut files = Vec::new();
    if let Some(path) = csv {
        let text = comparison_report::history_csv(&history).map_err(report::WriteError::from)?;
        report::save(path, &text, &mut files)?;
    }
    let files: String = files.iter().map(|path| format!("\n\n{}", path.display())).collect();
    print(&format!("{}{files}", comparison_report::history_text(&history)));
    Ok(Exit::Success)
}

fn json(comparison: &Comparison) -> Result<String, CommandError> {
    serde_json::to_string_pretty(comparison)
        .map(|text| text + "\n")
        .map_err(|error| CommandError::new(Exit::CouldNotRun, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn an_advisory_regression_does_not_fail() {
        let outcome = example::outcome();
        let base = vec![RunMetrics::from_outcome("a.json", &outcome)];
        let mut new = base.clone();
        new[0].started_at += chrono::TimeDelta::seconds(60);
        for p95 in new[0].p95_ms.values_mut() {
            *p95 *= 3.0;
        }
        let mut comparison = compare_runs(&base, &new, &NoiseFloorFile::default()).unwrap();
        assert_eq!(comparison.change, Change::Regressed);
        assert_eq!(exit(&comparison, true), Exit::Success);
        comparison.advisory = false;
        assert_eq!(exit(&comparison, false), Exit::Failed);
    }
}
