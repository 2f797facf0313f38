//! `run`: runs a profile, prints the verdict and writes the reports.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use serde_json::json;

use super::{
    CommandError, Exit,
    command_line::command_line,
    disable_library_logging, dry_run,
    report::{
        PrintOptions, ReportOptions, command_line_paths, find_thresholds, judge_and_report,
        read_baseline,
    },
};
use crate::{
    console::{print, print_error},
    duration,
    engine::dashboard::Dashboard,
    harness::Harness,
    load::Model,
    profile::{Overrides, Plan, Profile, ReportPaths},
    progress::{self, ProgressFormat, ProgressOptions},
    report,
    run::{self, RunError, Settings},
    sla::AllowedNames,
    target,
    trace::TraceHeader,
    verdict::Verdict,
};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Built-in profile (see `list`) or path of a TOML file
    pub profile: String,

    /// Base URL of the service [default: the local service that the program is made for]
    #[arg(short = 'H', long, value_name = "URL")]
    pub host: Option<String>,

    /// Peak number of users; overrides the profile
    #[arg(short = 'u', short_alias = 'c', long, value_name = "N", overrides_with = "users")]
    pub users: Option<u32>,

    /// Users started per second, may be fractional; overrides the profile
    #[arg(
        short = 'r',
        short_alias = 's',
        long,
        value_name = "RATE",
        overrides_with = "spawn_rate"
    )]
    pub spawn_rate: Option<f64>,

    /// Peak arrivals per second (open profiles only); overrides the profile. All stages are scaled
    /// by the same factor
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub rate: Option<f64>,

    /// Duration of the run including the ramp, e.g. 30s, 10m, 1h30m; overrides the profile
    #[arg(short = 't', long, value_name = "DURATION", value_parser = duration::parse_positive)]
    pub run_time: Option<Duration>,

    /// Factor for all stage durations, for a short trial of a profile (0.1 = one tenth). Stages are
    /// rounded up to a second, think time is unchanged, and the reports note the scaling
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub time_scale: f64,

    /// Timeout for one request [default: that of the profile, else 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive)]
    pub timeout: Option<Duration>,

    /// Share of the requests whose `traceparent` has the sampled flag, 0 to 1; `off`: no `traceparent`
    /// [default: that of the profile, else 0.01]
    #[arg(long, value_name = "SHARE")]
    pub traces: Option<TraceHeader>,

    /// How long to wait after the load for accepted work to end
    /// [default: twice the highest limit of the SLA for that time, at least 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive)]
    pub drain_timeout: Option<Duration>,

    /// Password of the test accounts, for a service that requires authentication
    /// [default: that of the seeded accounts]
    #[arg(long, value_name = "PASSWORD", env = "LOAD_TEST_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,

    /// Print the plan and send no requests
    #[arg(long)]
    pub dry_run: bool,

    /// Treat a WARNING as a failure (exit 1)
    #[arg(long)]
    pub strict: bool,

    /// Print every threshold with its state, and how the grade follows
    #[arg(long)]
    pub explain: bool,

    /// Allow a target that is not a loopback address, such as another machine
    #[arg(long)]
    pub allow_remote: bool,

    /// Serve Goose's live dashboard during the run: charts, stop, change users. Changing the load
    /// marks the outcome as advisory. Closed profiles only
    #[arg(long, conflicts_with = "headless")]
    pub ui: bool,

    /// Listen address of the dashboard. Access from another machine needs the token in the printed
    /// URL
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub web_host: String,

    /// Port of the dashboard
    #[arg(long, value_name = "PORT", default_value_t = 8089)]
    pub web_port: u16,

    /// Run without the dashboard (the default); accepted for compatibility with Locust
    #[arg(long)]
    pub headless: bool,

    /// Print no progress during the run
    #[arg(short = 'q', long)]
    pub quiet: bool,

    /// Progress output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: ProgressFormat,

    /// Serve Prometheus metrics of the load generator at this address during the run; without a
    /// value at 127.0.0.1:9646
    #[arg(
        long = "metrics",
        value_name = "ADDRESS",
        env = "LOAD_TEST_METRICS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "127.0.0.1:9646"
    )]
    pub metrics_address: Option<SocketAddr>,

    /// SLA file and report files.
    #[command(flatten)]
    pub reports: ReportOptions,
}

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

    let paths = report_paths(&profile, arguments.reports.clone());
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
    let options = PrintOptions { no_color, strict: arguments.strict, explain: arguments.explain };
    judge_and_report(&outcome, &outcome.sla, baseline.as_ref(), &paths, options)
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
        metrics_json: given.metrics_json.or(from_profile.metrics_json),
    }
}
