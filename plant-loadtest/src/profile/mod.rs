//! A profile says who loads the service, how many of them, for how long, and how good it must be.
//!
//! A profile is data: a TOML file, built in or given by its path. [`Profile::find`] reads and
//! checks it; [`Plan::new`] applies the command line to it and yields what a run needs.

pub mod built_in;
mod plan;
mod read;
mod schedule;

use std::{fs, path::Path};

pub use plan::{ClassShare, Overrides, Plan, ReportPaths, Stage};
pub use schedule::{Level, Part, Schedule};

use crate::{
    outcome::{Model, Spacing},
    toml_source::{Mistake, Source},
};

/// A checked profile, as its file says it.
#[derive(Clone, Debug)]
pub struct Profile {
    /// How users call it.
    pub name: String,
    /// One sentence for `list`.
    pub description: String,
    /// Whether answers set the pace, or the clock.
    pub model: Model,
    /// How arrivals follow each other in the open model.
    pub spacing: Spacing,
    /// Whether users ask again at once, without a thought: that shows what the service can take
    /// and says nothing of promises.
    pub saturate: bool,
    /// Users at the height of the load; in the open model the most that can be busy at once.
    pub users: u32,
    /// When how much load.
    pub schedule: Schedule,
    /// The SLA file: the name of a built-in one, or a path. None: no verdict is wanted.
    pub sla: Option<String>,
    /// Who makes up the load.
    pub classes: Vec<ClassShare>,
    /// Where reports go unless the command line says otherwise.
    pub reports: ReportPaths,
}

/// Why there is no profile to run.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Neither a built-in name nor a readable file.
    #[error("there is no profile `{wanted}`: {reason}. Built in are {known}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// Why no file was read either.
        reason: String,
        /// The names that would have been right.
        known: String,
    },
    /// The same for an SLA file.
    #[error("there is no SLA file `{wanted}`: {reason}. Built in are {known}")]
    UnknownSla {
        /// What was asked for.
        wanted: String,
        /// Why no file was read either.
        reason: String,
        /// The names that would have been right.
        known: String,
    },
    /// The file has mistakes: all of them.
    #[error("{}", lines(.0))]
    Mistaken(Vec<Mistake>),
}

impl Profile {
    /// Reads the profile called `wanted`: a built-in name, or the path of a TOML file.
    ///
    /// # Errors
    /// When there is none, or when it has mistakes.
    pub fn find(wanted: &str) -> Result<Self, ProfileError> {
        if let Some(file) = built_in::PROFILES.iter().find(|file| file.name == wanted) {
            return Self::parse(&format!("profiles/{wanted}.toml"), file.text);
        }
        let text =
            fs::read_to_string(Path::new(wanted)).map_err(|error| ProfileError::Unknown {
                wanted: wanted.into(),
                reason: error.to_string(),
                known: built_in::names(built_in::PROFILES),
            })?;
        Self::parse(wanted, &text)
    }

    /// Reads and checks a profile's `text`; `file` is how mistakes name it.
    ///
    /// # Errors
    /// [`ProfileError::Mistaken`] with every mistake of the file.
    pub fn parse(file: &str, text: &str) -> Result<Self, ProfileError> {
        let mut source = Source::new(file, text);
        let profile = read::read(&mut source);
        let mistakes = source.into_mistakes();
        match profile {
            Some(profile) if mistakes.is_empty() => Ok(profile),
            _ => Err(ProfileError::Mistaken(mistakes)),
        }
    }
}

fn lines(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sla::Sla;

    #[test]
    fn every_built_in_profile_reads_without_a_mistake() {
        for file in built_in::PROFILES {
            let profile = Profile::find(file.name).unwrap();
            assert_eq!(profile.name, file.name);
            let plan = Plan::new(&profile, &Overrides::default()).unwrap();
            let classes: Vec<_> = plan.classes.iter().map(|share| share.class).collect();
            if let Some(sla) = &profile.sla {
                Sla::find(sla, &classes, &plan.stages).unwrap();
            }
        }
    }

    #[test]
    fn all_mistakes_of_a_profile_are_told_at_once() {
        let text = "name = \"x\"\ndescription = \"y\"\nusers = 0\nspawn_rate = -1\n\
                    run_time = \"soon\"\nsla = \"smoke\"\n[[class]]\nname = \"Nobody\"\nweight = 1\n";
        let error = Profile::parse("x.toml", text).unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 4, "{error}");
        for (line, start) in lines.iter().zip(["x.toml:3", "x.toml:4", "x.toml:5", "x.toml:8"]) {
            assert!(line.starts_with(start), "{line}");
        }
    }

    #[test]
    fn mistakes_in_stages_have_lines_too() {
        let text = "name = \"x\"\ndescription = \"y\"\nmodel = \"open\"\nsla = \"smoke\"\nusers = 5\n\
                    [[stage]]\nname = \"a\"\nlasts = \"1m\"\nrate = 10\nramp_to_rate = 20\n\
                    [[stage]]\nname = \"b\"\nlasts = \"ages\"\nrate = 0\nusers = 3\n\
                    [[class]]\nname = \"HealthCheckUser\"\nweight = 1\n";
        let error = Profile::parse("x.toml", text).unwrap_err().to_string();
        let starts = [
            "x.toml:6: a stage needs either",
            "x.toml:11: a stage needs",
            "x.toml:13:",
            "x.toml:14:",
            "x.toml:15: unknown key",
        ];
        assert_eq!(error.lines().count(), starts.len(), "{error}");
        for (line, start) in error.lines().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
    }

    #[test]
    fn a_stage_that_ramps_is_not_judged_unless_it_says_so() {
        let text = "name = \"x\"\ndescription = \"y\"\nsla = \"smoke\"\n\
                    [[stage]]\nname = \"a\"\nlasts = \"1m\"\nramp_to_users = 20\n\
                    [[stage]]\nname = \"b\"\nlasts = \"1m\"\nusers = 10\n\
                    [[stage]]\nname = \"c\"\nlasts = \"1m\"\nramp_to_users = 3\njudged = true\n\
                    [[class]]\nname = \"HealthCheckUser\"\nweight = 1\n";
        let profile = Profile::parse("x.toml", text).unwrap();
        let Schedule::Parts(parts) = profile.schedule else { panic!("no parts") };
        assert_eq!(parts.iter().map(|part| part.judged).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(profile.users, 20);
    }

    #[test]
    fn an_unknown_profile_names_those_that_exist() {
        let error = Profile::find("no-such-profile").unwrap_err().to_string();
        assert!(error.contains("peak-100"), "{error}");
    }
}
