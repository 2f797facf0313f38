//! Command line of the Plant backend.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use plant_api::{app, config, fake_desk, jobs, verify};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The Plant backend: a service with known behaviour as a target for load tests.
#[derive(Parser)]
#[command(version)]
struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Serve the API and run background jobs until SIGTERM or Ctrl-C.
    Serve(Box<config::Options>),
    /// Run background jobs only; any number of these processes can run at once.
    Work(Box<config::Options>),
    /// List background jobs, or requeue dead ones.
    Jobs {
        #[command(flatten)]
        database: config::DatabaseOptions,
        #[command(subcommand)]
        action: jobs::command::Action,
    },
    /// Apply the pending database migrations; safe to repeat.
    Migrate(config::DatabaseOptions),
    /// Serve a fake service desk that stores notes in memory until SIGTERM or Ctrl-C.
    FakeDesk(fake_desk::Options),
    /// Verify an exported hash chain offline: exit code 0 intact, 1 broken, 2 unreadable.
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
        Action::FakeDesk(options) => app::fake_desk(options).await?,
        Action::Verify(options) => {
            let outcome = verify::verify_file(&options.file);
            println!("{outcome}");
            return Ok(outcome.exit_code());
        }
    }
    Ok(ExitCode::SUCCESS)
}
