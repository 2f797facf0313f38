//! Profiles: which user classes load the service, with how many users, for how long, and which SLA
//! applies.
//!
//! A profile is a TOML file, built in or given by its path. [`Profile::find`] parses and validates
//! it; [`Plan::new`] applies the options of the command line and divides it into stages.

mod actions;
mod numbers;
mod plan;
mod read;
mod schedule;
pub mod schema;
mod stages;
mod target;
mod thresholds;

pub use actions::ActionSpec;
pub use plan::{Overrides, Plan, ReportPaths, WeightedClass};
pub use schedule::{Level, Schedule, StageSpec};
pub use target::TargetOptions;
pub use thresholds::ProfileThreshold;

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
    /// Name of the file in error messages.
    pub file: String,
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
    /// SLA: the name of a built-in one, or a path that is relative to the working directory. Without it
    /// and `thresholds` the run gets no verdict.
    pub sla: Option<String>,
    /// Thresholds of the profile itself, beside those of the SLA.
    pub thresholds: Vec<ProfileThreshold>,
    /// The user classes and their weights.
    pub classes: Vec<WeightedClass>,
    /// What the profile says of the service under test.
    pub target: TargetOptions,
    /// Programs that are run during the load.
    pub actions: Vec<ActionSpec>,
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
    use crate::{plant, sla};

    #[test]
    fn every_built_in_profile_and_its_sla_are_valid() {
        let harness = plant::harness();
        for file in harness.profiles {
            let profile = Profile::find(&harness, file.name).unwrap();
            assert_eq!(profile.name, file.name);
            let plan = Plan::new(&profile, &Overrides::default()).unwrap();
            let names = profile.allowed_names(&harness, &plan);
            profile.find_sla(&harness, &names, None).unwrap();
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

    /// Returns the errors of a profile whose classes, thresholds and so on are valid, with `from`
    /// replaced by `to`.
    fn errors_with(from: &str, to: &str) -> Vec<String> {
        let text = "name = \"x\"\nusers = 10\nspawn_rate = 5\nrun_time = \"10s\"\n\
                    thresholds = [\"p95 < 1s\"]\n[target]\nhost = \"http://x.test\"\n\
                    [[class]]\nname = \"A\"\n[[class.task]]\nrequest = \"GET /\"\n\
                    [[class]]\nname = \"HealthCheckUser\"\n";
        assert!(text.contains(from), "{from}");
        let text = text.replacen(from, to, 1);
        match Profile::parse(&plant::harness(), "folder/x.toml", &text) {
            Ok(_) => Vec::new(),
            Err(error) => error.to_string().lines().map(str::to_owned).collect(),
        }
    }

    #[test]
    fn a_mistake_of_a_profile_has_its_line() {
        assert_eq!(errors_with("10s", "10s"), [""; 0]);
        assert_eq!(errors_with("users = 10\n", "users = 0x10\n"), [""; 0], "an integer of TOML");
        for (from, to, line, message) in [
            ("\"x\"", "\"\"", 1, "`name` must not be empty"),
            ("\"x\"", "\"x\\u001b[2J\"", 1, "`name` must have no control characters"),
            ("\"x\"", "\"../x\"", 1, "`name` must have no `/` and `\\`"),
            ("\"x\"", "'..\\x'", 1, "`name` must have no `/` and `\\`"),
            ("\nusers", "\ndescription = \"\\u0007\"\nusers", 2, "`description` must have no"),
            ("users = 10", "users = 1_000", 4, "a run of 10s ends before all 1000 users"),
            ("thresholds = [\"p95 < 1s\"]", "sla = \"nowhere.toml\"", 5, "folder/nowhere.toml"),
            ("http://x.test", "http://x.test/?a", 7, "no query"),
            ("\"A\"", "\"\"", 9, "`name` must not be empty"),
            ("\"A\"", "\"a\\nb\"", 9, "`name` must have no control characters"),
            ("\"A\"", "\"FILL IN\"", 9, "`FILL IN` stands for a value"),
            ("\"GET /\"", "\"GET /\"\nname = \"\"", 12, "`name` must not be empty"),
            ("\"GET /\"", "\"GET /\"\nname = \"a\\u0000\"", 12, "no control characters"),
            ("\"GET /\"", "\"GET /\"\ntags = [\"a\\u0000\"]", 12, "a tag must have no control"),
            ("\"GET /\"", "\"GET /\"\nheaders = { a = \"x FILL IN\" }", 12, "`FILL IN` stands"),
            ("\"GET /\"", "\"GET /\"\nquery = { a = [\"FILL IN\"] }", 12, "`FILL IN` stands"),
            ("User\"\n", "User\"\n[[class]]\nname = \"A\"\nwait = \"1s\"\n", 15, "duplicate"),
            ("User\"\n", "User\"\n[[class]]\nname = \"HealthCheckUser\"\n", 15, "duplicate"),
        ] {
            let errors = errors_with(from, to);
            let place = format!("folder/x.toml:{line}: ");
            let found = errors.iter().any(|one| one.starts_with(&place) && one.contains(message));
            assert!(found, "{to}: {errors:?}");
        }
        assert_eq!(errors_with("\"x\"", "\"FILL IN\"").len(), 1);
    }

    #[test]
    fn a_load_of_no_stages_is_a_mistake_in_both_models() {
        for model in ["open", "closed"] {
            let text = format!(
                "name = \"x\"\nmodel = \"{model}\"\nstage = []\nthresholds = [\"p95 < 1s\"]\n\
                 [[class]]\nname = \"HealthCheckUser\"\n"
            );
            let error = Profile::parse(&plant::harness(), "x.toml", &text).unwrap_err();
            assert!(error.to_string().contains("x.toml:3: a load needs at least one"), "{error}");
        }
    }

    /// Parses a profile of one class and one threshold with these `lines`, the first of which is the
    /// third one of the file.
    fn parse(lines: &str) -> Result<Profile, String> {
        parse_with("thresholds = [\"p95 < 1s\"]", lines)
    }

    fn parse_with(sla: &str, lines: &str) -> Result<Profile, String> {
        let class = "[[class]]\nname = \"HealthCheckUser\"\n";
        let text = format!("name = \"x\"\n{sla}\n{lines}\n{class}");
        Profile::parse(&plant::harness(), "x.toml", &text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_models_and_the_spacings_have_names() {
        let closed = "users = 1\nspawn_rate = 1\nrun_time = \"10s\"";
        let open = "model = \"open\"\nusers = 1\nrate = 1\nrun_time = \"10s\"";
        let found = |lines: &str| parse(lines).map(|profile| (profile.model, profile.spacing));
        let steady = Spacing::Steady;
        assert_eq!(found(closed), Ok((Model::Closed, steady)));
        assert_eq!(found(&format!("model = \"closed\"\n{closed}")), Ok((Model::Closed, steady)));
        assert_eq!(found(open), Ok((Model::Open, steady)));
        assert_eq!(found(&format!("arrivals = \"steady\"\n{open}")), Ok((Model::Open, steady)));
        let poisson = found(&format!("arrivals = \"poisson\"\n{open}"));
        assert_eq!(poisson, Ok((Model::Open, Spacing::Poisson)));
        for (lines, message) in [
            (format!("model = \"half\"\n{closed}"), "`model` must be closed or open, not `half`"),
            (format!("arrivals = \"some\"\n{open}"), "must be steady or poisson, not `some`"),
            (format!("arrivals = \"steady\"\n{closed}"), "requires `model = \"open\"`"),
        ] {
            let error = found(&lines).unwrap_err();
            assert!(error.starts_with("x.toml:3: ") && error.contains(message), "{error}");
        }
    }

    #[test]
    fn thresholds_of_a_profile_alone_are_called_by_its_name() {
        let name = |lines: &str| {
            let profile =
                parse_with(lines, "users = 1\nspawn_rate = 1\nrun_time = \"10s\"").unwrap();
            let harness = plant::harness();
            let plan = Plan::new(&profile, &Overrides::default()).unwrap();
            let names = profile.allowed_names(&harness, &plan);
            profile.find_sla(&harness, &names, None).unwrap().name
        };
        let own = "thresholds = [\"p95 < 1s\"]";
        assert_eq!(name(own), "thresholds of x");
        let of_file = name("sla = \"smoke\"");
        assert_eq!(of_file, "Smoke: every request succeeds");
        assert_eq!(name(&format!("sla = \"smoke\"\n{own}")), of_file);
        assert_eq!(name("saturate = true"), sla::Sla::empty().name);
    }

    #[test]
    fn a_threshold_of_what_the_service_does_not_report_is_a_mistake() {
        let load = "users = 1\nspawn_rate = 1\nrun_time = \"10s\"";
        let find_sla = |target: &str| {
            let own = "thresholds = [\"logged_errors <= 0\"]";
            let profile = parse_with(own, &format!("{load}\n{target}")).unwrap();
            let harness = plant::harness();
            let plan = Plan::new(&profile, &Overrides::default()).unwrap();
            profile.find_sla(&harness, &profile.allowed_names(&harness, &plan), None)
        };
        assert!(find_sla("").is_ok());
        let error = find_sla("[target]\nmetrics = false").unwrap_err().to_string();
        assert!(error.contains("x.toml:2: ") && error.contains("cannot be measured"), "{error}");
    }

    #[test]
    fn a_constant_rate_has_a_warm_up_if_the_profile_says_so() {
        let stages = |warm_up: &str| -> Vec<(String, u64, bool)> {
            let lines =
                format!("model = \"open\"\nusers = 5\nrate = 100\nrun_time = \"70s\"\n{warm_up}");
            let profile = parse(&lines).unwrap();
            let Schedule::Stages(specs) = profile.schedule else { panic!("expected stages") };
            assert!(specs.iter().all(|spec| spec.level == Level::Hold(100.0)));
            specs.into_iter().map(|spec| (spec.name, spec.duration_s, spec.judged)).collect()
        };
        let steady = |seconds| ("steady".to_owned(), seconds, true);
        assert_eq!(stages(""), [steady(70)]);
        let warm_up = ("warm-up".to_owned(), 10, false);
        assert_eq!(stages("warm_up = \"10s\""), [warm_up, steady(60)]);
    }

    #[test]
    fn a_profile_without_a_description_is_described_by_its_classes() {
        let profile = parse("users = 1\nspawn_rate = 1\nrun_time = \"10s\"").unwrap();
        assert_eq!(profile.description, "users: HealthCheckUser");
    }

    #[test]
    fn a_stage_that_is_wrong_has_one_error() {
        let error = parse("[[stage]]\nname = \"a\"\nlasts = \"1m\"").unwrap_err();
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.starts_with("x.toml:3: a stage needs either `users`"), "{error}");
        let of_open = parse("model = \"open\"\n[[stage]]\nname = \"a\"\nlasts = \"1m\"\nrate = 1");
        let error = of_open.unwrap_err();
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains("`users`"), "{error}");
    }

    #[test]
    fn a_burst_alone_is_not_scaled_by_the_rate() {
        let lines = "model = \"open\"\nusers = 50\n\
                     [[stage]]\nname = \"a\"\nlasts = \"1m\"\nat_once = 50";
        let overrides = Overrides { rate: Some(10.0), ..Overrides::default() };
        let plan = Plan::new(&parse(lines).unwrap(), &overrides).unwrap();
        let stage = &plan.stages[0];
        assert_eq!((stage.burst, stage.from_rate, stage.to_rate), (50, 0.0, 0.0));
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
    fn the_error_for_an_unknown_profile_says_where_they_are_listed() {
        let error = Profile::find(&plant::harness(), "no-such-profile").unwrap_err().to_string();
        assert!(error.contains("the command `list` prints the built-in profiles"), "{error}");
    }
}
