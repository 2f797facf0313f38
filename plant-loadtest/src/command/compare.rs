//! `compare`: two sides of runs against each other, or many runs over time.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Exit, Failure, print};
use crate::{
    compare::{
        Change, Comparison, floor::Floors, history::History, report as written,
        run_figures::RunFigures,
    },
    report,
};

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct CompareArguments {
    /// Outcomes of the runs before the change (or all of them, with --history)
    #[arg(value_name = "BASE", required = true)]
    pub base: Vec<PathBuf>,

    /// Outcomes of the runs after it, behind `--`
    #[arg(value_name = "NEW", last = true)]
    pub new: Vec<PathBuf>,

    /// Order the runs by time and look for changes of level, instead of comparing two sides
    #[arg(long, conflicts_with = "new")]
    pub history: bool,

    /// Write the runs of --history here, a line for each run and endpoint
    #[arg(long, value_name = "F", requires = "history")]
    pub csv: Option<PathBuf>,

    /// Write the comparison here as Markdown, for a pull request
    #[arg(long, value_name = "F", conflicts_with = "history")]
    pub markdown: Option<PathBuf>,

    /// Write the comparison here as JSON
    #[arg(long, value_name = "F", conflicts_with = "history")]
    pub json: Option<PathBuf>,

    /// Where noise floors are kept
    #[arg(long, value_name = "F")]
    pub noise_floor_file: Option<PathBuf>,

    /// Treat INCONCLUSIVE as a failure (exit 1)
    #[arg(long)]
    pub strict: bool,
}

/// Compares and prints.
///
/// # Errors
/// When the files cannot be read, or cannot be compared.
pub fn compare(arguments: &CompareArguments) -> Result<Exit, Failure> {
    let base = read(&arguments.base)?;
    if arguments.history {
        return history(base, arguments.csv.as_deref());
    }
    let new = read(&arguments.new)?;
    let floors = Floors::read(&floor_path(arguments.noise_floor_file.as_deref()))?;
    let comparison = compared(&base, &new, &floors)?;
    let mut files = Vec::new();
    if let Some(path) = &arguments.markdown {
        report::save(path, &written::markdown(&comparison), &mut files)?;
    }
    if let Some(path) = &arguments.json {
        report::save(path, &json(&comparison)?, &mut files)?;
    }
    let files: String = files.iter().map(|path| format!("\n{}", path.display())).collect();
    print(&format!("{}\n{files}", written::text(&comparison)));
    Ok(exit(&comparison, arguments.strict))
}

/// Compares by the floor of the machine that the base ran on.
pub(super) fn compared(
    base: &[RunFigures],
    new: &[RunFigures],
    floors: &Floors,
) -> Result<Comparison, String> {
    let (machine, load) =
        base.first().map_or(("", ""), |run| (run.machine.as_str(), run.load.as_str()));
    Comparison::of(base, new, &floors.of(machine, load))
}

/// What a comparison means for the exit code: a hint never fails anything.
pub(super) fn exit(comparison: &Comparison, strict: bool) -> Exit {
    match comparison.change {
        _ if comparison.advisory => Exit::Good,
        Change::Regressed => Exit::Failed,
        Change::Inconclusive if strict => Exit::Failed,
        _ => Exit::Good,
    }
}

pub(super) fn floor_path(wanted: Option<&Path>) -> PathBuf {
    wanted.map_or_else(Floors::usual_path, Path::to_path_buf)
}

fn read(paths: &[PathBuf]) -> Result<Vec<RunFigures>, Failure> {
    paths.iter().map(|path| RunFigures::read(path).map_err(Failure::from)).collect()
}

fn history(runs: Vec<RunFigures>, csv: Option<&Path>) -> Result<Exit, Failure> {
    let history = History::of(runs)?;
    let mut files = Vec::new();
    if let Some(path) = csv {
        let text = written::history_csv(&history).map_err(report::WriteError::from)?;
        report::save(path, &text, &mut files)?;
    }
    let files: String = files.iter().map(|path| format!("\n\n{}", path.display())).collect();
    print(&format!("{}{files}", written::history_text(&history)));
    Ok(Exit::Good)
}

fn json(comparison: &Comparison) -> Result<String, Failure> {
    serde_json::to_string_pretty(comparison)
        .map(|text| text + "\n")
        .map_err(|error| Failure::new(Exit::CouldNotRun, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_hint_fails_nothing() {
        let outcome = example::outcome();
        let base = vec![RunFigures::of("a.json", &outcome)];
        let mut new = base.clone();
        for p95 in new[0].p95_ms.values_mut() {
            *p95 *= 3.0;
        }
        let mut comparison = compared(&base, &new, &Floors::default()).unwrap();
        assert_eq!(comparison.change, Change::Regressed);
        assert_eq!(exit(&comparison, true), Exit::Good);
        comparison.advisory = false;
        assert_eq!(exit(&comparison, false), Exit::Failed);
    }
}
