//! One fault: steady mixed requests before, during and after it, and what became of them.

mod load;
mod row;

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tokio::time::{Instant, sleep};

use crate::shell;

/// What breaks, and what is expected meanwhile.
#[derive(Parser)]
pub struct Options {
    /// The service.
    #[arg(long)]
    address: SocketAddr,
    /// What the row is called.
    #[arg(long)]
    name: String,
    /// Command that breaks something.
    #[arg(long = "break")]
    break_it: String,
    /// Command that mends it; absent where it needs none.
    #[arg(long = "mend")]
    mend_it: Option<String>,
    /// Seconds between the two.
    #[arg(long, default_value_t = 4.0)]
    away: f64,
    /// What breaks.
    #[arg(long)]
    what: What,
}

/// What breaks.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The cache alone: everything goes on.
    Redis,
    /// The database: 503 and `Retry-After`.
    Database,
}

impl What {
    /// What /health may say meanwhile.
    fn health(self) -> &'static str {
        match self {
            Self::Redis => "degraded",
            Self::Database => "unhealthy",
        }
    }

    /// Longest that a request may take, where `usual` was the longest before the break. Redis may
    /// be waited for 50 ms; the work itself takes what it takes on this machine at this time.
    fn longest(self, usual: Duration) -> Duration {
        match self {
            Self::Redis => usual.max(FOR_REDIS) + FOR_REDIS,
            Self::Database => Duration::from_secs(2),
        }
    }
}

const FOR_REDIS: Duration = Duration::from_millis(50);

/// Longest from the mending until everything is well.
const RECOVERY: Duration = Duration::from_secs(2);

/// How long is looked at before and after.
const CALM: Duration = Duration::from_secs(4);
const AFTER: Duration = Duration::from_secs(4);

/// When what happened.
struct Times {
    broken: Instant,
    mended: Instant,
}

/// Whether everything was as promised.
pub async fn watch(options: Options) -> anyhow::Result<bool> {
    let load = load::start(options.address).await?;
    sleep(CALM).await;
    let broken = Instant::now();
    shell::run(&options.break_it).await?;
    if let Some(mend_it) = &options.mend_it {
        sleep(Duration::from_secs_f64(options.away)).await;
        shell::run(mend_it).await?;
    }
    let mended = Instant::now();
    sleep(AFTER).await;
    let seen = load.stop().await?;
    Ok(row::print(&options, &Times { broken, mended }, &seen))
}
