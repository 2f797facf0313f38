//! `merge`: merges the outcomes of several load generators, judges the result and writes its reports.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    CommandError, Exit,
    report::{PrintOptions, ReportOptions, command_line_paths, judge_saved, report_command},
};
use crate::{
    harness::Harness,
    merge::{self, Part},
    report::{self, json},
};

/// Arguments of `merge`.
#[derive(Debug, Args)]
pub struct MergeArguments {
    /// Outcomes of the load generators, finished or partial; of a folder all its *.json files. An empty file
    /// is one of a generator that was lost before its first results
    #[arg(required = true, value_name = "OUTCOME")]
    pub outcomes: Vec<PathBuf>,

    /// Treat a WARNING as a failure (exit 1)
    #[arg(long)]
    pub strict: bool,

    /// Print every threshold with its state, and how the grade follows
    #[arg(long)]
    pub explain: bool,

    /// SLA file and report files.
    #[command(flatten)]
    pub reports: ReportOptions,
}

/// Merges outcomes, judges the result and writes its reports.
///
/// # Errors
/// When an outcome cannot be read, they do not belong together, or a report cannot be written.
pub fn merge(harness: &Harness, arguments: &MergeArguments) -> Result<Exit, CommandError> {
    let mut parts = Vec::new();
    for path in files(&arguments.outcomes)? {
        parts.push(read(&path)?);
    }
    let outcome = merge::merge(parts)?;
    let paths = command_line_paths(arguments.reports.clone());
    report::check_writable(&paths)?;
    let options = PrintOptions {
        no_color: arguments.reports.no_color,
        strict: arguments.strict,
        explain: arguments.explain,
        verbose: arguments.reports.verbose,
        again: paths.json.as_deref().map(|outcome| report_command(harness, outcome)),
    };
    judge_saved(harness, &outcome, &arguments.reports, &paths, &options)
}

/// Returns the files to read, each once.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CommandError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = fs::read_dir(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
            let of_folder = entries.into_iter().map(|entry| entry.path());
            files
                .extend(of_folder.filter(|file| file.extension().is_some_and(|end| end == "json")));
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    // One file may have two paths. What cannot be resolved cannot be read either, and is reported then.
    let mut known = BTreeSet::new();
    files.retain(|file| fs::canonicalize(file).map_or(true, |path| known.insert(path)));
    match files.is_empty() {
        true => Err("there is no outcome to merge".to_owned().into()),
        false => Ok(files),
    }
}

fn read(path: &Path) -> Result<Part, CommandError> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".outcome").unwrap_or(&name).to_owned();
    let is_empty = fs::metadata(path).is_ok_and(|file| file.len() == 0);
    let outcome = if is_empty { None } else { Some(json::read(path)?) };
    Ok(Part { name, outcome })
}
