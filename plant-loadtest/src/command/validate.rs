//! `validate`: checks profiles and SLA files without running a load.

use std::{fs, path::PathBuf};

use clap::Args;

use super::{CommandError, Exit};
use crate::{
    built_in::FileLoadError,
    console::print,
    harness::Harness,
    profile::{Overrides, Plan, Profile},
    scenario,
    sla::Sla,
};

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub struct ValidateArguments {
    /// Profiles and SLA files: built-in names or paths. The SLA file of a profile is checked with
    /// it; an SLA file on its own may name the endpoints of any user class
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}

/// Checks every file.
///
/// # Errors
/// All errors found, each with its file and line.
pub fn validate(harness: &Harness, arguments: &ValidateArguments) -> Result<Exit, CommandError> {
    let (mut valid, mut errors) = (Vec::new(), Vec::new());
    for file in &arguments.files {
        let file = file.display().to_string();
        match check(harness, &file) {
            Ok(summary) => valid.push(format!("{file}: {summary}")),
            Err(found) => errors.push(found),
        }
    }
    if errors.is_empty() {
        print(&valid.join("\n"));
        return Ok(Exit::Success);
    }
    Err(errors.join("\n").into())
}

fn check(harness: &Harness, file: &str) -> Result<String, String> {
    if is_sla(harness, file) {
        let sla = Sla::find(harness.slas, file, &scenario::allowed_names(&harness.classes, &[]))
            .map_err(|error| error.render())?;
        return Ok(format!("valid SLA file, {} thresholds", sla.threshold_count()));
    }
    let profile = Profile::find(harness, file).map_err(|error: FileLoadError| error.render())?;
    let plan = Plan::new(&profile, &Overrides::default())?;
    let names = profile.allowed_names(harness, &plan);
    let sla = profile.find_sla(harness, &names, None).map_err(|error| error.render())?;
    let (stages, thresholds) = (plan.stages.len(), sla.threshold_count());
    let from = profile.sla.map(|name| format!(" from {name}")).unwrap_or_default();
    Ok(format!("valid profile, {stages} stages, {thresholds} thresholds{from}"))
}

/// Returns whether `file` is an SLA file: a built-in SLA, or a file with `[[threshold]]` tables. A name
/// that is built in as both is a profile.
fn is_sla(harness: &Harness, file: &str) -> bool {
    if harness.profiles.iter().any(|profile| profile.name == file) {
        return false;
    }
    if harness.slas.iter().any(|sla| sla.name == file) {
        return true;
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().any(|line| line.trim_start().starts_with("[[threshold]]"))
}
