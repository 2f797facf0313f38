//! `list`: prints the built-in profiles, user classes and SLA files.

use super::{CommandError, Exit};
use crate::{
    console::{self, print},
    duration,
    harness::Harness,
    profile::Profile,
    report::table,
    scenario::UserClass,
};

/// Prints the built-in profiles, user classes and SLA files.
///
/// # Errors
/// When a built-in profile is invalid. Not expected: a test checks all of them.
pub fn list(harness: &Harness) -> Result<Exit, CommandError> {
    print(&render(harness, console::stdout_width())?);
    Ok(Exit::Success)
}

fn render(harness: &Harness, width: usize) -> Result<String, CommandError> {
    let program = harness.name;
    let mut profiles = Vec::new();
    for file in harness.profiles {
        let profile = Profile::find(harness, file.name)?;
        let time = duration::format(profile.schedule.seconds());
        profiles.push([profile.name, time, sentence(&profile.description)]);
    }
    let suites: Vec<[String; 2]> = harness
        .suites
        .iter()
        .map(|suite| {
            let profiles = suite.profiles.join(", ");
            [suite.name.to_owned(), format!("{}: {profiles}", suite.description)]
        })
        .collect();
    let classes: Vec<[String; 3]> = harness
        .classes
        .iter()
        .map(|UserClass { name, description, wait, .. }| {
            let (shortest, longest) = (wait.0.as_secs_f64(), wait.1.as_secs_f64());
            [(*name).to_owned(), format!("{shortest}–{longest} s"), (*description).to_owned()]
        })
        .collect();
    let slas: Vec<&str> = harness.slas.iter().map(|file| file.name).collect();
    let parts = [
        (format!("Profiles ({program} run PROFILE), with their length"), block(profiles, width)),
        (format!("Suites ({program} suite SUITE)"), block(suites, width)),
        (
            "User classes for profiles of your own, with their think time".to_owned(),
            block(classes, width),
        ),
        (
            format!("SLA files ({program} run PROFILE --sla SLA)"),
            console::wrap(&format!("  {}", slas.join(", ")), width, 0),
        ),
    ];
    let parts = parts.into_iter().filter(|(_, lines)| !lines.trim().is_empty());
    let parts: Vec<String> = parts.map(|(title, lines)| format!("{title}:\n{lines}")).collect();
    Ok(console::wrap(&parts.join("\n\n"), width, 2))
}

/// Returns a description without the point at its end: it is an entry of a list.
fn sentence(description: &str) -> String {
    description.strip_suffix('.').unwrap_or(description).to_owned()
}

/// Renders rows below each other, indented.
fn block<const N: usize>(rows: Vec<[String; N]>, width: usize) -> String {
    let lines = table::columns(rows, width.saturating_sub(2));
    lines.lines().map(|line| format!("  {line}\n")).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant;

    #[test]
    fn the_list_fits_the_terminal_and_has_every_name() {
        let harness = plant::harness();
        for width in [60, 80] {
            let text = render(&harness, width).unwrap();
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            for file in harness.profiles {
                assert!(text.contains(&format!("\n  {} ", file.name)), "{}: {text}", file.name);
            }
            for class in &harness.classes {
                assert!(text.contains(&format!("\n  {} ", class.name)), "{}: {text}", class.name);
            }
        }
    }
}
