//! `init`: writes a starter profile and its SLA file.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;

use super::{CommandError, Exit, print};

const PROFILE: &str = include_str!("starter/profile.toml");
const SLA: &str = include_str!("starter/sla.toml");

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArguments {
    /// Path of the new profile; its SLA file is written next to it as NAME.sla.toml
    #[arg(default_value = "my-load.toml")]
    pub file: PathBuf,
}

/// Writes a starter profile and its SLA file. Existing files are not overwritten.
///
/// # Errors
/// When a file exists or cannot be written.
pub fn init(arguments: &InitArguments) -> Result<Exit, CommandError> {
    let profile = &arguments.file;
    let stem = profile.file_stem().and_then(|stem| stem.to_str()).unwrap_or("my-load");
    let sla = profile.with_file_name(format!("{stem}.sla.toml"));
    if let Some(existing) = [profile, &sla].into_iter().find(|path| path.exists()) {
        return Err(format!(
            "{} already exists and is not overwritten; choose another name",
            existing.display()
        )
        .into());
    }
    let sla_name = sla.display().to_string();
    write(&sla, SLA)?;
    write(profile, &PROFILE.replace("my-load.sla.toml", &sla_name).replace("my-load", stem))?;
    print(&format!(
        "{}\n{sla_name}\n\nNext:\n  plant-loadtest validate {0}\n  plant-loadtest run {0} --dry-run\n  \
         plant-loadtest run {0}",
        profile.display()
    ));
    Ok(Exit::Success)
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
    };
    write().map_err(|error| {
        let exit =
            if error.kind() == ErrorKind::AlreadyExists { Exit::Usage } else { Exit::CouldNotRun };
        CommandError::new(exit, &format!("{} cannot be written: {error}", path.display()))
    })
}
