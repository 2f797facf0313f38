//! Built-in profiles and SLA files, compiled into the program.

use std::{borrow::Cow, fs, io};

use crate::toml_source::FileError;

/// A built-in file.
#[derive(Clone, Copy, Debug)]
pub struct BuiltInFile {
    /// Name of the file, without `.toml`.
    pub name: &'static str,
    /// Its TOML text.
    pub text: &'static str,
}

macro_rules! profiles {
    ($($name:literal),* $(,)?) => {
        &[$(BuiltInFile {
            name: $name,
            text: include_str!(concat!("../profiles/", $name, ".toml")),
        }),*]
    };
}

macro_rules! slas {
    ($($name:literal),* $(,)?) => {
        &[$(BuiltInFile {
            name: $name,
            text: include_str!(concat!("../sla/", $name, ".toml")),
        }),*]
    };
}

/// The profiles, in the order in which `list` prints them.
pub const PROFILES: &[BuiltInFile] = profiles![
    "demo",
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
    "platform",
];

/// The SLA files.
pub const SLAS: &[BuiltInFile] = slas![
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
    "platform",
];

/// The text of a profile or an SLA file.
#[derive(Debug)]
pub struct FileText {
    /// Name of the file in error messages.
    pub file: String,
    /// Its TOML text.
    pub text: Cow<'static, str>,
}

/// Error of loading a profile or an SLA file.
#[derive(Debug, thiserror::Error)]
pub enum FileLoadError {
    /// The name is neither that of a built-in file nor the path of a readable one.
    #[error(
        "`{name}` is neither a built-in {kind} nor a readable file ({reason}); built-in {kind}s: \
         {built_in}"
    )]
    NotFound {
        /// `profile` or `SLA`.
        kind: &'static str,
        /// Name or path that was given.
        name: String,
        /// Why the file could not be read.
        reason: io::Error,
        /// Names of the built-in files, separated by commas.
        built_in: String,
    },
    /// The file is invalid; contains all of its errors.
    #[error("{}", join_lines(.0))]
    Invalid(Vec<FileError>),
}

/// Reads the profile called `name`: a built-in name, or the path of a TOML file.
///
/// # Errors
/// Returns [`FileLoadError::NotFound`] if there is no such file or it cannot be read.
pub fn read_profile(name: &str) -> Result<FileText, FileLoadError> {
    read("profile", "profiles", PROFILES, name)
}

/// Reads the SLA file called `name`: a built-in name, or the path of a TOML file.
///
/// # Errors
/// Returns [`FileLoadError::NotFound`] if there is no such file or it cannot be read.
pub fn read_sla(name: &str) -> Result<FileText, FileLoadError> {
    read("SLA", "sla", SLAS, name)
}

fn read(
    kind: &'static str,
    folder: &str,
    files: &[BuiltInFile],
    name: &str,
) -> Result<FileText, FileLoadError> {
    if let Some(file) = files.iter().find(|file| file.name == name) {
        return Ok(FileText { file: format!("{folder}/{name}.toml"), text: file.text.into() });
    }
    match fs::read_to_string(name) {
        Ok(text) => Ok(FileText { file: name.to_owned(), text: text.into() }),
        Err(reason) => {
            let built_in: Vec<&str> = files.iter().map(|file| file.name).collect();
            let built_in = built_in.join(", ");
            Err(FileLoadError::NotFound { kind, name: name.to_owned(), reason, built_in })
        }
    }
}

fn join_lines(errors: &[FileError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
