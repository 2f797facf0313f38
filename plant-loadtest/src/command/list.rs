//! `list`: prints the built-in profiles, user classes and SLA files.

use super::{CommandError, Exit};
use crate::{console::print, duration, harness::Harness, profile::Profile, scenario::UserClass};

/// Prints the built-in profiles, user classes and SLA files.
///
/// # Errors
/// When a built-in profile is invalid. Not expected: a test checks all of them.
pub fn list(harness: &Harness) -> Result<Exit, CommandError> {
    let mut text = format!("Profiles ({} run PROFILE):\n", harness.name);
    for file in harness.profiles {
        let profile = Profile::find(harness, file.name)?;
        let time = duration::format(profile.schedule.seconds());
        let Profile { name, description, sla, .. } = profile;
        let sla = sla.map_or_else(|| "no SLA".to_owned(), |sla| format!("SLA {sla}"));
        text += &format!("  {name:<20} {description} ({time}, {sla})\n");
    }
    for suite in harness.suites {
        let profiles = suite.profiles.join(", ");
        text += &format!(
            "\nSuite {name} ({program} suite {name}): {description}: {profiles}\n",
            name = suite.name,
            program = harness.name,
            description = suite.description,
        );
    }
    text += "\nUser classes (for custom profiles):\n";
    for UserClass { name, description, wait, .. } in &harness.classes {
        let (shortest, longest) = (wait.0.as_secs_f64(), wait.1.as_secs_f64());
        text += &format!("  {name:<18} {description}; think time {shortest} to {longest} s\n");
    }
    text += "\nSLA files (--sla):\n";
    for file in harness.slas {
        text += &format!("  {}\n", file.name);
    }
    print(&text);
    Ok(Exit::Success)
}
