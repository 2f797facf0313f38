//! `list`: prints the built-in profiles, user classes and SLA files.

use super::{CommandError, Exit, print};
use crate::{
    built_in, duration,
    profile::Profile,
    scenarios::{self, UserClass},
};

/// Prints the built-in profiles, user classes and SLA files.
///
/// # Errors
/// When a built-in profile is invalid. Not expected: a test checks all of them.
pub fn list() -> Result<Exit, CommandError> {
    let mut text = String::from("Profiles (plant-loadtest run PROFILE):\n");
    for file in built_in::PROFILES {
        let profile = Profile::find(file.name)?;
        let time = duration::format(profile.schedule.seconds());
        let Profile { name, description, sla, .. } = profile;
        let sla = sla.map_or_else(|| "no SLA".to_owned(), |sla| format!("SLA {sla}"));
        text += &format!("  {name:<20} {description} ({time}, {sla})\n");
    }
    text += "\nUser classes (for custom profiles):\n";
    for UserClass { name, description, wait, .. } in scenarios::ALL {
        let (shortest, longest) = (wait.0.as_secs_f64(), wait.1.as_secs_f64());
        text += &format!("  {name:<18} {description}; think time {shortest} to {longest} s\n");
    }
    text += "\nSLA files (--sla):\n";
    for file in built_in::SLAS {
        text += &format!("  {}\n", file.name);
    }
    print(&text);
    Ok(Exit::Success)
}
