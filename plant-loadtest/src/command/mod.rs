//! The commands of the command line.

pub mod calibrate;
pub mod capacity;
pub mod compare;
mod dry_run;
pub mod init;
pub mod repeat;
pub mod simulate;
pub mod stub;
pub mod validate;

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use serde_json::json;

use crate::{
    built_in::{self, LoadError},
    cli::{ReportArguments, ReportOptions, RunArguments},
    engine::dashboard::Dashboard,
    load::Model,
    outcome::Outcome,
    profile::{Overrides, Plan, Profile, ReportPaths},
    progress::{self, LogFormat, Telling},
    report::{self, WriteError, json::ReadError, terminal},
    run::{self, RunError, Settings},
    scenarios::{self, UserClass},
    sla::Sla,
    target::{self, TargetError},
    timespan,
    verdict::{Grade, Verdict},
};

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All thresholds were met, or there was nothing to judge.
    Success = 0,
    /// A threshold was violated.
    Failed = 1,
    /// The command line, a profile or an SLA file is invalid.
    Usage = 2,
    /// The run could not start.
    CouldNotRun = 3,
    /// The measurements do not allow a verdict.
    NoVerdict = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The error of a command.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The message for the user.
    pub message: String,
}

/// Runs a profile, prints the verdict and writes the reports.
///
/// # Errors
/// When the run cannot start, or a report cannot be written.
pub async fn run(arguments: RunArguments) -> Result<Exit, Failure> {
    disable_library_logging();
    let profile = Profile::find(&arguments.profile)?;
    let overrides = Overrides {
        users: arguments.users,
        spawn_rate: arguments.spawn_rate,
        rate: arguments.rate,
        run_time: arguments.run_time,
        time_scale: arguments.time_scale,
    };
    let plan = Plan::new(&profile, &overrides)?;
    let sla = match arguments.reports.sla.as_ref().or(profile.sla.as_ref()) {
        Some(name) => Sla::find(name, &plan.user_classes(), &plan.stages)?,
        None => Sla::none(),
    };
    let host = target::address(&arguments.host, arguments.allow_remote).await?;

    let paths = report_paths(&profile, arguments.reports.clone());
    let dashboard = dashboard(&arguments, &plan)?;
    if arguments.dry_run {
        print(&dry_run::render(&plan, &sla, &host, &paths));
        return Ok(Exit::Success);
    }

    if let Some(dashboard) = &dashboard {
        eprintln!("Dashboard: {}", dashboard.url());
    }
    let plain = arguments.reports.no_color;
    let progress = Telling { quiet: arguments.quiet, format: arguments.log_format, plain };
    let settings = Settings {
        telling: progress,
        dashboard,
        journal: paths.json.clone(),
        exporter: arguments.metrics,
        password: arguments.password,
        ..Settings::new(plan, sla, host, arguments.timeout)
    };
    let outcome = run::run(&settings).await?;
    if progress.format == LogFormat::Json && !progress.quiet {
        let verdict = Verdict::of(&outcome, &outcome.sla);
        let fields = json!({ "verdict": verdict.grade.name(), "reason": verdict.reason });
        progress::log("finished", fields);
    }
    judge_and_report(&outcome, &outcome.sla, &paths, plain, arguments.strict)
}

fn dashboard(arguments: &RunArguments, plan: &Plan) -> Result<Option<Dashboard>, Failure> {
    if !arguments.ui {
        return Ok(None);
    }
    if plan.model == Model::Open {
        let message =
            "--ui works with closed profiles only: the dashboard controls users, not arrivals";
        return Err(message.to_owned().into());
    }
    Ok(Some(Dashboard::at(&arguments.web_host, arguments.web_port)))
}

/// Judges a saved outcome and writes its reports.
///
/// # Errors
/// When the outcome cannot be read, or a report cannot be written.
pub fn report(arguments: &ReportArguments) -> Result<Exit, Failure> {
    let outcome = report::json::read(&arguments.outcome)?;
    let sla = match &arguments.reports.sla {
        None => outcome.sla.clone(),
        Some(name) => {
            let classes: Option<Vec<&'static UserClass>> =
                outcome.load.classes.iter().map(|class| scenarios::find(&class.name)).collect();
            let classes = classes.unwrap_or_else(|| scenarios::ALL.to_vec());
            Sla::find(name, &classes, &outcome.load.stages)?
        }
    };
    let paths = command_line_paths(arguments.reports.clone());
    judge_and_report(&outcome, &sla, &paths, arguments.reports.no_color, arguments.strict)
}

/// Prints the built-in profiles, user classes and SLA files.
///
/// # Errors
/// When a built-in profile is invalid, which a test rules out.
pub fn list() -> Result<Exit, Failure> {
    let mut text = String::from("Profiles (plant-loadtest run PROFILE):\n");
    for file in built_in::PROFILES {
        let profile = Profile::find(file.name)?;
        let time = timespan::display(profile.schedule.seconds());
        let Profile { name, description, sla, .. } = profile;
        let sla = sla.map_or_else(|| "no SLA".to_owned(), |sla| format!("SLA {sla}"));
        text += &format!("  {name:<20} {description} ({time}, {sla})\n");
    }
    text += "\nUser classes (for custom profiles):\n";
    for UserClass { name, about, wait, .. } in scenarios::ALL {
        let (shortest, longest) = (wait.0.as_secs_f64(), wait.1.as_secs_f64());
        text += &format!("  {name:<18} {about}; wait time {shortest} to {longest} s\n");
    }
    text += "\nSLA files (--sla):\n";
    for file in built_in::SLAS {
        text += &format!("  {}\n", file.name);
    }
    print(&text);
    Ok(Exit::Success)
}

fn judge_and_report(
    outcome: &Outcome,
    sla: &Sla,
    paths: &ReportPaths,
    plain: bool,
    strict: bool,
) -> Result<Exit, Failure> {
    let verdict = Verdict::of(outcome, sla);
    // The files are written first because printing may fail on a closed pipe.
    let files = report::write(outcome, &verdict, paths)?;
    let files: String = files.iter().map(|path| format!("{}\n", path.display())).collect();
    let mut text = terminal::render(outcome, &verdict);
    if !plain && std::io::stdout().is_terminal() {
        text = terminal::colorize(&text);
    }
    print(&format!("{text}\n\n{files}"));
    Ok(exit(verdict.grade, strict))
}

/// Prints `text`. Write errors are ignored, so that a closed pipe does not change the exit code.
pub(crate) fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.trim_end().as_bytes());
    let _ = std::io::stdout().write_all(b"\n");
}

fn exit(grade: Grade, strict: bool) -> Exit {
    match grade {
        Grade::Unjudged | Grade::Pass => Exit::Success,
        Grade::Warning if strict => Exit::Failed,
        Grade::Warning => Exit::Success,
        Grade::Fail => Exit::Failed,
        Grade::Insufficient | Grade::Invalid => Exit::NoVerdict,
    }
}

/// Returns the report paths: from the command line, else the profile, else the default for HTML
/// and outcome.
fn report_paths(profile: &Profile, options: ReportOptions) -> ReportPaths {
    let default = |extension: &str| PathBuf::from(format!("reports/{}.{extension}", profile.name));
    let from_profile = profile.reports.clone();
    let given = command_line_paths(options);
    ReportPaths {
        html: given.html.or(from_profile.html).or_else(|| Some(default("html"))),
        csv: given.csv.or(from_profile.csv),
        json: given.json.or(from_profile.json).or_else(|| Some(default("outcome.json"))),
        junit: given.junit.or(from_profile.junit),
        markdown: given.markdown.or(from_profile.markdown),
        metrics: given.metrics.or(from_profile.metrics),
    }
}

/// Returns the report paths given on the command line.
fn command_line_paths(options: ReportOptions) -> ReportPaths {
    let ReportOptions { html, csv, json, junit, markdown, metrics_json, .. } = options;
    ReportPaths { html, csv, json, junit, markdown, metrics: metrics_json }
}

/// Installs a logger that discards everything, before Goose installs its own: the reports contain
/// what Goose would log.
fn disable_library_logging() {
    let filter = tracing_subscriber::EnvFilter::new("off");
    // Fails only if a logger is already installed, which then stays in place.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

impl Failure {
    fn new(exit: Exit, reason: &impl ToString) -> Self {
        Self { exit, message: reason.to_string() }
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::new(Exit::Usage, &reason)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::new(Exit::Usage, &error)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::new(Exit::Usage, &error)
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        let exit = match error {
            TargetError::NoAddress { .. } | TargetError::Remote(_) => Exit::Usage,
            TargetError::Unreachable { .. }
            | TargetError::Closed { .. }
            | TargetError::Unseeded { .. } => Exit::CouldNotRun,
        };
        Self::new(exit, &error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Target(error) => error.into(),
            error => Self::new(Exit::CouldNotRun, &error),
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::new(Exit::CouldNotRun, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_fails_only_when_strict() {
        assert_eq!(exit(Grade::Warning, false), Exit::Success);
        assert_eq!(exit(Grade::Warning, true), Exit::Failed);
        assert_eq!(exit(Grade::Insufficient, false), Exit::NoVerdict);
    }
}
