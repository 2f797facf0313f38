//! The Plant backend's command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use plant_api::{app, config, jobs, verify};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The Plant backend: a service with known behaviour to load-test against.
#[derive(Parser)]
#[command(version)]
struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Serve the API, and do the background jobs, until SIGTERM or Ctrl-C.
    Serve(Box<config::Options>),
    /// Do the background jobs alone, as one of any number of processes.
    Work(Box<config::Options>),
    /// Show the background jobs, or have those that were given up tried again.
    Jobs {
        #[command(flatten)]
        database: config::DatabaseOptions,
        #[command(subcommand)]
        action: jobs::show::Action,
    },
    /// Bring the database to this program's schema; safe to run again.
    Migrate(config::DatabaseOptions),
    /// Check an export without the service: exit code 0 intact, 1 broken, 2 unreadable.
    Verify(verify::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Command::parse().action).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("plant-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(action: Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::Serve(options) => app::serve(options.check()?).await?,
        Action::Work(options) => app::work(options.check()?).await?,
        Action::Jobs { database, action } => app::jobs(database.check()?, &action).await?,
        Action::Migrate(options) => app::migrate(options.check()?).await?,
        Action::Verify(options) => {
            let outcome = verify::file(&options.file);
            println!("{outcome}");
            return Ok(outcome.exit_code());
        }
    }
    Ok(ExitCode::SUCCESS)
}
