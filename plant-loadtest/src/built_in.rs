//! Profiles and SLA files: built in, which means compiled into the program, or read from disk.

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

/// Reads the profile called `name`: one of the built-in `files`, or the path of a TOML file.
///
/// # Errors
/// Returns [`FileLoadError::NotFound`] if there is no such file or it cannot be read.
pub fn read_profile(files: &[BuiltInFile], name: &str) -> Result<FileText, FileLoadError> {
    read("profile", "profiles", files, name)
}

/// Reads the SLA file called `name`: one of the built-in `files`, or the path of a TOML file.
///
/// # Errors
/// Returns [`FileLoadError::NotFound`] if there is no such file or it cannot be read.
pub fn read_sla(files: &[BuiltInFile], name: &str) -> Result<FileText, FileLoadError> {
    read("SLA", "sla", files, name)
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
            let built_in = match built_in.is_empty() {
                true => "none".to_owned(),
                false => built_in.join(", "),
            };
            Err(FileLoadError::NotFound { kind, name: name.to_owned(), reason, built_in })
        }
    }
}

fn join_lines(errors: &[FileError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
