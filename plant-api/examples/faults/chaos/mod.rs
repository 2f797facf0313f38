//! Chaos: writers write, while the service, a worker, Redis and PostgreSQL are killed at random
//! moments. Afterwards every write that was acknowledged is compared with what is there, every
//! job must have ended, and none may have had its effect twice.
//!
//! A writer sends a request again, with the same `Idempotency-Key`, until it is acknowledged, as
//! a careful client does.

mod check;
mod kills;
mod ledger;
mod processes;
mod writers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use sqlx::{Connection, PgConnection};

use kills::Kills;
use ledger::Ledger;
use processes::{Program, Programs};

/// What is killed, how often, and how.
#[derive(Parser)]
pub struct Options {
    /// The service's program.
    #[arg(long)]
    program: PathBuf,
    /// The database's owner.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Where the service is to listen.
    #[arg(long)]
    address: SocketAddr,
    /// Folder for the programs' logs.
    #[arg(long)]
    logs: PathBuf,
    /// Kills.
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// Other seeds, other moments.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Writers of each kind.
    #[arg(long, default_value_t = 4)]
    writers: usize,
    /// Commands that kill, restart and start PostgreSQL and Redis.
    #[command(flatten)]
    commands: kills::Commands,
    /// Kill nothing but PostgreSQL.
    #[arg(long)]
    only_postgresql: bool,
    /// The name of the row that is printed.
    #[arg(long, default_value = "as it is")]
    name: String,
    /// Durability is broken on purpose: acknowledged writes must be found missing.
    #[arg(long)]
    expect_loss: bool,
}

/// How long what is left may take after the last kill: a lease, and all attempts of a job.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// Whether every promise was kept; where loss is expected, whether it was found.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let mut owner = PgConnection::connect(&options.database_url).await?;
    check::watch_effects(&mut owner).await?;
    owner.close().await?;
    let mut programs = Programs {
        service: Program::start(&options, "serve", &["--listen", &options.address.to_string()])?,
        worker: Program::start(&options, "work", &[])?,
    };
    let accounts = writers::prepare(&options).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writing = writers::start(&options, &accounts, &stop);

    let began = Instant::now();
    let kills = Kills::new(&options).all(&mut programs).await?;
    let lasted = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut ledger = Ledger::default();
    for writer in writing {
        ledger.add(writer.await?);
    }
    let mut owner = PgConnection::connect(&options.database_url).await?;
    let settled = check::settled_within(&mut owner, SETTLED_WITHIN).await?;
    let found = check::compare(&mut owner, &ledger).await?;
    println!(
        "| {} | {} in {:.0} s: {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        options.name,
        options.kills,
        lasted.as_secs_f64(),
        kills,
        ledger.acknowledged(),
        ledger.unanswered,
        found.lost,
        found.twice,
        found.open,
        found.attempts_again,
        found.latest_pick_up,
        settled.map_or("never".to_owned(), |took| format!("{:.1} s", took.as_secs_f64())),
    );
    for example in &found.examples {
        println!("{example}");
    }
    programs.stop().await?;
    if options.expect_loss {
        return Ok(found.lost > 0);
    }
    Ok(found.is_clean() && settled.is_some() && ledger.refused == 0)
}
