//! A profile says who loads the service, how many of them, for how long, and how good it must be.
//!
//! A profile is data: a TOML file, built in or given by its path. [`Profile::find`] reads and
//! checks it; [`Plan::new`] applies the command line to it and yields what a run needs.

pub mod built_in;
mod plan;

use std::{fs, path::Path};

pub use plan::{ClassShare, Overrides, Plan, ReportPaths, Stage};

use crate::{
    scenarios::{self, UserClass},
    timespan,
    toml_source::{Mistake, Source, Table},
};

/// A checked profile, as its file says it.
#[derive(Clone, Debug)]
pub struct Profile {
    /// How users call it.
    pub name: String,
    /// One sentence for `list`.
    pub description: String,
    /// Users at the height of the load.
    pub users: u32,
    /// Users started a second, possibly fractional.
    pub spawn_rate: f64,
    /// Seconds in all, the ramp included.
    pub run_time_s: u64,
    /// The SLA file: the name of a built-in one, or a path.
    pub sla: String,
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
                known: built_in::PROFILES.map(|file| file.name).join(", "),
            })?;
        Self::parse(wanted, &text)
    }

    /// Reads and checks a profile's `text`; `file` is how mistakes name it.
    ///
    /// # Errors
    /// [`ProfileError::Mistaken`] with every mistake of the file.
    pub fn parse(file: &str, text: &str) -> Result<Self, ProfileError> {
        let mut source = Source::new(file, text);
        let profile = read(&mut source);
        let mistakes = source.into_mistakes();
        match profile {
            Some(profile) if mistakes.is_empty() => Ok(profile),
            _ => Err(ProfileError::Mistaken(mistakes)),
        }
    }
}

fn read<'a>(source: &mut Source<'a>) -> Option<Profile> {
    let mut root = source.root();
    let name = root.text(source, "name");
    let description = root.text(source, "description");
    let users = root.count(source, "users");
    let spawn_rate = read_spawn_rate(source, &mut root);
    let run_time_s = read_run_time(source, &mut root);
    let sla = root.text(source, "sla");
    let classes = read_classes(source, &mut root);
    let reports = read_reports(source, &mut root);
    root.finish(source);
    Some(Profile {
        name: name?.0,
        description: description?.0,
        users: users?,
        spawn_rate: spawn_rate?,
        run_time_s: run_time_s?,
        sla: sla?.0,
        classes,
        reports,
    })
}

fn read_spawn_rate<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Option<f64> {
    let at = root.span.clone();
    let rate = root.number(source, "spawn_rate")?;
    if rate <= 0.0 {
        source.mistake(at, "`spawn_rate` must be above zero");
        return None;
    }
    Some(rate)
}

fn read_run_time<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Option<u64> {
    let (text, at) = root.text(source, "run_time")?;
    match timespan::parse(&text) {
        Ok(span) if span.as_secs() > 0 => Some(span.as_secs()),
        Ok(_) => {
            source.mistake(at, "`run_time` must be at least a second");
            None
        }
        Err(message) => {
            source.mistake(at, format!("`run_time`: {message}"));
            None
        }
    }
}

fn read_classes<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Vec<ClassShare> {
    let at = root.span.clone();
    let tables = root.tables(source, "class");
    if tables.is_empty() {
        source.mistake(at, "at least one [[class]] is needed");
    }
    tables
        .into_iter()
        .filter_map(|mut table| {
            let name = table.text(source, "name");
            let weight = table.count(source, "weight");
            table.finish(source);
            let (name, at) = name?;
            let class = known_class(source, &name, at)?;
            Some(ClassShare { class, weight: weight? })
        })
        .collect()
}

fn known_class(
    source: &mut Source<'_>,
    name: &str,
    at: std::ops::Range<usize>,
) -> Option<&'static UserClass> {
    let class = scenarios::find(name);
    if class.is_none() {
        let known = scenarios::ALL.map(|class| class.name).join(", ");
        source.mistake(at, format!("there is no user class `{name}`; there are {known}"));
    }
    class
}

fn read_reports<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> ReportPaths {
    let Some(mut table) = root.table(source, "reports") else { return ReportPaths::default() };
    let mut path = |key| table.optional_text(source, key).map(|(text, _)| text.into());
    let reports = ReportPaths { html: path("html"), csv: path("csv"), json: path("json") };
    table.finish(source);
    reports
}

fn lines(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_reads_without_a_mistake() {
        for file in built_in::PROFILES {
            let profile = Profile::find(file.name).unwrap();
            assert_eq!(profile.name, file.name);
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
    fn an_unknown_profile_names_those_that_exist() {
        let error = Profile::find("no-such-profile").unwrap_err().to_string();
        assert!(error.contains("peak-100"), "{error}");
    }
}
