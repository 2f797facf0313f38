//! The command line. Where Locust has a spelling for something, it is Locust's.

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

/// Runs documented user journeys against Plant and judges whether it kept its promises.
#[derive(Debug, Parser)]
#[command(name = "plant-loadtest", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  PASS or WARNING (with --strict a WARNING is 1)
  1  FAIL: a promise was broken
  2  a mistake on the command line, in a profile or in an SLA file
  3  the run could not start: target unreachable, unhealthy or not seeded
  4  INVALID or INSUFFICIENT: what was measured does not allow a verdict";

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a profile, judge it, write its reports
    Run(RunArguments),
    /// Show the built-in profiles, the user classes and the SLA files
    List,
    /// Write a profile of your own to begin with, and its promises
    Init(InitArguments),
    /// Check profiles and SLA files; every mistake is told with its line
    Validate(ValidateArguments),
    /// Find the highest load that keeps its promises, and the promise that breaks next
    Capacity(CapacityArguments),
    /// Measure servers of known latency: can this program be believed on this machine?
    Calibrate(CalibrateArguments),
    /// Serve a stub of known latency, to try things on
    Stub(StubArguments),
    /// Judge and draw an earlier outcome again, without running anything
    Report(ReportArguments),
    /// Compare runs before and after a change, or look for changes in many runs over time
    Compare(CompareArguments),
    /// Run a profile as often as a comparison takes, and compare
    Repeat(RepeatArguments),
    /// Try the statistics on made-up data whose truth is known
    #[command(hide = true)]
    Simulate(SimulateArguments),
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// A built-in profile (see `list`), or the path of a profile's TOML file
    pub profile: String,

    /// Where the service listens
    #[arg(short = 'H', long, value_name = "URL", default_value = "http://127.0.0.1:8001")]
    pub host: String,

    /// Users at the height of the load, instead of the profile's
    #[arg(short = 'u', short_alias = 'c', long, value_name = "N", overrides_with = "users")]
    pub users: Option<u32>,

    /// Users started a second, instead of the profile's; may be fractional
    #[arg(short = 'r', short_alias = 's', long, value_name = "R", overrides_with = "spawn_rate")]
    pub spawn_rate: Option<f64>,

    /// Arrivals a second at the height of an open load, instead of the profile's; stages keep their
    /// proportions
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub rate: Option<f64>,

    /// How long to run, ramp included, instead of the profile's: 30s, 10m, 1h30m
    #[arg(short = 't', long, value_name = "D", value_parser = timespan::parse_positive)]
    pub run_time: Option<Duration>,

    /// Multiply every duration, to try a profile in less time: 0.1 makes a tenth. Stages round up
    /// to a second, think time stays, and the verdict says that the run was scaled
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub time_scale: f64,

    /// How long one request may take
    #[arg(long, value_name = "D", default_value = "30s", value_parser = timespan::parse_positive)]
    pub timeout: Duration,

    /// What the accounts of test customers log in with, where the service demands tokens
    #[arg(
        long,
        value_name = "P",
        env = "LOAD_TEST_PASSWORD",
        hide_env_values = true,
        default_value = access::PASSWORD
    )]
    pub password: String,

    /// Show what would happen, and send nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Treat a WARNING as a failure (exit 1)
    #[arg(long)]
    pub strict: bool,

    /// Allow a target on another machine
    #[arg(long)]
    pub allow_remote: bool,

    /// Serve Goose's live dashboard while it runs: charts, stop, change users. Who changes the load
    /// gets an outcome marked advisory. Closed profiles only
    #[arg(long, conflicts_with = "headless")]
    pub ui: bool,

    /// Where the dashboard listens. Others than this machine need the token in the address shown
    #[arg(long, value_name = "H", default_value = "127.0.0.1")]
    pub web_host: String,

    /// The dashboard's port
    #[arg(long, value_name = "PORT", default_value_t = 8089)]
    pub web_port: u16,

    /// Run without the dashboard, as without --ui; Locust's spelling
    #[arg(long)]
    pub headless: bool,

    /// No progress while it runs
    #[arg(short = 'q', long)]
    pub quiet: bool,

    /// How progress is told: for people, or one JSON object a line
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Serve the harness's own /metrics here while it runs, for Prometheus
    #[arg(
        long,
        value_name = "ADDRESS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "127.0.0.1:9646"
    )]
    pub metrics: Option<SocketAddr>,

    /// Promises and reports.
    #[command(flatten)]
    pub reports: ReportOptions,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArguments {
    /// The outcome of an earlier run, as --json wrote it
    pub outcome: PathBuf,

    /// Treat a WARNING as a failure (exit 1)
    #[arg(long)]
    pub strict: bool,

    /// Promises and reports.
    #[command(flatten)]
    pub reports: ReportOptions,
}

/// What to judge by, and where to write.
#[derive(Clone, Debug, Args)]
pub struct ReportOptions {
    /// Judge by these promises: the name of a built-in SLA file, or the path of one
    #[arg(long, value_name = "F")]
    pub sla: Option<String>,

    /// Write the HTML report here
    #[arg(long, value_name = "F")]
    pub html: Option<PathBuf>,

    /// Write Locust's CSV files here: PREFIX_stats.csv and so on
    #[arg(long, value_name = "PREFIX")]
    pub csv: Option<PathBuf>,

    /// No colours, also when NO_COLOR is set
    #[arg(long, env = "NO_COLOR", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_color: bool,

    /// Write the outcome here: everything measured, for `report`
    #[arg(long, value_name = "F")]
    pub json: Option<PathBuf>,

    /// Write JUnit XML here, a test case for each promise
    #[arg(long, value_name = "F")]
    pub junit: Option<PathBuf>,

    /// Write a summary in Markdown here, for a pull request
    #[arg(long, value_name = "F")]
    pub markdown: Option<PathBuf>,

    /// Write load_test_metrics.json here: figures by API and whether they pass, for CI
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
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn locusts_spellings_of_the_seeds_are_understood() {
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
