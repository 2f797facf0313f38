//! Chaos test: replicas of the service, workers, Redis and PostgreSQL are killed at random times while writers
//! write. Afterwards every acknowledged write must exist, every job must be finished, and no job
//! may have had its effect twice; every payment must have ended, and the ledger agree with it; every
//! ticket must have ended, with one note at a service desk that is slow, fails and is never killed. At
//! last faults are put into the rows on purpose, each of which the comparison must detect.
//!
//! Writers retry a request with the same `Idempotency-Key` until it is acknowledged.

mod check;
mod kills;
mod ledger;
mod payments;
mod tickets;
mod writers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use sqlx::{Connection, PgConnection};

use crate::processes::Program;
use kills::Kills;
use ledger::Ledger;

/// Settings of the chaos test.
#[derive(Parser)]
pub struct Options {
    /// Path of the `plant-api` executable.
    #[arg(long)]
    program: PathBuf,
    /// URL of the database, with the role that owns it.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Addresses on which the replicas of the service listen.
    #[arg(long, required = true)]
    address: Vec<SocketAddr>,
    /// Address that the writers and the payment provider connect to, such as that of a load balancer; by
    /// default that of the first replica.
    #[arg(long)]
    through: Option<SocketAddr>,
    /// Number of workers.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Address on which the fake service desk listens.
    #[arg(long)]
    desk_address: SocketAddr,
    /// Directory for the log files of the programs.
    #[arg(long)]
    logs: PathBuf,
    /// Number of kills.
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// Seed of the order and the times of the kills.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Number of writers of each kind.
    #[arg(long, default_value_t = 4)]
    writers: usize,
    #[command(flatten)]
    commands: kills::Commands,
    /// Kill only PostgreSQL.
    #[arg(long)]
    only_postgresql: bool,
    /// Name of the table row.
    #[arg(long, default_value = "default")]
    name: String,
    /// Succeed only if acknowledged writes are missing; for a run with durability turned off.
    #[arg(long)]
    expect_loss: bool,
}

impl Options {
    /// Returns the address that clients connect to.
    fn through(&self) -> SocketAddr {
        self.through.unwrap_or(self.address[0])
    }
}

/// All processes under test.
struct Programs {
    /// Replicas of `plant-api serve`, which also run jobs.
    services: Vec<Program>,
    /// Processes of `plant-api work`.
    workers: Vec<Program>,
    /// `plant-api fake-desk`, which is not killed: it is not ours.
    desk: Program,
}

impl Programs {
    fn start(options: &Options) -> anyhow::Result<Self> {
        let start = |name: &str, arguments: &[&str]| {
            let log = options.logs.join(format!("{name}.log"));
            Program::start(&options.program, &log, arguments)
        };
        let webhook = format!("http://{}/api/v1/webhooks/payments/simulated", options.through());
        let fake_desk = format!("http://{}", options.desk_address);
        let both = [&["--fake-desk-url", &fake_desk][..], &PROVIDER].concat();
        let both = [&["--payment-webhook-url", &webhook][..], &both].concat();
        let services = options.address.iter().enumerate().map(|(n, address)| {
            let address = address.to_string();
            let arguments = [&["serve", "--listen", &address][..], &both].concat();
            start(&format!("serve-{n}"), &arguments)
        });
        let workers = (0..options.workers)
            .map(|n| start(&format!("work-{n}"), &[&["work"][..], &both].concat()));
        let desk_address = options.desk_address.to_string();
        let desk = [&["fake-desk", "--listen", &desk_address][..], &DESK].concat();
        Ok(Self {
            desk: start("fake-desk", &desk)?,
            services: services.collect::<Result<_, _>>()?,
            workers: workers.collect::<Result<_, _>>()?,
        })
    }

    async fn stop(self) -> anyhow::Result<()> {
        for service in self.services {
            service.stop().await.context("cannot stop the service")?;
        }
        for worker in self.workers {
            worker.stop().await.context("cannot stop a worker")?;
        }
        self.desk.stop().await.context("cannot stop the service desk")
    }
}

/// Settings of a payment provider that does everything that is allowed, often.
const PROVIDER: [&str; 6] = [
    "--payment-decline-rate=0.2",
    "--payment-refund-rate=0.2",
    "--payment-repeat-rate=0.3",
    "--payment-reorder-rate=0.3",
    "--payment-late-rate=0.1",
    "--payment-delay-ms=100",
];

/// Settings of a service desk that often fails, half of the times after it has stored the note.
const DESK: [&str; 2] = ["--latency-ms=50", "--failure-rate=0.1"];

/// Timeout for all jobs to finish after the last kill: one lease and all attempts of a job, and again
/// those of the job that delivers the events of a payment later.
const FINISH_TIMEOUT: Duration = Duration::from_secs(120);

/// Runs the test and prints its row. Returns whether all thresholds were met, or, with
/// `--expect-loss`, whether writes were lost.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let mut owner = PgConnection::connect(&options.database_url).await?;
    check::create_triggers(&mut owner).await?;
    owner.close().await?;
    let mut programs = Programs::start(&options)?;
    let test_data = writers::prepare(&options).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writers = writers::start(&options, &test_data, &stop);

    let started_at = Instant::now();
    let kills = Kills::new(&options).run(&mut programs).await?;
    let duration = started_at.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut ledger = Ledger::default();
    for writer in writers {
        ledger.add(writer.await?);
    }
    let mut owner = PgConnection::connect(&options.database_url).await?;
    let finish_time = check::wait_until_finished(&mut owner, FINISH_TIMEOUT).await?;
    tickets::copy_notes(&mut owner, options.desk_address, &ledger).await?;
    let findings = check::compare(&mut owner, &ledger).await?;
    println!(
        "| {} | {} in {:.0} s: {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        options.name,
        options.kills,
        duration.as_secs_f64(),
        kills,
        ledger.acknowledged(),
        ledger.retried,
        findings.lost,
        findings.duplicated,
        findings.unfinished,
        findings.ledger,
        findings.retried_jobs,
        findings.reclaimed,
        finish_time.map_or("never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64())),
    );
    for example in &findings.examples {
        println!("{example}");
    }
    programs.stop().await?;
    if options.expect_loss {
        return Ok(findings.lost > 0);
    }
    let undetected = check::undetected_faults(&mut owner, &ledger).await?;
    for fault in &undetected {
        println!("not detected: {fault}");
    }
    Ok(undetected.is_empty()
        && findings.is_clean()
        && finish_time.is_some()
        && ledger.unexpected == 0)
}
