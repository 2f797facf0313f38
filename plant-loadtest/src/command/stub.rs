//! `stub`: a server of known latency, to try the harness on.

use std::time::Duration;

use clap::Args;

use super::{Exit, Failure, print};
use crate::stub::{Behaviour, Latency, Stall, Stub};

/// Arguments of `stub`.
#[derive(Debug, Args)]
pub struct StubArguments {
    /// The port of this machine to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8009)]
    pub port: u16,

    /// What every answer takes, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub latency: u64,

    /// What some answers take instead, in milliseconds (see --rare-one-in)
    #[arg(long, value_name = "MS")]
    pub rare_latency: Option<u64>,

    /// Every how many answers that is
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..))]
    pub rare_one_in: u64,

    /// Work on so many requests at a time: with a latency, that is a known limit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub at_once: Option<u32>,

    /// Answer nothing for so many milliseconds (see --stall-after)
    #[arg(long, value_name = "MS")]
    pub stall: Option<u64>,

    /// How long after the first request that begins, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    pub stall_after: u64,

    /// How many agents its lists have
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub items: usize,
}

/// Serves until it is interrupted.
///
/// # Errors
/// When the port is taken.
pub async fn stub(arguments: &StubArguments) -> Result<Exit, Failure> {
    let usual = Duration::from_millis(arguments.latency);
    let latency = match arguments.rare_latency {
        Some(rare) => {
            let rare = Duration::from_millis(rare);
            Latency::Bimodal { usual, rare, one_in: arguments.rare_one_in }
        }
        None if usual.is_zero() => Latency::None,
        None => Latency::Fixed(usual),
    };
    let stall = arguments.stall.map(|lasts| Stall {
        after: Duration::from_millis(arguments.stall_after),
        lasts: Duration::from_millis(lasts),
    });
    let at_once = arguments.at_once.map(|desks| desks as usize);
    let behaviour = Behaviour { latency, at_once, stall, items: arguments.items };
    let stub = Stub::start(arguments.port, behaviour).map_err(|error| {
        let reason = format!("port {} cannot be served: {error}", arguments.port);
        Failure::new(Exit::CouldNotRun, &reason)
    })?;
    print(&format!("A stub with known latency answers at {}; Ctrl-C ends it.", stub.host()));
    let _ = tokio::signal::ctrl_c().await;
    Ok(Exit::Good)
}
