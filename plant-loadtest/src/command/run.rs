//! `run`: runs a profile, prints the verdict and writes the reports.

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
    engine::dashboard::Dashboard,
    harness::Harness,
    load::Model,
    profile::{Overrides, Plan, Profile},
    progress::{self, ProgressFormat, ProgressOptions},
    report,
    run::{self, RunError, Settings},
    sla::AllowedNames,
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
    plan.timeout = arguments.timeout.unwrap_or(plan.timeout);
    plan.http.traces = arguments.traces.unwrap_or(plan.http.traces);
    let names = profile.allowed_names(harness, &plan);
    let ReportOptions { sla: sla_file, thresholds, .. } = &arguments.reports;
    let sla = find_thresholds(harness, &profile, &names, sla_file.as_deref(), thresholds)?;
    let service = profile.service(harness);
    let host = arguments.host.as_ref().unwrap_or(&service.host);
    let host = target::parse_address(host, arguments.allow_remote).await?;

    let paths = report_paths::of_run(&profile, command_line_paths(arguments.reports.clone()));
    let dashboard = dashboard(&arguments, &plan)?;
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
    if let Some(dashboard) = &dashboard {
        print_error(&format!("Dashboard: {}", dashboard.url()));
    }
    let no_color = arguments.reports.no_color;
    let progress =
        ProgressOptions { quiet: arguments.quiet, format: arguments.log_format, no_color };
    let settings = Settings {
        progress,
        dashboard,
        journal: paths.json.clone(),
        exporter: arguments.metrics_address,
        command: command_line(harness, &arguments, &host),
        drain_timeout: arguments.drain_timeout,
        password: arguments.password,
        options: harness.option_values.clone(),
        service,
        ..Settings::new(plan, sla, host)
    };
    let outcome = match run::run(&settings).await {
        Err(RunError::NotMeasured(unmeasured)) => {
            let names = AllowedNames { unmeasured, ..settings.plan.allowed_names() };
            // Finds the lines of the thresholds.
            find_thresholds(harness, &profile, &names, sla_file.as_deref(), thresholds)?;
            return Err(RunError::NotMeasured(names.unmeasured).into());
        }
        outcome => outcome?,
    };
    if progress.format == ProgressFormat::Json && !progress.quiet {
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let fields = json!({ "verdict": verdict.grade.name(), "reason": verdict.reason });
        progress::log_event("finished", fields);
    }
    let options = PrintOptions {
        no_color,
        strict: arguments.strict,
        explain: arguments.explain,
        verbose: arguments.reports.verbose,
        again: paths.json.as_deref().map(|outcome| report_command(harness, outcome)),
    };
    judge_and_report(&outcome, &outcome.sla, baseline.as_ref(), &paths, &options)
}

fn dashboard(arguments: &RunArguments, plan: &Plan) -> Result<Option<Dashboard>, CommandError> {
    if !arguments.ui {
        return Ok(None);
    }
    if plan.model == Model::Open || plan.has_iterations() {
        let message = "--ui works with closed profiles only, without iterations: the dashboard \
                       controls users, not arrivals";
        return Err(message.to_owned().into());
    }
    Ok(Some(Dashboard::new(&arguments.web_host, arguments.web_port)))
}
