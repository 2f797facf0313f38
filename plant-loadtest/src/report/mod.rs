//! Writers of reports, one for each form. All read an outcome and its verdict and nothing else.

pub mod chart;
pub mod csv;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod metrics;
pub mod series;
pub mod summary;
pub mod table;
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
pub enum WriteError {
    /// The disk says no.
    #[error("{} cannot be written: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the disk says.
        source: io::Error,
    },
    /// The page's template does not fit its values.
    #[error("the HTML report cannot be drawn: {0}")]
    Html(#[from] minijinja::Error),
    /// The JUnit file's text cannot be made.
    #[error("the JUnit file cannot be drawn: {0}")]
    Junit(#[from] quick_junit::SerializeError),
    /// The metrics cannot be written as JSON.
    #[error("the metrics cannot be drawn: {0}")]
    Metrics(#[from] serde_json::Error),
    /// A table cannot be written down.
    #[error("the CSV files cannot be drawn: {0}")]
    Csv(#[from] ::csv::Error),
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
    if let Some(prefix) = &paths.csv {
        for (ending, text) in csv::render(outcome)? {
            let mut path = prefix.clone().into_os_string();
            path.push(ending);
            save(Path::new(&path), &text, &mut written)?;
        }
    }
    if let Some(path) = &paths.junit {
        save(path, &junit::render(outcome, verdict)?, &mut written)?;
    }
    if let Some(path) = &paths.markdown {
        save(path, &markdown::render(outcome, verdict), &mut written)?;
    }
    if let Some(path) = &paths.metrics {
        save(path, &metrics::render(outcome, verdict)?, &mut written)?;
    }
    if let Some(path) = &paths.html {
        save(path, &html::render(outcome, verdict)?, &mut written)?;
    }
    Ok(written)
}

/// Writes one file, makes its folder where it is missing, and notes it as `written`.
///
/// # Errors
/// When the disk says no.
pub fn save(path: &Path, text: &str, written: &mut Vec<PathBuf>) -> Result<(), WriteError> {
    let save = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Whoever reads meanwhile finds the old file or the new one, never half of it.
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        fs::write(&beside, text)?;
        fs::rename(&beside, path)
    };
    save().map_err(|source| WriteError::File { path: path.into(), source })?;
    written.push(path.into());
    Ok(())
}
