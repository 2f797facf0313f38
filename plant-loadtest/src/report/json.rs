//! The outcome as a file: everything measured, and what `report` reads again.

use std::{fs, path::Path};

use crate::{
    journal,
    outcome::{Outcome, VERSION},
};

/// Why a file is no outcome that this program understands.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Another version of the program wrote it.
    #[error("{path} has version {found}, and this program reads version {VERSION}")]
    Version {
        /// The file.
        path: String,
        /// Its version.
        found: u64,
    },
}

/// The outcome as JSON.
#[must_use]
pub fn render(outcome: &Outcome) -> String {
    let mut text = serde_json::to_string(outcome)
        .expect("an outcome has text keys and finite numbers only, which JSON can always hold");
    text.push('\n');
    text
}

/// Reads an outcome that [`render`] wrote, or what a killed run left of one.
///
/// # Errors
/// When there is none, or another version's.
pub fn read(path: &Path) -> Result<Outcome, ReadError> {
    let name = path.display().to_string();
    let unreadable = |reason: String| ReadError::Unreadable { path: name.clone(), reason };
    let bytes = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    // A kill may have torn a letter; what follows it is dropped anyway.
    let text = String::from_utf8_lossy(&bytes);
    if let Some(partial) = journal::outcome(&text) {
        return partial.map_err(|error| unreadable(error.to_string()));
    }
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    match value["version"].as_u64() {
        None => Err(unreadable("it is no outcome of this program".into())),
        Some(found) if found != u64::from(VERSION) => Err(ReadError::Version { path: name, found }),
        Some(_) => serde_json::from_value(value).map_err(|error| unreadable(error.to_string())),
    }
}
