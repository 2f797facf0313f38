//! Command line definition. Option names follow Locust where Locust has the same option.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

#[cfg(unix)]
use crate::command::selftest::{SelftestArguments, SelftestServerArguments};
use crate::{
    class_options::{ClassOption, ClassOptions},
    command::{
        self, CommandError, Exit, calibrate::CalibrateArguments, capacity::CapacityArguments,
        compare::CompareArguments, init::InitArguments, locustfile::LocustfileArguments,
        merge::MergeArguments, repeat::RepeatArguments, report::ReportArguments,
        run_arguments::RunArguments, stub::StubArguments, suite::SuiteArguments,
        validate::ValidateArguments, worker::WorkerArguments,
    },
    console::print_error,
    harness::Harness,
};

/// Runs user scenarios against a service and judges whether all thresholds were met.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, max_term_width = 80)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands that generate load in their own process.
const LOADING_COMMANDS: [&str; 4] = ["run", "capacity", "suite", "worker"];

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
    /// Write a starter profile, or one from an OpenAPI document, a browser recording or a Locust file
    Init(InitArguments),
    /// Check profiles and SLA files; report every error with its line
    Validate(ValidateArguments),
    /// Run the profiles of a suite one after the other, with one summary
    Suite(SuiteArguments),
    /// Find the highest load that meets all thresholds
    Capacity(CapacityArguments),
    /// Check the measurement accuracy on this machine against servers with known latency
    Calibrate(CalibrateArguments),
    /// Start a stub server with a configured latency
    Stub(StubArguments),
    /// Judge a saved outcome and write its reports, without running a load
    Report(ReportArguments),
    /// Run the users that a Locust master orders, and report to it
    Worker(WorkerArguments),
    /// Write the locustfile for a master whose workers run a profile
    Locustfile(LocustfileArguments),
    /// Merge the outcomes of several load generators into one, judge it and write its reports
    Merge(MergeArguments),
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
}

impl Harness {
    /// Parses the command line, runs the command and returns the exit code.
    #[must_use]
    pub fn main(&self) -> ExitCode {
        let matches = self.command().get_matches();
        let options = matches.subcommand().map(|(_, matches)| matches);
        let option_values = ClassOptions::read(self.options, options);
        let harness = Self { option_values, ..self.clone() };
        let command = match Cli::from_arg_matches(&matches) {
            Ok(cli) => cli.command,
            Err(error) => error.exit(),
        };
        let result = match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime.block_on(harness.execute(command)),
            Err(error) => Err(CommandError::could_not_run(&error)),
        };
        match result {
            Ok(exit) => exit.into(),
            Err(error) => {
                print_error(&format!("{}: {}", self.name, error.message));
                error.exit.into()
            }
        }
    }

    /// Returns the definition of the command line, with the options for the user classes.
    fn command(&self) -> clap::Command {
        let command = Cli::command().name(self.name).bin_name(self.name);
        LOADING_COMMANDS.iter().fold(command, |command, name| {
            let options = self.options.iter().map(ClassOption::argument);
            command.mut_subcommand(name, |command| command.args(options))
        })
    }

    async fn execute(&self, command: Command) -> Result<Exit, CommandError> {
        match command {
            Command::Run(arguments) => command::run::run(self, *arguments).await,
            Command::List => command::list::list(self),
            Command::Init(arguments) => command::init::init(self, &arguments).await,
            Command::Validate(arguments) => command::validate::validate(self, &arguments),
            Command::Suite(arguments) => command::suite::suite(self, &arguments).await,
            Command::Capacity(arguments) => command::capacity::capacity(self, &arguments).await,
            Command::Calibrate(arguments) => command::calibrate::calibrate(&arguments).await,
            Command::Stub(arguments) => command::stub::stub(self, &arguments).await,
            Command::Report(arguments) => command::report::report(self, &arguments),
            Command::Worker(arguments) => command::worker::worker(self, arguments).await,
            Command::Locustfile(arguments) => command::locustfile::locustfile(self, &arguments),
            Command::Merge(arguments) => command::merge::merge(self, &arguments),
            Command::Compare(arguments) => command::compare::compare(&arguments),
            Command::Repeat(arguments) => command::repeat::repeat(self, &arguments).await,
            #[cfg(unix)]
            Command::Selftest(arguments) => command::selftest::selftest(&arguments).await,
            #[cfg(unix)]
            Command::SelftestServer(arguments) => command::selftest::serve(&arguments).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        crate::plant::harness().command().debug_assert();
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
