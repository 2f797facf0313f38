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

/// The files that [`write()`] has written, and why others could not be.
#[derive(Debug, Default)]
pub struct Written {
    /// Paths of the files.
    pub files: Vec<PathBuf>,
    /// What could not be written.
    pub errors: Vec<WriteError>,
}

/// Writes every report that has a path, and creates missing folders; the HTML report beside `baseline`. A
/// report that cannot be written does not keep the others from being written.
#[must_use]
pub fn write(
    outcome: &Outcome,
    verdict: &Verdict,
    baseline: Option<&Outcome>,
    paths: &ReportPaths,
) -> Written {
    let mut written = Written::default();
    if let Some(path) = &paths.json {
        written.add(path, || Ok(json::render(outcome)));
    }
    if let Some(prefix) = &paths.csv {
        written.add_csv(prefix, outcome);
    }
    if let Some(path) = &paths.junit {
        written.add(path, || Ok(junit::render(outcome, verdict)?));
    }
    if let Some(path) = &paths.markdown {
        written.add(path, || Ok(markdown::render(outcome, verdict)));
    }
    if let Some(path) = &paths.metrics_json {
        written.add(path, || Ok(metrics::render(outcome, verdict)?));
    }
    if let Some(path) = &paths.html {
        written.add(path, || Ok(html::render(outcome, verdict, baseline)?));
    }
    written
}

impl Written {
    fn add(&mut self, path: &Path, render: impl FnOnce() -> Result<String, WriteError>) {
        let saved = render().and_then(|text| save(path, &text, &mut self.files));
        self.errors.extend(saved.err());
    }

    fn add_csv(&mut self, prefix: &Path, outcome: &Outcome) {
        match csv::render(outcome) {
            Ok(files) => {
                for (suffix, text) in files {
                    self.add(&with_suffix(prefix, suffix), || Ok(text));
                }
            }
            Err(error) => self.errors.push(error.into()),
        }
    }
}

/// Checks that the files of all reports can be written, and creates missing folders.
///
/// # Errors
/// The first file that cannot be written.
pub fn check_writable(paths: &ReportPaths) -> Result<(), WriteError> {
    let ReportPaths { html, csv, json, junit, markdown, metrics_json } = paths;
    for path in [html, csv, json, junit, markdown, metrics_json].into_iter().flatten() {
        let check = || {
            if path.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            create_folder(path)?;
            let temporary = temporary(path);
            fs::write(&temporary, "")?;
            fs::remove_file(&temporary)
        };
        check().map_err(|source| WriteError::File { path: path.clone(), source })?;
    }
    Ok(())
}

/// Writes one file, creates its folder if missing, and adds it to `written`.
///
/// # Errors
/// When the file cannot be written.
pub fn save(path: &Path, text: &str, written: &mut Vec<PathBuf>) -> Result<(), WriteError> {
    let save = || {
        create_folder(path)?;
        // Renaming is atomic: a concurrent reader never sees a partial file.
        let temporary = temporary(path);
        fs::write(&temporary, text)?;
        fs::rename(&temporary, path)
    };
    save().map_err(|source| WriteError::File { path: path.into(), source })?;
    written.push(path.into());
    Ok(())
}

fn create_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Returns the path that a file has until it is complete.
fn temporary(path: &Path) -> PathBuf {
    with_suffix(path, ".new")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}
