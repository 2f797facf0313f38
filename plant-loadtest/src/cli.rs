//! Command line definition. Option names follow Locust where Locust has the same option.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    access,
    command::{
        calibrate::CalibrateArguments, capacity::CapacityArguments, compare::CompareArguments,
        init::InitArguments, repeat::RepeatArguments, simulate::SimulateArguments,
        stub::StubArguments, validate::ValidateArguments,
    },
    progress::LogFormat,
    timespan,
};

/// Load-tests Plant with documented user journeys and judges the results against thresholds.
#[derive(Debug, Parser)]
#[command(name = "plant-loadtest", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  PASS or WARNING (with --strict, WARNING exits with 1)
  1  FAIL: a threshold was violated
  2  invalid command line, profile or SLA file
  3  the run could not start: target unreachable, unhealthy or not seeded
  4  INVALID or INSUFFICIENT: the measurements do not allow a verdict";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a profile, judge the results and write reports
    Run(RunArguments),
    /// List the built-in profiles, user classes and SLA files
    List,
    /// Write a starter profile and its SLA file
    Init(InitArguments),
    /// Check profiles and SLA files; report every error with its line
    Validate(ValidateArguments),
    /// Find the highest load that meets all thresholds
    Capacity(CapacityArguments),
    /// Check the measurement accuracy on this machine against servers with known latency
    Calibrate(CalibrateArguments),
    /// Start a stub server with a configured latency
    Stub(StubArguments),
    /// Judge a saved outcome and write its reports, without running a load
    Report(ReportArguments),
    /// Compare runs before and after a change, or detect changes in a series of runs
    Compare(CompareArguments),
    /// Run a profile as often as a comparison needs, and compare
    Repeat(RepeatArguments),
    /// Check the statistics on simulated data with known properties
    #[command(hide = true)]
    Simulate(SimulateArguments),
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Built-in profile (see `list`) or path of a TOML file
    pub profile: String,

    /// Base URL of the service
    #[arg(short = 'H', long, value_name = "URL", default_value = "http://127.0.0.1:8001")]
    pub host: String,

    /// Peak number of users; overrides the profile
    #[arg(short = 'u', short_alias = 'c', long, value_name = "N", overrides_with = "users")]
    pub users: Option<u32>,

    /// Users started per second, may be fractional; overrides the profile
    #[arg(short = 'r', short_alias = 's', long, value_name = "R", overrides_with = "spawn_rate")]
    pub spawn_rate: Option<f64>,

    /// Peak arrivals per second (open profiles only); overrides the profile. All stages are scaled
    /// by the same factor
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub rate: Option<f64>,

    /// Duration of the run including the ramp, e.g. 30s, 10m, 1h30m; overrides the profile
    #[arg(short = 't', long, value_name = "D", value_parser = timespan::parse_positive)]
    pub run_time: Option<Duration>,

    /// Factor for all stage durations, for a short trial of a profile (0.1 = one tenth). Stages are
    /// rounded up to a second, think time is unchanged, and the reports note the scaling
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub time_scale: f64,

    /// Timeout for one request
    #[arg(long, value_name = "D", default_value = "30s", value_parser = timespan::parse_positive)]
    pub timeout: Duration,

    /// Password of the test accounts, for a service that requires tokens
    #[arg(
        long,
        value_name = "P",
        env = "LOAD_TEST_PASSWORD",
        hide_env_values = true,
        default_value = access::PASSWORD
    )]
    pub password: String,

    /// Print the plan and send no requests
    #[arg(long)]
    pub dry_run: bool,

    /// Treat a WARNING as a failure (exit 1)
    #[arg(long)]
    pub strict: bool,

    /// Allow a target on another machine
    #[arg(long)]
    pub allow_remote: bool,

    /// Serve Goose's live dashboard during the run: charts, stop, change users. Changing the load
    /// marks the outcome as advisory. Closed profiles only
    #[arg(long, conflicts_with = "headless")]
    pub ui: bool,

    /// Listen address of the dashboard. Access from another machine needs the token in the printed
    /// URL
    #[arg(long, value_name = "H", default_value = "127.0.0.1")]
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
    pub log_format: LogFormat,

    /// Serve Prometheus metrics of the load generator at this address during the run; without a
    /// value at 127.0.0.1:9646
    #[arg(
        long,
        value_name = "ADDRESS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "127.0.0.1:9646"
    )]
    pub metrics: Option<SocketAddr>,

    /// SLA file and report files.
    #[command(flatten)]
    pub reports: ReportOptions,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArguments {
    /// Outcome of an earlier run, written by --json
    pub outcome: PathBuf,

    /// Treat a WARNING as a failure (exit 1)
    #[arg(long)]
    pub strict: bool,

    /// SLA file and report files.
    #[command(flatten)]
    pub reports: ReportOptions,
}

/// The SLA file to judge by and the report files to write.
#[derive(Clone, Debug, Args)]
pub struct ReportOptions {
    /// SLA file with the thresholds: built-in name or path [default: that of the profile or outcome]
    #[arg(long, value_name = "F")]
    pub sla: Option<String>,

    /// Write the HTML report to this file [default of `run`: that of the profile, else
    /// reports/PROFILE.html]
    #[arg(long, value_name = "F")]
    pub html: Option<PathBuf>,

    /// Write CSV files in Locust's format, named PREFIX_stats.csv, PREFIX_stats_history.csv,
    /// PREFIX_failures.csv and PREFIX_exceptions.csv
    #[arg(long, value_name = "PREFIX")]
    pub csv: Option<PathBuf>,

    /// Disable colored output
    #[arg(long, env = "NO_COLOR", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_color: bool,

    /// Write the outcome (all measurements, input of `report`) to this file [default of `run`: that
    /// of the profile, else reports/PROFILE.outcome.json]
    #[arg(long, value_name = "F")]
    pub json: Option<PathBuf>,

    /// Write JUnit XML to this file, one test case per threshold
    #[arg(long, value_name = "F")]
    pub junit: Option<PathBuf>,

    /// Write a Markdown summary for a pull request to this file
    #[arg(long, value_name = "F")]
    pub markdown: Option<PathBuf>,

    /// Write load_test_metrics.json to this file: metrics per API and pass or fail, for CI
    #[arg(long, value_name = "F")]
    pub metrics_json: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn run(arguments: &[&str]) -> RunArguments {
        let line = ["plant-loadtest", "run", "peak-100"].iter().chain(arguments);
        match Cli::try_parse_from(line).unwrap().command {
            Command::Run(arguments) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_definition_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn locust_options_are_accepted() {
        let arguments = run(&[
            "-u",
            "100",
            "-r",
            "6.67",
            "-t",
            "300s",
            "--headless",
            "-c",
            "100",
            "-s",
            "10",
            "--host=http://localhost:8000",
            "--csv=load-test-results",
        ]);
        assert_eq!((arguments.users, arguments.spawn_rate), (Some(100), Some(10.0)));
        assert_eq!(arguments.run_time, Some(Duration::from_secs(300)));
        let long = run(&["--users", "1", "--spawn-rate", "1", "--run-time", "30s"]);
        assert_eq!(long.users, Some(1));
    }
}
