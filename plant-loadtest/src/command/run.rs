//! `run`: runs a profile, prints the verdict and writes the reports.

use std::sync::Arc;

use serde_json::json;

use super::{
    CommandError, Exit,
    command_line::command_line,
    disable_library_logging, dry_run,
    report::{
        PrintOptions, ReportOptions, command_line_paths, find_thresholds, judge_and_report,
        read_baseline, report_command,
    },
    report_paths,
    run_arguments::RunArguments,
};
use crate::{
    console::{print, print_error},
    dashboard::{Dashboard, Next},
    harness::Harness,
    load::Share,
    outcome::{Ended, Outcome},
    profile::{Overrides, Plan, Profile, ReportPaths},
    progress::{self, ProgressFormat, ProgressOptions},
    report::{self, Written},
    run::{self, RunError, Settings},
    sla::{AllowedNames, Unmeasured},
    target,
    verdict::Verdict,
};

/// Runs a profile, prints the verdict and writes the reports.
///
/// # Errors
/// When the run cannot start, or a report cannot be written.
pub async fn run(harness: &Harness, arguments: RunArguments) -> Result<Exit, CommandError> {
    disable_library_logging();
    let profile = Profile::find(harness, &arguments.profile)?;
    let overrides = Overrides {
        users: arguments.users,
        spawn_rate: arguments.spawn_rate,
        rate: arguments.rate,
        run_time: arguments.run_time,
        time_scale: arguments.time_scale,
    };
    let mut plan = Plan::new(&profile, &overrides)?;
    if let Some(share) = arguments.share {
        plan = plan.share(share)?;
    }
    plan.timeout = arguments.timeout.unwrap_or(plan.timeout);
    plan.http.traces = arguments.traces.unwrap_or(plan.http.traces);
    let names = profile.allowed_names(harness, &plan);
    let ReportOptions { sla: sla_file, thresholds, .. } = &arguments.reports;
    let sla = find_thresholds(harness, &profile, &names, sla_file.as_deref(), thresholds)?;
    let service = profile.service(harness);
    let host = arguments.host.as_ref().unwrap_or(&service.host);
    let host = target::parse_address(host, arguments.allow_remote).await?;

    let mut paths = command_line_paths(arguments.reports.clone());
    if arguments.share.is_none() {
        paths = report_paths::of_run(&profile, paths);
    }
    if arguments.dry_run {
        print(&dry_run::render(&plan, &sla, &host, &paths));
        return Ok(Exit::Success);
    }

    // A run of hours would otherwise end without its reports.
    report::check_writable(&paths)?;
    let baseline = read_baseline(&arguments.reports)?;
    if let Some(notice) = target::remote_notice(&host).await {
        print_error(&format!("Note: {notice}"));
    }
    let dashboard = start_dashboard(&arguments).await?;
    let no_color = arguments.reports.no_color;
    let progress =
        ProgressOptions { quiet: arguments.quiet, format: arguments.log_format, no_color };
    let settings = Settings {
        progress,
        dashboard: dashboard.clone(),
        journal: paths.json.clone(),
        exporter: arguments.metrics_address,
        command: command_line(harness, &arguments, &host),
        drain_timeout: arguments.drain_timeout,
        password: arguments.password.clone(),
        options: harness.option_values.clone(),
        start_at: arguments.start_at,
        service,
        ..Settings::new(plan, sla, host)
    };
    let run = PreparedRun {
        harness,
        arguments: &arguments,
        profile: &profile,
        settings,
        paths,
        baseline,
    };
    let (exit, ended) = run.execute().await?;
    match dashboard {
        // Ctrl-C ends the program, too.
        Some(dashboard) if ended != Ended::Interrupted || dashboard.was_stopped() => {
            Ok(run.repeat(&dashboard, exit).await)
        }
        _ => Ok(exit),
    }
}

/// A run whose files and options are valid.
struct PreparedRun<'r> {
    harness: &'r Harness,
    arguments: &'r RunArguments,
    profile: &'r Profile,
    settings: Settings,
    paths: ReportPaths,
    baseline: Option<Outcome>,
}

impl PreparedRun<'_> {
    /// Runs the load, prints the verdict and writes the reports. Returns the exit code, and how the run
    /// has ended.
    async fn execute(&self) -> Result<(Exit, Ended), CommandError> {
        let Self { harness, arguments, settings, paths, baseline, .. } = self;
        let outcome = match run::run(settings).await {
            Err(RunError::NotMeasured(unmeasured)) => return Err(self.not_measured(unmeasured)),
            outcome => outcome?,
        };
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        if let Some(share) = outcome.load.share {
            let exit = finish_share(harness, share, &outcome, &verdict, paths);
            return Ok((exit, outcome.ended));
        }
        if settings.progress.format == ProgressFormat::Json && !settings.progress.quiet {
            let fields = json!({ "verdict": verdict.grade.name(), "reason": verdict.reason });
            progress::log_event("finished", fields);
        }
        let options = PrintOptions {
            no_color: arguments.reports.no_color,
            strict: arguments.strict,
            explain: arguments.explain,
            verbose: arguments.reports.verbose,
            again: paths.json.as_deref().map(|outcome| report_command(harness, outcome)),
        };
        let exit = judge_and_report(&outcome, &outcome.sla, baseline.as_ref(), paths, &options)?;
        if let Some(dashboard) = &settings.dashboard {
            dashboard.finish(&outcome, &verdict, paths.html.clone());
        }
        Ok((exit, outcome.ended))
    }

    /// Runs the load again as often as Start is pressed in the dashboard. Returns the exit code of the last
    /// run.
    async fn repeat(&self, dashboard: &Dashboard, mut exit: Exit) -> Exit {
        let url = dashboard.url();
        loop {
            print_error(&format!("Dashboard: {url} (Start again or Quit there; Ctrl-C quits)"));
            if dashboard.next().await == Next::Quit {
                return exit;
            }
            let result = tokio::select! {
                biased;
                result = self.execute() => result,
                () = dashboard.interrupted_while_starting() => return exit,
            };
            exit = match result {
                Ok((exit, ended)) if ended == Ended::Interrupted && !dashboard.was_stopped() => {
                    return exit;
                }
                Ok((exit, _)) => exit,
                Err(error) => {
                    print_error(&format!("{}: {}", self.harness.name, error.message));
                    dashboard.fail(&error.message);
                    error.exit
                }
            };
        }
    }

    /// Returns the error of thresholds that cannot be measured, with their lines.
    fn not_measured(&self, unmeasured: Vec<Unmeasured>) -> CommandError {
        let Self { harness, profile, settings, .. } = self;
        let ReportOptions { sla, thresholds, .. } = &self.arguments.reports;
        let names = AllowedNames { unmeasured, ..settings.plan.allowed_names() };
        match find_thresholds(harness, profile, &names, sla.as_deref(), thresholds) {
            Err(error) => error,
            Ok(_) => RunError::NotMeasured(names.unmeasured).into(),
        }
    }
}

/// Writes the reports of a share of a load. It has no verdict: rates and numbers of users are those of a part.
fn finish_share(
    harness: &Harness,
    share: Share,
    outcome: &Outcome,
    verdict: &Verdict,
    paths: &ReportPaths,
) -> Exit {
    let Written { files, errors } = report::write(outcome, verdict, None, paths);
    print(&format!(
        "Share {share} of the load: {} requests. No verdict: {} merge judges all shares together",
        outcome.counts_all().sent,
        harness.name
    ));
    for path in files {
        print(&path.display().to_string());
    }
    for error in &errors {
        print_error(&error.to_string());
    }
    match outcome.ended {
        _ if !errors.is_empty() => Exit::CouldNotRun,
        Ended::AsPlanned => Exit::Success,
        _ => Exit::Undecided,
    }
}

/// Starts to serve the dashboard, if there is to be one, and prints its URL.
async fn start_dashboard(arguments: &RunArguments) -> Result<Option<Arc<Dashboard>>, CommandError> {
    if !arguments.ui {
        return Ok(None);
    }
    let RunArguments { web_host, web_port, .. } = arguments;
    let dashboard = Dashboard::start(web_host, *web_port).await.map_err(|error| {
        let message = format!(
            "the dashboard cannot be served at {web_host}:{web_port}: {error}; set --web-port"
        );
        CommandError::new(Exit::CouldNotRun, &message)
    })?;
    print_error(&format!("Dashboard: {}", dashboard.url()));
    Ok(Some(Arc::new(dashboard)))
}
