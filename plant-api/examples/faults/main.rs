//! Client of scripts/faults.sh, scripts/chaos.sh and scripts/logins.sh: sends requests while faults
//! are injected, and reports how the service responds. Exit code 1: a threshold was violated; 2:
//! the command could not run.

mod chaos;
mod client;
mod cut_off;
mod fault;
mod hostile;
mod logins;
mod percentiles;
mod processes;
mod read_your_writes;
mod shell;
mod slow_clients;
mod stops;

use std::process::ExitCode;

use clap::Parser;

/// Measure a service while faults are injected.
#[derive(Parser)]
enum Command {
    /// Inject and repair a fault of a dependency under steady load; print a table row.
    Fault(fault::Options),
    /// Check that every read returns all writes that were acknowledged before it started.
    ReadYourWrites(read_your_writes::Options),
    /// Kill the service, a worker, Redis and PostgreSQL at random times under writes; print a table
    /// row.
    Chaos(chaos::Options),
    /// Cut off writes at random moments, optionally kill replicas, and check that no replica serves
    /// an older version than the database has shown.
    CutOff(cut_off::Options),
    /// Send logins at twice the rate that the service can process.
    LoginOverload(logins::overload::Options),
    /// Compare the response times of logins with unknown emails and with wrong passwords.
    LoginTiming(logins::timing::Options),
    /// Send requests that are meant to stop the service; print a table.
    Hostile(hostile::Options),
    /// Open idle and slow connections next to healthy ones.
    SlowClients(slow_clients::Options),
    /// Stop the service under load and count lost requests.
    Stops(stops::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let met = match Command::parse() {
        Command::Fault(options) => fault::run(options).await,
        Command::ReadYourWrites(options) => read_your_writes::run(options).await,
        Command::Chaos(options) => chaos::run(options).await,
        Command::CutOff(options) => cut_off::run(options).await,
        Command::LoginOverload(options) => logins::overload::run(options).await,
        Command::LoginTiming(options) => logins::timing::run(options).await,
        Command::Hostile(options) => hostile::run(options).await,
        Command::SlowClients(options) => slow_clients::run(options).await,
        Command::Stops(options) => stops::run(options).await,
    };
    match met {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::from(2)
        }
    }
}
