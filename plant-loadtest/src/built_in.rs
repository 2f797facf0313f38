//! The profiles and SLA files that the program carries with it.

use crate::toml_source::Mistake;

/// A data file compiled into the program.
#[derive(Clone, Copy, Debug)]
pub struct DataFile {
    /// What users call it: the file's name without `.toml`.
    pub name: &'static str,
    /// Its TOML text.
    pub text: &'static str,
}

macro_rules! profiles {
    ($($name:literal),* $(,)?) => {
        &[$(DataFile {
            name: $name,
            text: include_str!(concat!("../profiles/", $name, ".toml")),
        }),*]
    };
}

macro_rules! slas {
    ($($name:literal),* $(,)?) => {
        &[$(DataFile {
            name: $name,
            text: include_str!(concat!("../sla/", $name, ".toml")),
        }),*]
    };
}

/// Every profile, in the order in which `list` shows them.
pub const PROFILES: &[DataFile] = profiles![
    "smoke",
    "warmup-10",
    "normal-50",
    "peak-100",
    "spike-200",
    "soak-24h",
    "stress",
    "endurance-low",
    "endurance-medium",
    "daily",
    "campaign",
    "throughput",
    "agents-1000",
    "sla-certify",
    "sla-list",
    "sla-search",
    "sla-certify-saturate",
    "sla-list-saturate",
    "sla-search-saturate",
    "auth",
    "generation",
];

/// Every SLA file.
pub const SLAS: &[DataFile] = slas![
    "smoke",
    "plant-backend",
    "stress",
    "endurance-low",
    "endurance-medium",
    "daily",
    "campaign",
    "throughput",
    "certify",
    "list",
    "search",
    "auth",
    "generation",
];

/// The names of `files`, for those who asked for another one.
#[must_use]
pub fn names(files: &[DataFile]) -> String {
    let names: Vec<&str> = files.iter().map(|file| file.name).collect();
    names.join(", ")
}

/// Errors of loading a profile or an SLA file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The profile is neither a built-in name nor a readable file.
    #[error(
        "`{wanted}` is neither a built-in profile nor a readable file ({reason}); built-in \
         profiles: {known}"
    )]
    Unknown {
        /// Name or path that was given.
        wanted: String,
        /// Why the file could not be read.
        reason: String,
        /// Names of the built-in ones, separated by commas.
        known: String,
    },
    /// The SLA is neither a built-in name nor a readable file.
    #[error(
        "`{wanted}` is neither a built-in SLA nor a readable file ({reason}); built-in SLAs: \
         {known}"
    )]
    UnknownSla {
        /// Name or path that was given.
        wanted: String,
        /// Why the file could not be read.
        reason: String,
        /// Names of the built-in ones, separated by commas.
        known: String,
    },
    /// The file is invalid; contains all errors.
    #[error("{}", lines(.0))]
    Invalid(Vec<Mistake>),
}

fn lines(errors: &[Mistake]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
