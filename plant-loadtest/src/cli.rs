//! Command line definition. Option names follow Locust where Locust has the same option.

use clap::{Parser, Subcommand};

#[cfg(unix)]
use crate::command::selftest::{SelftestArguments, SelftestServerArguments};
use crate::command::{
    calibrate::CalibrateArguments, capacity::CapacityArguments, compare::CompareArguments,
    init::InitArguments, repeat::RepeatArguments, report::ReportArguments, run::RunArguments,
    simulate::SimulateArguments, stub::StubArguments, validate::ValidateArguments,
};

/// Runs user scenarios against Plant and judges whether all thresholds were met.
#[derive(Debug, Parser)]
#[command(name = "plant-loadtest", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  PASS, WARNING or NO VERDICT (with --strict, WARNING exits with 1)
  1  FAIL: a threshold was violated
  2  invalid command line, profile or SLA file
  3  the run could not start: target unreachable, unhealthy or not seeded
  4  INVALID or INSUFFICIENT: the measurements do not allow a verdict";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a profile, judge the results and write reports
    Run(Box<RunArguments>),
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
    /// Check the verdicts of this program on this machine against servers of known truth
    #[cfg(unix)]
    Selftest(SelftestArguments),
    /// Serve one case of `selftest`
    #[cfg(unix)]
    #[command(hide = true)]
    SelftestServer(SelftestServerArguments),
    /// Check the statistics on simulated data with known properties
    #[command(hide = true)]
    Simulate(SimulateArguments),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory as _;

    use super::*;

    fn run(arguments: &[&str]) -> RunArguments {
        let line = ["plant-loadtest", "run", "peak-100"].iter().chain(arguments);
        match Cli::try_parse_from(line).unwrap().command {
            Command::Run(arguments) => *arguments,
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
