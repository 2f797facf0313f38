//! `validate`: are these files right? Nothing is run.

use std::{fs, path::PathBuf};

use clap::Args;

use super::{Exit, Failure, print};
use crate::{
    profile::{Overrides, Plan, Profile, ProfileError, built_in},
    scenarios,
    sla::Sla,
};

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub struct ValidateArguments {
    /// Profiles and SLA files: built-in names or paths. A profile's own SLA file is checked with it;
    /// an SLA file by itself may name what any user class requests
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}

/// Checks every file, and tells every mistake with its line.
///
/// # Errors
/// The mistakes.
pub fn validate(arguments: &ValidateArguments) -> Result<Exit, Failure> {
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for file in &arguments.files {
        let file = file.display().to_string();
        match check(&file) {
            Ok(what) => right.push(format!("{file}: {what}")),
            Err(mistakes) => wrong.push(mistakes),
        }
    }
    if wrong.is_empty() {
        print(&right.join("\n"));
        return Ok(Exit::Good);
    }
    Err(wrong.join("\n").into())
}

fn check(file: &str) -> Result<String, String> {
    if is_sla(file) {
        let sla = Sla::find(file, &scenarios::ALL, &[]).map_err(|error| error.to_string())?;
        return Ok(format!("an SLA of {} promises, without a mistake", sla.promises.len()));
    }
    let profile = Profile::find(file).map_err(|error: ProfileError| error.to_string())?;
    let plan = Plan::new(&profile, &Overrides::default())?;
    let promises = match &profile.sla {
        None => "no promises".to_owned(),
        Some(wanted) => {
            let sla = Sla::find(wanted, &plan.user_classes(), &plan.stages)
                .map_err(|error| error.to_string())?;
            format!("{} promises of {wanted}", sla.promises.len())
        }
    };
    Ok(format!("a profile of {} stages with {promises}, without a mistake", plan.stages.len()))
}

/// An SLA file has promises where a profile has users; a name can be built in as either.
fn is_sla(file: &str) -> bool {
    if built_in::PROFILES.iter().any(|known| known.name == file) {
        return false;
    }
    if built_in::SLAS.iter().any(|known| known.name == file) {
        return true;
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    let tables = ["[[class]]", "[[stage]]"];
    let promises = ["[[latency]]", "[[errors]]", "[[throughput]]", "[[resource]]", "[survival]"];
    let has = |wanted: &[&str]| text.lines().any(|line| wanted.contains(&line.trim()));
    !has(&tables) && has(&promises)
}
