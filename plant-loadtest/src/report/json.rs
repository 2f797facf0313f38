//! Writes and reads outcome files, which contain all measurements of a run.

use std::{fs, path::Path};

use crate::{
    journal,
    outcome::{MIN_VERSION, Outcome, VERSION},
};

/// Maximum duration of a run, in seconds: a year.
const MAX_DURATION_S: f64 = 366.0 * 86_400.0;

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
        let outcome = partial.map_err(|error| unreadable(error.to_string()))?;
        return checked(outcome).map_err(unreadable);
    }
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    match value["version"].as_u64() {
        None => Err(unreadable("not an outcome file of plant-loadtest".into())),
        Some(found) if (MIN_VERSION.into()..=VERSION.into()).contains(&found) => {
            let outcome: Outcome =
                serde_json::from_value(value).map_err(|error| unreadable(error.to_string()))?;
            checked(outcome).map_err(unreadable)
        }
        Some(found) => Err(ReadError::Version { path: name, found }),
    }
}

/// Returns an outcome as one of the current version, if its durations are possible: charts and merges have
/// a point for each second.
fn checked(outcome: Outcome) -> Result<Outcome, String> {
    let planned_s = f64::from(outcome.planned_seconds());
    for (name, seconds) in [("duration_s", outcome.duration_s), ("the plan", planned_s)] {
        if !(0.0..=MAX_DURATION_S).contains(&seconds) {
            return Err(format!("{name} is {seconds} s, must be 0 to {MAX_DURATION_S}"));
        }
    }
    Ok(Outcome { version: VERSION, ..outcome })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn an_impossible_duration_is_refused() {
        for (duration_s, is_possible) in
            [(0.0, true), (MAX_DURATION_S, true), (-1.0, false), (1e300, false)]
        {
            let outcome = Outcome { duration_s, ..example::outcome() };
            assert_eq!(checked(outcome).is_ok(), is_possible, "{duration_s}");
        }
        let mut outcome = example::outcome();
        outcome.load.stages[1].to_s = u32::MAX;
        assert!(checked(outcome).unwrap_err().starts_with("the plan is 4294967295 s"));
    }
}
