//! `locustfile`: writes the locustfile for a master whose workers run a profile.

use std::{fs, path::PathBuf};

use clap::Args;

use super::{CommandError, Exit};
use crate::{
    console::print,
    harness::Harness,
    profile::{Overrides, Plan, Profile},
    target,
    worker::locustfile,
};

/// Arguments of `locustfile`.
#[derive(Debug, Args)]
pub struct LocustfileArguments {
    /// Profile whose user classes the workers run: a built-in one (see `list`) or path of a TOML file
    pub profile: String,

    /// Base URL of the service that the web UI proposes [default: the local service that the program is
    /// made for]
    #[arg(short = 'H', long, value_name = "URL")]
    pub host: Option<String>,

    /// Write to this file [default: standard output]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Writes the locustfile.
///
/// # Errors
/// When the profile or the host is invalid, or the file cannot be written.
pub fn locustfile(
    harness: &Harness,
    arguments: &LocustfileArguments,
) -> Result<Exit, CommandError> {
    let profile = Profile::find(harness, &arguments.profile)?;
    let plan = Plan::new(&profile, &Overrides::default())?;
    let host = arguments.host.clone().unwrap_or_else(|| profile.service(harness).host);
    target::check_base_url(&host)?;
    let text = locustfile::render(harness.name, &plan, &host)?;
    match &arguments.output {
        Some(path) => fs::write(path, text).map_err(|error| {
            CommandError::could_not_run(&format!("{}: {error}", path.display()))
        })?,
        None => print(text.trim_end()),
    }
    Ok(Exit::Success)
}
