//! Entry point of `plant-loadtest`: parses the command line, runs the command, sets the exit code.

use std::process::ExitCode;

use clap::Parser as _;
use plant_loadtest::{
    cli::{Cli, Command},
    command,
};

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(arguments) => command::run::run(*arguments).await,
        Command::List => command::list::list(),
        Command::Init(arguments) => command::init::init(&arguments),
        Command::Validate(arguments) => command::validate::validate(&arguments),
        Command::Capacity(arguments) => command::capacity::capacity(&arguments).await,
        Command::Calibrate(arguments) => command::calibrate::calibrate(&arguments).await,
        Command::Stub(arguments) => command::stub::stub(&arguments).await,
        Command::Report(arguments) => command::report::report(&arguments),
        Command::Compare(arguments) => command::compare::compare(&arguments),
        Command::Repeat(arguments) => command::repeat::repeat(&arguments).await,
        #[cfg(unix)]
        Command::Selftest(arguments) => command::selftest::selftest(&arguments).await,
        #[cfg(unix)]
        Command::SelftestServer(arguments) => command::selftest::serve(&arguments).await,
        Command::Simulate(arguments) => Ok(command::simulate::simulate(&arguments)),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("plant-loadtest: {}", error.message);
            error.exit.into()
        }
    }
}
