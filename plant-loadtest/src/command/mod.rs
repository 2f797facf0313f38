//! What each command of the command line does.

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
    cli::{ReportArguments, ReportOptions, RunArguments},
    engine::dashboard::Dashboard,
    outcome::{Model, Outcome},
    profile::{Overrides, Plan, Profile, ProfileError, ReportPaths, built_in},
    progress::{self, LogFormat, Telling},
    report::{self, WriteError, json::ReadError, terminal},
    run::{self, RunError, Settings},
    scenarios::{self, UserClass},
    sla::Sla,
    target::{self, TargetError},
    timespan,
    verdict::{Grade, Verdict},
};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The promises were kept, or nothing was to be judged.
    Good = 0,
    /// A promise was broken.
    Failed = 1,
    /// A mistake of the user's.
    Usage = 2,
    /// The run could not start.
    CouldNotRun = 3,
    /// What was measured allows no verdict.
    NoVerdict = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command came to nothing.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// For the user.
    pub message: String,
}

/// Runs a profile, prints the verdict, writes the reports.
///
/// # Errors
/// When the run cannot start, or a report cannot be written.
pub async fn run(arguments: RunArguments) -> Result<Exit, Failure> {
    silence_libraries();
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
        Some(wanted) => Sla::find(wanted, &plan.user_classes(), &plan.stages)?,
        None => Sla::none(),
    };
    let host = target::address(&arguments.host, arguments.allow_remote).await?;

    let paths = report_paths(&profile, arguments.reports.clone());
    let dashboard = dashboard(&arguments, &plan)?;
    if arguments.dry_run {
        print(&dry_run::told(&plan, &sla, &host, &paths));
        return Ok(Exit::Good);
    }

    if let Some(dashboard) = &dashboard {
        eprintln!("Dashboard: {}", dashboard.url());
    }
    let plain = arguments.reports.no_color;
    let telling = Telling { quiet: arguments.quiet, format: arguments.log_format, plain };
    let settings = Settings {
        telling,
        dashboard,
        journal: paths.json.clone(),
        exporter: arguments.metrics,
        password: arguments.password,
        ..Settings::new(plan, sla, host, arguments.timeout)
    };
    let outcome = run::run(&settings).await?;
    if telling.format == LogFormat::Json && !telling.quiet {
        let verdict = Verdict::of(&outcome, &outcome.sla);
        let fields = json!({ "verdict": verdict.grade.name(), "reason": verdict.reason });
        progress::log("finished", fields);
    }
    conclude(&outcome, &outcome.sla, &paths, plain, arguments.strict)
}

fn dashboard(arguments: &RunArguments, plan: &Plan) -> Result<Option<Dashboard>, Failure> {
    if !arguments.ui {
        return Ok(None);
    }
    if plan.model == Model::Open {
        let message = "the dashboard shows and steers users: it goes with closed profiles only";
        return Err(message.to_owned().into());
    }
    Ok(Some(Dashboard::at(&arguments.web_host, arguments.web_port)))
}

/// Judges and draws an earlier outcome again.
///
/// # Errors
/// When it cannot be read, or a report cannot be written.
pub fn report(arguments: &ReportArguments) -> Result<Exit, Failure> {
    let outcome = report::json::read(&arguments.outcome)?;
    let sla = match &arguments.reports.sla {
        None => outcome.sla.clone(),
        Some(wanted) => {
            let classes: Option<Vec<&'static UserClass>> =
                outcome.load.classes.iter().map(|class| scenarios::find(&class.name)).collect();
            let classes = classes.unwrap_or_else(|| scenarios::ALL.to_vec());
            Sla::find(wanted, &classes, &outcome.load.stages)?
        }
    };
    let paths = asked_for(arguments.reports.clone());
    conclude(&outcome, &sla, &paths, arguments.reports.no_color, arguments.strict)
}

/// Shows what there is to run.
///
/// # Errors
/// When a built-in profile is mistaken, which its test rules out.
pub fn list() -> Result<Exit, Failure> {
    let mut text = String::from("Profiles (plant-loadtest run PROFILE):\n");
    for file in built_in::PROFILES {
        let profile = Profile::find(file.name)?;
        let time = timespan::display(profile.schedule.seconds());
        let Profile { name, description, sla, .. } = profile;
        let sla = sla.map_or_else(|| "no verdict".to_owned(), |sla| format!("SLA {sla}"));
        text += &format!("  {name:<20} {description} ({time}, {sla})\n");
    }
    text += "\nUser classes (for profiles of your own):\n";
    for UserClass { name, about, wait, .. } in scenarios::ALL {
        let (shortest, longest) = (wait.0.as_secs_f64(), wait.1.as_secs_f64());
        text += &format!("  {name:<18} {about}; waits {shortest} to {longest} s\n");
    }
    text += "\nSLA files (--sla):\n";
    for file in built_in::SLAS {
        text += &format!("  {}\n", file.name);
    }
    print(&text);
    Ok(Exit::Good)
}

fn conclude(
    outcome: &Outcome,
    sla: &Sla,
    paths: &ReportPaths,
    plain: bool,
    strict: bool,
) -> Result<Exit, Failure> {
    let verdict = Verdict::of(outcome, sla);
    // First the files: whoever reads the text may stop reading at any time.
    let written = report::write(outcome, &verdict, paths)?;
    let paths: String = written.iter().map(|path| format!("{}\n", path.display())).collect();
    let mut text = terminal::render(outcome, &verdict);
    if !plain && std::io::stdout().is_terminal() {
        text = terminal::painted(&text);
    }
    print(&format!("{text}\n\n{paths}"));
    Ok(exit(verdict.grade, strict))
}

/// Prints `text` as far as anybody listens: a closed pipe is no reason to change the exit code.
pub(crate) fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.trim_end().as_bytes());
    let _ = std::io::stdout().write_all(b"\n");
}

fn exit(grade: Grade, strict: bool) -> Exit {
    match grade {
        Grade::Unjudged | Grade::Pass => Exit::Good,
        Grade::Warning if strict => Exit::Failed,
        Grade::Warning => Exit::Good,
        Grade::Fail => Exit::Failed,
        Grade::Insufficient | Grade::Invalid => Exit::NoVerdict,
    }
}

/// The command line's paths, else the profile's, else a name made from the profile's.
fn report_paths(profile: &Profile, options: ReportOptions) -> ReportPaths {
    let default = |extension: &str| PathBuf::from(format!("reports/{}.{extension}", profile.name));
    let profiles = profile.reports.clone();
    let asked = asked_for(options);
    ReportPaths {
        html: asked.html.or(profiles.html).or_else(|| Some(default("html"))),
        csv: asked.csv.or(profiles.csv),
        json: asked.json.or(profiles.json).or_else(|| Some(default("outcome.json"))),
        junit: asked.junit.or(profiles.junit),
        markdown: asked.markdown.or(profiles.markdown),
        metrics: asked.metrics.or(profiles.metrics),
    }
}

/// The paths that the command line names.
fn asked_for(options: ReportOptions) -> ReportPaths {
    let ReportOptions { html, csv, json, junit, markdown, metrics_json, .. } = options;
    ReportPaths { html, csv, json, junit, markdown, metrics: metrics_json }
}

/// Goose logs what the reports tell better. Being first keeps its own logger out.
fn silence_libraries() {
    let filter = tracing_subscriber::EnvFilter::new("off");
    // Fails only where a logger is set already, and then that one decides.
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

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
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
        assert_eq!(exit(Grade::Warning, false), Exit::Good);
        assert_eq!(exit(Grade::Warning, true), Exit::Failed);
        assert_eq!(exit(Grade::Insufficient, false), Exit::NoVerdict);
    }
}
