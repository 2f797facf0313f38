//! Report writers, one per format. Their only inputs are an outcome and its verdict.

pub mod chart;
pub mod csv;
pub mod explain;
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

/// Reasons why a report cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The template of the HTML page fails.
    #[error("the HTML report cannot be rendered: {0}")]
    Html(#[from] minijinja::Error),
    /// The JUnit XML cannot be serialized.
    #[error("the JUnit report cannot be rendered: {0}")]
    Junit(#[from] quick_junit::SerializeError),
    /// The metrics cannot be serialized as JSON.
    #[error("load_test_metrics.json cannot be rendered: {0}")]
    Metrics(#[from] serde_json::Error),
    /// A table cannot be serialized as CSV.
    #[error("the CSV files cannot be rendered: {0}")]
    Csv(#[from] ::csv::Error),
}

/// Writes every report that has a path, creates missing folders, and returns the files written.
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
        for (suffix, text) in csv::render(outcome)? {
            let mut path = prefix.clone().into_os_string();
            path.push(suffix);
            save(Path::new(&path), &text, &mut written)?;
        }
    }
    if let Some(path) = &paths.junit {
        save(path, &junit::render(outcome, verdict)?, &mut written)?;
    }
    if let Some(path) = &paths.markdown {
        save(path, &markdown::render(outcome, verdict), &mut written)?;
    }
    if let Some(path) = &paths.metrics_json {
        save(path, &metrics::render(outcome, verdict)?, &mut written)?;
    }
    if let Some(path) = &paths.html {
        save(path, &html::render(outcome, verdict)?, &mut written)?;
    }
    Ok(written)
}

/// Writes one file, creates its folder if missing, and adds it to `written`.
///
/// # Errors
/// When the file cannot be written.
pub fn save(path: &Path, text: &str, written: &mut Vec<PathBuf>) -> Result<(), WriteError> {
    let save = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Renaming is atomic: a concurrent reader never sees a partial file.
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        fs::write(&temporary, text)?;
        fs::rename(&temporary, path)
    };
    save().map_err(|source| WriteError::File { path: path.into(), source })?;
    written.push(path.into());
    Ok(())
}
