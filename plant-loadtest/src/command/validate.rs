//! `validate`: checks profiles and SLA files without running a load.

use std::{fs, path::PathBuf};

use clap::Args;

use super::{CommandError, Exit, print};
use crate::{
    built_in::FileLoadError,
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
            .map_err(|error| error.to_string())?;
        return Ok(format!("valid SLA file, {} thresholds", sla.thresholds.len()));
    }
    let profile = Profile::find(harness, file).map_err(|error: FileLoadError| error.to_string())?;
    let plan = Plan::new(&profile, &Overrides::default())?;
    let thresholds = match &profile.sla {
        None => "no thresholds".to_owned(),
        Some(name) => {
            let sla = Sla::find(harness.slas, name, &plan.allowed_names())
                .map_err(|error| error.to_string())?;
            format!("{} thresholds from {name}", sla.thresholds.len())
        }
    };
    Ok(format!("valid profile, {} stages, {thresholds}", plan.stages.len()))
}

/// Returns whether `file` is an SLA file: a built-in SLA, or a file with tables of thresholds and
/// none of user classes or stages. A name that is built in as both is a profile.
fn is_sla(harness: &Harness, file: &str) -> bool {
    if harness.profiles.iter().any(|profile| profile.name == file) {
        return false;
    }
    if harness.slas.iter().any(|sla| sla.name == file) {
        return true;
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    let profile_tables = ["[[class]]", "[[stage]]"];
    let sla_tables = ["[[latency]]", "[[errors]]", "[[throughput]]", "[[resource]]", "[survival]"];
    let has_any = |tables: &[&str]| text.lines().any(|line| tables.contains(&line.trim()));
    !has_any(&profile_tables) && has_any(&sla_tables)
}
