//! Read-your-writes consistency across replicas: each writer changes the name of its own agent, and
//! readers read all agents. A read that starts after a write was acknowledged must return that
//! version or a later one, from every replica, whether or not Redis is available.

mod ledger;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use hyper::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::Client;
use crate::percentiles::percentile;
use crate::shell;
use ledger::{Ledger, Tally};

/// Settings of the consistency test.
#[derive(Parser)]
pub struct Options {
    /// Addresses of the service's replicas; clients alternate between them.
    #[arg(long, required = true)]
    address: Vec<SocketAddr>,
    /// Duration of the test, in seconds.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Number of writers, each with its own agent; at most 100, so that one page lists all agents.
    #[arg(long, default_value_t = 64)]
    writers: usize,
    /// Number of readers.
    #[arg(long, default_value_t = 64)]
    readers: usize,
    /// Command that injects the fault; it runs twice.
    #[arg(long = "break")]
    inject_command: String,
    /// Command that repairs the fault.
    #[arg(long = "mend")]
    repair_command: String,
}

/// Delay between two requests of a client, so that the load does not saturate the CPU.
const THINK_TIME: Duration = Duration::from_millis(5);

/// One of so many writes, and one of so many reads, may be rejected.
const MAX_REJECTED_SHARE: u64 = 100;

/// Runs the test and prints the counts. Returns whether no read was stale, no request failed, and few
/// were rejected.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let agents = create_agents(&options).await?;
    let ledger = Arc::new(Ledger::new(&agents));
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for (writer, agent) in agents.iter().enumerate() {
        let (client, ledger) = (replicas(&options, writer), ledger.clone());
        clients.push(tokio::spawn(write(client, writer, agent.clone(), ledger, stop.clone())));
    }
    for reader in 0..options.readers {
        let (client, ledger) = (replicas(&options, reader), ledger.clone());
        clients.push(tokio::spawn(read(client, reader, agents.clone(), ledger, stop.clone())));
    }
    let phase = Duration::from_secs_f64(options.seconds / 5.0);
    for _ in 0..2 {
        sleep(phase).await;
        shell::run(&options.inject_command).await?;
        sleep(phase).await;
        shell::run(&options.repair_command).await?;
    }
    sleep(phase).await;
    stop.store(true, Ordering::Relaxed);
    let mut tally = Tally::default();
    for client in clients {
        tally.add(client.await?);
    }
    Ok(report(&options, tally))
}

fn report(options: &Options, mut tally: Tally) -> bool {
    println!(
        "{} writers and {} readers on {} replicas: {} writes acknowledged, {} rejected; {} reads of {} \
         agents, {} rejected; {} requests failed, {} agents stale",
        options.writers,
        options.readers,
        options.address.len(),
        tally.writes,
        tally.rejected_writes,
        tally.reads,
        tally.agents_read,
        tally.rejected_reads,
        tally.failed,
        tally.stale,
    );
    println!(
        "read latency: maximum {:?}, P99 {:?}",
        percentile(&mut tally.latencies, 1.0),
        percentile(&mut tally.latencies, 0.99),
    );
    for example in &tally.stale_examples {
        println!("stale: {example}");
    }
    for example in &tally.failures {
        println!("failed: {example}");
    }
    // Without the cache a slow machine has less capacity than this load needs.
    let is_rare =
        |rejected: u64, others: u64| others > 0 && rejected * MAX_REJECTED_SHARE <= others;
    let few_rejected =
        is_rare(tally.rejected_writes, tally.writes) && is_rare(tally.rejected_reads, tally.reads);
    tally.stale == 0 && tally.failed == 0 && few_rejected
}

/// Returns one client per replica, rotated by `first`.
fn replicas(options: &Options, first: usize) -> Vec<Client> {
    let mut clients: Vec<_> = options.address.iter().map(|address| Client::new(*address)).collect();
    let length = clients.len();
    clients.rotate_left(first % length);
    clients
}

/// Creates one agent per writer. Returns their ids.
async fn create_agents(options: &Options) -> anyhow::Result<Vec<String>> {
    ensure!(
        (1..=100).contains(&options.writers),
        "--writers must be 1 to 100, got {}",
        options.writers
    );
    let mut client = Client::new(options.address[0]);
    let list = client.get("/api/v1/agents?limit=1").await?;
    let template = &list[0];
    let mut agents = Vec::new();
    for writer in 0..options.writers {
        let body = json!({
            "name": name(writer, 0), "skill_id": template["skill_id"],
            "job_role_id": template["job_role_id"], "industry_id": template["industry_id"],
        });
        let response = client.send(Method::POST, "/api/v1/agents", Some(&body)).await?;
        ensure!(response.status == 201, "cannot create an agent: status {}", response.status);
        agents.push(response.json()?["id"].as_str().context("the new agent has no id")?.to_owned());
    }
    Ok(agents)
}

fn name(writer: usize, version: u64) -> String {
    format!("Written by {writer}, version {version}")
}

async fn write(
    mut replicas: Vec<Client>,
    writer: usize,
    agent: String,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
) -> Tally {
    let path = format!("/api/v1/agents/{agent}");
    let mut tally = Tally::default();
    let mut version = 0;
    while !stop.load(Ordering::Relaxed) {
        version += 1;
        let change = json!({"name": name(writer, version)});
        let replica = version as usize % replicas.len();
        match replicas[replica].send(Method::PATCH, &path, Some(&change)).await {
            Ok(response) if response.status == 200 => {
                ledger.acknowledge(writer, version);
                tally.writes += 1;
            }
            response => tally.add_write(&path, response),
        }
        for client in &mut replicas {
            read_once(client, &path, &ledger, &mut tally).await;
            read_once(client, "/api/v1/agents?limit=100", &ledger, &mut tally).await;
        }
        sleep(THINK_TIME).await;
    }
    tally
}

async fn read(
    mut replicas: Vec<Client>,
    reader: usize,
    agents: Vec<String>,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
) -> Tally {
    let mut tally = Tally::default();
    let mut turn = reader;
    while !stop.load(Ordering::Relaxed) {
        let replica = turn % replicas.len();
        let path = match turn % 4 {
            0 => "/api/v1/agents?limit=100".to_owned(),
            1 => "/api/v1/agents?search=written%20by&limit=100".to_owned(),
            _ => format!("/api/v1/agents/{}", agents[turn / 4 % agents.len()]),
        };
        read_once(&mut replicas[replica], &path, &ledger, &mut tally).await;
        // An odd step, so that each reader uses every path.
        turn += 3;
        sleep(THINK_TIME).await;
    }
    tally
}

/// Reads once and compares with the writes acknowledged before the read started.
async fn read_once(client: &mut Client, path: &str, ledger: &Ledger, tally: &mut Tally) {
    let acknowledged = ledger.snapshot();
    let started_at = tokio::time::Instant::now();
    let response = client.send(Method::GET, path, None).await;
    tally.latencies.push(started_at.elapsed());
    let body = match response {
        Ok(response) if response.status == 200 => response.json(),
        response => return tally.add_read(path, response),
    };
    let body = match body {
        Ok(body) => body,
        Err(error) => return tally.add_read(path, Err(error)),
    };
    tally.reads += 1;
    match &body {
        Value::Array(items) => {
            for item in items {
                ledger.compare(item, &acknowledged, path, tally);
            }
        }
        agent => ledger.compare(agent, &acknowledged, path, tally),
    }
}
