//! Profiles and SLA files: built in, which means compiled into the program, or read from disk.

use std::{borrow::Cow, fs, io, path::Path};

use crate::{suggest, toml_source::FileError};

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
    /// The name is neither that of a built-in file nor the path of a file.
    #[error("`{name}` is neither a built-in {kind} nor a file{hint}")]
    NotFound {
        /// `profile` or `SLA`.
        kind: &'static str,
        /// Name or path that was given.
        name: String,
        /// What may be meant, or where the names are listed.
        hint: String,
    },
    /// There is such a file, but it cannot be read.
    #[error("{name} cannot be read: {reason}")]
    Unreadable {
        /// Path of the file.
        name: String,
        /// Why.
        reason: io::Error,
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
        Err(reason) if reason.kind() == io::ErrorKind::NotFound => {
            let hint = hint(kind, files, name);
            Err(FileLoadError::NotFound { kind, name: name.to_owned(), hint })
        }
        Err(reason) => Err(FileLoadError::Unreadable { name: name.to_owned(), reason }),
    }
}

/// Returns what may be meant by the name of a file that does not exist: a built-in file, or one beside
/// it.
fn hint(kind: &str, files: &[BuiltInFile], name: &str) -> String {
    let beside = files_beside(Path::new(name));
    let known = files.iter().map(|file| file.name).chain(beside.iter().map(String::as_str));
    suggest::did_you_mean(name, known, || match files {
        [] => format!("; there is no built-in {kind}"),
        _ => format!("; the command `list` prints the built-in {kind}s"),
    })
}

/// Returns the TOML files in the folder of `path`, named as `path` is.
fn files_beside(path: &Path) -> Vec<String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let readable = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = fs::read_dir(readable).into_iter().flatten().flatten();
    let names = entries.map(|entry| folder.join(entry.file_name()));
    let files = names.filter(|name| name.extension().is_some_and(|extension| extension == "toml"));
    files.filter_map(|name| name.to_str().map(str::to_owned)).collect()
}

impl FileLoadError {
    /// Renders all errors for a terminal, with the offending lines.
    #[must_use]
    pub fn render(&self) -> String {
        match self {
            Self::Invalid(errors) => {
                errors.iter().map(FileError::render).collect::<Vec<String>>().join("\n")
            }
            other => other.to_string(),
        }
    }
}

fn join_lines(errors: &[FileError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
