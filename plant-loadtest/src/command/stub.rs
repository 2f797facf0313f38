//! `stub`: serves a stub of the service with a configured latency.

use std::time::Duration;

use clap::Args;

use super::{CommandError, Exit};
use crate::{
    console::print,
    harness::Harness,
    stub::{Behavior, Latency, Stall, Stub, default_response},
};

/// Arguments of `stub`.
#[derive(Debug, Args)]
pub struct StubArguments {
    /// Port to listen on at 127.0.0.1; 0 selects a free port
    #[arg(long, default_value_t = 8009)]
    pub port: u16,

    /// Latency of every response, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub latency: u64,

    /// Latency of every Nth response instead, in milliseconds (see --rare-one-in)
    #[arg(long, value_name = "MS")]
    pub rare_latency: Option<u64>,

    /// Use --rare-latency for every Nth response
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..))]
    pub rare_one_in: u64,

    /// Maximum concurrent requests; others wait. Limits the rate to N divided by the latency
    /// [default: no limit]
    #[arg(long = "at-once", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_concurrent: Option<u32>,

    /// Duration of one stall without responses, in milliseconds (see --stall-after)
    #[arg(long, value_name = "MS")]
    pub stall: Option<u64>,

    /// Start of the stall after the first request, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    pub stall_after: u64,

    /// Number of items in list responses
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub items: usize,
}

/// Serves until Ctrl-C.
///
/// # Errors
/// When the port is in use.
pub async fn stub(harness: &Harness, arguments: &StubArguments) -> Result<Exit, CommandError> {
    let typical = Duration::from_millis(arguments.latency);
    let latency = match arguments.rare_latency {
        Some(rare) => {
            let rare = Duration::from_millis(rare);
            Latency::Bimodal { typical, rare, one_in: arguments.rare_one_in }
        }
        None if typical.is_zero() => Latency::None,
        None => Latency::Fixed(typical),
    };
    let stall = arguments.stall.map(|duration| Stall {
        start_after: Duration::from_millis(arguments.stall_after),
        duration: Duration::from_millis(duration),
    });
    let max_concurrent = arguments.max_concurrent.map(|requests| requests as usize);
    let behavior = Behavior { latency, max_concurrent, stall };
    let responses = match harness.stub_responses {
        Some(responses) => responses(arguments.items),
        None => Box::new(default_response),
    };
    let stub = Stub::start_with(arguments.port, behavior, responses).map_err(|error| {
        let reason = format!("cannot listen on port {}: {error}", arguments.port);
        CommandError::new(Exit::CouldNotRun, &reason)
    })?;
    print(&format!("Stub server listening on {}; press Ctrl-C to stop.", stub.host()));
    let _ = tokio::signal::ctrl_c().await;
    Ok(Exit::Success)
}
