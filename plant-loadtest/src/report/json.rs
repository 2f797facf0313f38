//! Writes and reads outcome files, which contain all measurements of a run.

use std::{fs, path::Path};

use crate::{
    journal,
    outcome::{MIN_VERSION, Outcome, VERSION},
};

/// Reasons why a file cannot be read as an outcome.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read or parsed.
    #[error("{path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// The cause.
        reason: String,
    },
    /// The file has another format version.
    #[error(
        "{path} has format version {found}; this program reads versions {MIN_VERSION} to {VERSION}"
    )]
    Version {
        /// The file.
        path: String,
        /// The format version of the file.
        found: u64,
    },
}

/// Renders the outcome as JSON.
#[must_use]
pub fn render(outcome: &Outcome) -> String {
    let mut text =
        serde_json::to_string(outcome).expect("an outcome has only string keys and finite numbers");
    text.push('\n');
    text
}

/// Reads an outcome that [`render`] wrote, or the partial one of a killed run.
///
/// # Errors
/// When the file is not an outcome, or has another format version.
pub fn read(path: &Path) -> Result<Outcome, ReadError> {
    let name = path.display().to_string();
    let unreadable = |reason: String| ReadError::Unreadable { path: name.clone(), reason };
    let bytes = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    // A killed run may end within a character. The incomplete last line is dropped anyway.
    let text = String::from_utf8_lossy(&bytes);
    if let Some(partial) = journal::read_outcome(&text) {
        return partial
            .map(|outcome| Outcome { version: VERSION, ..outcome })
            .map_err(|error| unreadable(error.to_string()));
    }
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    match value["version"].as_u64() {
        None => Err(unreadable("not an outcome file of plant-loadtest".into())),
        Some(found) if (MIN_VERSION.into()..=VERSION.into()).contains(&found) => {
            let outcome: Outcome =
                serde_json::from_value(value).map_err(|error| unreadable(error.to_string()))?;
            Ok(Outcome { version: VERSION, ..outcome })
        }
        Some(found) => Err(ReadError::Version { path: name, found }),
    }
}
