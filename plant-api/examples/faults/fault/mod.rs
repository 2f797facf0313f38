//! Injects one fault under steady load and checks the responses before, during and after it.

mod load;
mod row;

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tokio::time::{Instant, sleep};

use crate::shell;

/// Settings of one fault.
#[derive(Parser)]
pub struct Options {
    /// Address of the service.
    #[arg(long)]
    address: SocketAddr,
    /// Name of the table row.
    #[arg(long)]
    name: String,
    /// Command that injects the fault.
    #[arg(long = "break")]
    inject_command: String,
    /// Command that repairs the fault; default: none.
    #[arg(long = "mend")]
    repair_command: Option<String>,
    /// Time between the two commands, in seconds.
    #[arg(long = "away", default_value_t = 4.0)]
    outage_seconds: f64,
    /// Dependency that becomes unavailable.
    #[arg(long = "what")]
    dependency: Dependency,
}

/// A dependency of the service.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dependency {
    /// Redis: all requests still succeed.
    Redis,
    /// PostgreSQL: requests get 503 with `Retry-After`.
    Database,
}

impl Dependency {
    /// Returns the status that /health reports while the dependency is unavailable.
    fn health(self) -> &'static str {
        match self {
            Self::Redis => "degraded",
            Self::Database => "unhealthy",
        }
    }

    /// Returns the maximum latency of a request; `baseline` is the longest one before the fault.
    /// Redis may add its timeout, on top of what the work takes on this machine at this time.
    fn max_latency(self, baseline: Duration) -> Duration {
        match self {
            Self::Redis => baseline.max(REDIS_TIMEOUT) + REDIS_TIMEOUT,
            Self::Database => Duration::from_secs(2),
        }
    }
}

const REDIS_TIMEOUT: Duration = Duration::from_millis(50);

/// Maximum time from the repair until all responses are successful again.
const MAX_RECOVERY: Duration = Duration::from_secs(2);

/// Measured time before the fault and after the repair.
const BASELINE_DURATION: Duration = Duration::from_secs(4);
const RECOVERY_DURATION: Duration = Duration::from_secs(4);

/// Times at which the fault was injected and repaired.
struct Times {
    injected_at: Instant,
    repaired_at: Instant,
}

/// Runs the fault and prints its row. Returns whether all thresholds were met.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let load = load::start(options.address).await?;
    sleep(BASELINE_DURATION).await;
    let injected_at = Instant::now();
    shell::run(&options.inject_command).await?;
    if let Some(repair_command) = &options.repair_command {
        sleep(Duration::from_secs_f64(options.outage_seconds)).await;
        shell::run(repair_command).await?;
    }
    let repaired_at = Instant::now();
    sleep(RECOVERY_DURATION).await;
    let records = load.stop().await?;
    Ok(row::print(&options, &Times { injected_at, repaired_at }, &records))
}
