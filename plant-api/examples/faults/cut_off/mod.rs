//! Writes whose clients disconnect at random moments, and replicas that are killed: no replica may
//! serve an older version than the database has shown before.
//!
//! Each writer changes the name of its own agent and closes the connection after a random time, most
//! of them before the response. Readers read the versions from the database and then from a replica.

mod versions;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::client::{Client, wait_until_ready};
use crate::processes::Program;
use versions::{Served, Versions};

/// Settings of the test.
#[derive(Parser, Clone)]
pub struct Options {
    /// Path of the `plant-api` executable.
    #[arg(long)]
    program: PathBuf,
    /// URL of the database, with the role that owns it.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Addresses on which the replicas listen.
    #[arg(long, required = true)]
    address: Vec<SocketAddr>,
    /// Addresses that the clients connect to, such as those of a load balancer; by default those of the
    /// replicas.
    #[arg(long)]
    through: Vec<SocketAddr>,
    /// Directory for the log files of the replicas.
    #[arg(long)]
    logs: PathBuf,
    /// Number of writes that are cut off.
    #[arg(long, default_value_t = 1_000)]
    writes: u64,
    /// Number of times that a replica is killed with SIGKILL and started again.
    #[arg(long, default_value_t = 0)]
    kills: u32,
    /// Number of readers.
    #[arg(long, default_value_t = 64)]
    readers: usize,
    /// Seed of the times and of the kills.
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

/// Number of writers, each with its own agent.
const WRITERS: usize = 8;

/// A connection is closed after at most this time in microseconds; a write takes a few milliseconds.
const MAX_CUT_OFF_US: u64 = 50_000;

/// Time between two kills, in milliseconds.
const KILL_INTERVAL_MS: std::ops::Range<u64> = 200..800;

/// Delay between two reads of a reader, so that the load does not saturate the CPU.
const THINK_TIME: Duration = Duration::from_millis(5);

/// Number of database connections that the readers share.
const DATABASE_CONNECTIONS: u32 = 8;

/// Runs the test and prints the counts. Returns whether no read was stale.
pub async fn run(mut options: Options) -> anyhow::Result<bool> {
    if options.through.is_empty() {
        options.through.clone_from(&options.address);
    }
    let mut replicas = Vec::new();
    for (n, address) in options.address.iter().enumerate() {
        let log = options.logs.join(format!("replica-{n}.log"));
        let arguments = ["serve", "--listen", &address.to_string()];
        replicas.push(Program::start(&options.program, &log, &arguments)?);
    }
    for address in options.address.iter().chain(&options.through) {
        wait_until_ready(*address).await?;
    }
    let agents = create_agents(options.through[0]).await?;
    let versions = Arc::new(Versions::new(agents.clone()));
    let database = sqlx::postgres::PgPoolOptions::new()
        .max_connections(DATABASE_CONNECTIONS)
        .connect(&options.database_url)
        .await?;
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..options.readers)
        .map(|reader| {
            let client = Client::new(options.through[reader % options.through.len()]);
            let (database, versions) = (database.clone(), versions.clone());
            tokio::spawn(read(client, reader, database, versions, stop.clone()))
        })
        .collect();

    let writes_left = Arc::new(AtomicU64::new(options.writes));
    let writers: Vec<_> = agents
        .iter()
        .enumerate()
        .map(|(writer, agent)| {
            tokio::spawn(write(options.clone(), writer, agent.clone(), writes_left.clone()))
        })
        .collect();
    let kills = kill_replicas(&options, &mut replicas).await?;
    for writer in writers {
        writer.await??;
    }
    stop.store(true, Ordering::Relaxed);
    let mut served = Served::default();
    for reader in readers {
        served.add(reader.await?);
    }
    let findings = versions.compare(&database, &served).await?;
    println!(
        "{} writes cut off, of which {} were committed; {kills} kills of {} replicas; {} \
         readers: {} agents read, {} reads failed, {} versions stale",
        options.writes,
        findings.committed,
        replicas.len(),
        options.readers,
        served.agents,
        served.failed_reads,
        findings.stale
    );
    if let Some(example) = &findings.example {
        println!("stale: {example}");
    }
    for replica in replicas {
        replica.stop().await.context("cannot stop a replica")?;
    }
    Ok(findings.stale == 0 && served.agents > 0 && findings.committed > 0)
}

fn name(writer: usize, version: u64) -> String {
    // Unique, so that the test can run again on the same database.
    format!("Written by {writer} of {}, version {version}", std::process::id())
}

/// Creates one agent per writer. Returns their ids.
async fn create_agents(address: SocketAddr) -> anyhow::Result<Vec<String>> {
    let mut client = Client::new(address);
    let template = client.get("/api/v1/agents?limit=1").await?[0].take();
    let mut agents = Vec::new();
    for writer in 0..WRITERS {
        let body = json!({
            "name": name(writer, 0), "skill_id": template["skill_id"],
            "job_role_id": template["job_role_id"], "industry_id": template["industry_id"],
        });
        let created = client.send(hyper::Method::POST, "/api/v1/agents", Some(&body)).await?;
        anyhow::ensure!(created.status == 201, "cannot create an agent: {}", created.status);
        agents.push(created.json()?["id"].as_str().context("the agent has no id")?.to_owned());
    }
    Ok(agents)
}

/// Kills random replicas and starts them again. Returns the number of kills.
async fn kill_replicas(options: &Options, replicas: &mut [Program]) -> anyhow::Result<u32> {
    let mut rng = fastrand::Rng::with_seed(options.seed);
    for _ in 0..options.kills {
        sleep(Duration::from_millis(rng.u64(KILL_INTERVAL_MS))).await;
        let victim = rng.usize(..replicas.len());
        replicas[victim].kill().await?;
        replicas[victim].restart()?;
        wait_until_ready(options.address[victim]).await?;
    }
    Ok(options.kills)
}

/// Changes one agent until no writes are left. Each connection is closed after a random time.
async fn write(
    options: Options,
    writer: usize,
    agent: String,
    writes_left: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let mut rng = fastrand::Rng::with_seed(options.seed + writer as u64);
    let mut version = 0;
    while writes_left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
        .is_ok()
    {
        version += 1;
        let body = json!({"name": name(writer, version)}).to_string();
        let request = format!(
            "PATCH /api/v1/agents/{agent} HTTP/1.1\r\nHost: plant\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let address = options.through[rng.usize(..options.through.len())];
        // A replica that was just killed refuses connections.
        if let Ok(mut stream) = TcpStream::connect(address).await
            && stream.write_all(request.as_bytes()).await.is_ok()
        {
            sleep(Duration::from_micros(rng.u64(..MAX_CUT_OFF_US))).await;
        }
        // With kills, the writes are spread over the time that the kills take.
        let pause = u64::from(options.kills) * 700 * WRITERS as u64 / options.writes.max(1);
        sleep(Duration::from_millis(pause)).await;
    }
    Ok(())
}

async fn read(
    mut client: Client,
    reader: usize,
    database: PgPool,
    versions: Arc<Versions>,
    stop: Arc<AtomicBool>,
) -> Served {
    let mut served = Served::default();
    let mut turn = reader;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let path = match turn % 3 {
            0 => "/api/v1/agents?limit=100".to_owned(),
            1 => "/api/v1/agents?search=written%20by&limit=100".to_owned(),
            _ => format!("/api/v1/agents/{}", versions.agent(turn)),
        };
        let Ok(shown) = versions.in_database(&database).await else { continue };
        match client.get(&path).await {
            Ok(Value::Array(items)) => {
                for item in &items {
                    served.add_agent(item, &shown);
                }
            }
            Ok(agent) => served.add_agent(&agent, &shown),
            Err(_) => served.failed_reads += 1,
        }
        sleep(THINK_TIME).await;
    }
    served
}
