//! Profiles: which user classes load the service, with how many users, for how long, and which SLA
//! applies.
//!
//! A profile is a TOML file, built in or given by its path. [`Profile::find`] parses and validates
//! it; [`Plan::new`] applies the options of the command line and divides it into stages.

mod plan;
mod read;
mod schedule;
pub mod schema;
mod target;
mod thresholds;

pub use plan::{Overrides, Plan, ReportPaths, WeightedClass};
pub use schedule::{Level, Schedule, StageSpec};
pub use target::TargetOptions;

use std::{path::Path, time::Duration};

use crate::{
    built_in::{self, FileLoadError, FileText},
    harness::Harness,
    load::{Model, Spacing},
    service::Service,
    toml_source::Source,
};

/// A validated profile, as written in its file.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Name of the profile.
    pub name: String,
    /// Description in one sentence, shown by `list`.
    pub description: String,
    /// Load model: closed or open.
    pub model: Model,
    /// Spacing of arrivals; unused in the closed model.
    pub spacing: Spacing,
    /// Whether users have no think time. Such a run measures the maximum throughput of the service;
    /// its profile usually has no SLA.
    pub saturate: bool,
    /// Peak number of users; in the open model the size of the virtual user pool.
    pub users: u32,
    /// Load over time.
    pub schedule: Schedule,
    /// Timeout for one request.
    pub timeout: Duration,
    /// SLA: the name of a built-in one, or a path. Without it and `thresholds` the run gets no verdict.
    pub sla: Option<String>,
    /// Thresholds of the profile itself, beside those of the SLA.
    pub thresholds: Vec<String>,
    /// The user classes and their weights.
    pub classes: Vec<WeightedClass>,
    /// What the profile says of the service under test.
    pub target: TargetOptions,
    /// Default paths of reports; the command line overrides them.
    pub reports: ReportPaths,
}

impl Profile {
    /// Reads the profile called `name`: a built-in name of `harness`, or the path of a TOML file.
    ///
    /// # Errors
    /// Returns an error if there is no such file or it is invalid.
    pub fn find(harness: &Harness, name: &str) -> Result<Self, FileLoadError> {
        let FileText { file, text } = built_in::read_profile(harness.profiles, name)?;
        Self::parse(harness, &file, &text)
    }

    /// Parses and validates the profile `text`, which may name the user classes of `harness`; `file` is
    /// the name shown in error messages. Files that the profile names are relative to the folder of
    /// `file`.
    ///
    /// # Errors
    /// Returns [`FileLoadError::Invalid`] with all errors of the file.
    pub fn parse(harness: &Harness, file: &str, text: &str) -> Result<Self, FileLoadError> {
        let mut source = Source::new(file, text);
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        let profile = read::read(&mut source, harness, folder);
        let errors = source.into_errors();
        match profile {
            Some(profile) if errors.is_empty() => Ok(profile),
            _ => Err(FileLoadError::Invalid(errors)),
        }
    }

    /// Returns the service under test: that of `harness` if a class of the program loads it, else any
    /// service; with what the profile says of it.
    #[must_use]
    pub fn service(&self, harness: &Harness) -> Service {
        let is_own = |weighted: &WeightedClass| harness.find_class(weighted.class.name).is_some();
        let service = match self.classes.iter().any(is_own) {
            true => harness.service.clone(),
            false => Service::default(),
        };
        self.target.apply_to(service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant;

    #[test]
    fn every_built_in_profile_and_its_sla_are_valid() {
        let harness = plant::harness();
        for file in harness.profiles {
            let profile = Profile::find(&harness, file.name).unwrap();
            assert_eq!(profile.name, file.name);
            let plan = Plan::new(&profile, &Overrides::default()).unwrap();
            profile.find_sla(&harness, &plan, None).unwrap();
        }
    }

    #[test]
    fn all_errors_of_a_profile_are_reported_at_once() {
        let text = "name = \"x\"\ndescription = \"y\"\nusers = 0\nspawn_rate = -1\n\
                    run_time = \"soon\"\nsla = \"smoke\"\n[[class]]\nname = \"Nobody\"\nweight = 1\n";
        let error = Profile::parse(&plant::harness(), "x.toml", text).unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 4, "{error}");
        for (line, start) in lines.iter().zip(["x.toml:3", "x.toml:4", "x.toml:5", "x.toml:8"]) {
            assert!(line.starts_with(start), "{line}");
        }
    }

    #[test]
    fn errors_in_stages_are_reported_with_their_lines() {
        let text = "name = \"x\"\ndescription = \"y\"\nmodel = \"open\"\nsla = \"smoke\"\nusers = 5\n\
                    [[stage]]\nname = \"a\"\nlasts = \"1m\"\nrate = 10\nramp_to_rate = 20\n\
                    [[stage]]\nname = \"b\"\nlasts = \"ages\"\nrate = 0\nusers = 3\n\
                    [[class]]\nname = \"HealthCheckUser\"\nweight = 1\n";
        let error = Profile::parse(&plant::harness(), "x.toml", text).unwrap_err().to_string();
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
    fn a_ramp_is_not_judged_unless_the_profile_says_so() {
        let text = "name = \"x\"\ndescription = \"y\"\nsla = \"smoke\"\n\
                    [[stage]]\nname = \"a\"\nlasts = \"1m\"\nramp_to_users = 20\n\
                    [[stage]]\nname = \"b\"\nlasts = \"1m\"\nusers = 10\n\
                    [[stage]]\nname = \"c\"\nlasts = \"1m\"\nramp_to_users = 3\njudged = true\n\
                    [[class]]\nname = \"HealthCheckUser\"\nweight = 1\n";
        let profile = Profile::parse(&plant::harness(), "x.toml", text).unwrap();
        let Schedule::Stages(specs) = profile.schedule else { panic!("expected stages") };
        assert_eq!(specs.iter().map(|spec| spec.judged).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(profile.users, 20);
    }

    #[test]
    fn the_error_for_an_unknown_profile_lists_the_built_in_ones() {
        let error = Profile::find(&plant::harness(), "no-such-profile").unwrap_err().to_string();
        assert!(error.contains("peak-100"), "{error}");
    }
}
