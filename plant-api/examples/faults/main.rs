//! The client behind scripts/faults.sh and scripts/logins.sh: it asks steadily while something breaks, and tells how
//! the service bore it. Each command exits with 1 when a promise was not kept.

mod chaos;
mod client;
mod fault;
mod logins;
mod percentiles;
mod read_your_writes;
mod shell;
mod slow_clients;

use std::process::ExitCode;

use clap::Parser;

/// Watches a service while something breaks.
#[derive(Parser)]
enum Command {
    /// A dependency breaks and is mended again; prints a row of a table.
    Fault(fault::Options),
    /// Writers and readers; no read may miss a write that was answered before it began.
    ReadYourWrites(read_your_writes::Options),
    /// Everything killed at random moments under writers; prints a row of a table.
    Chaos(chaos::Options),
    /// Logins at twice the rate that the service can hash.
    LoginOverload(logins::overload::Options),
    /// Refused logins, of unknown addresses and with wrong passwords in turn.
    LoginTiming(logins::timing::Options),
    /// Idle and slow connections beside healthy ones.
    SlowClients(slow_clients::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let kept = match Command::parse() {
        Command::Fault(options) => fault::watch(options).await,
        Command::ReadYourWrites(options) => read_your_writes::run(options).await,
        Command::Chaos(options) => chaos::run(options).await,
        Command::LoginOverload(options) => logins::overload::run(options).await,
        Command::LoginTiming(options) => logins::timing::run(options).await,
        Command::SlowClients(options) => slow_clients::run(options).await,
    };
    match kept {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::from(2)
        }
    }
}
