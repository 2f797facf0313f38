//! Read your writes, and everybody else's: writers change the names of agents of their own,
//! readers look at all of them. After a write's answer no read that begins later may show an
//! older state, whichever replica is asked, Redis away or not.

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

/// Who writes and reads where, and what breaks meanwhile.
#[derive(Parser)]
pub struct Options {
    /// Replicas of the service; clients ask them in turn.
    #[arg(long, required = true)]
    address: Vec<SocketAddr>,
    /// Seconds it lasts.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Writers, each with an agent of its own; all of them fit on one page of the list.
    #[arg(long, default_value_t = 64)]
    writers: usize,
    /// Readers.
    #[arg(long, default_value_t = 64)]
    readers: usize,
    /// Command that breaks something; run twice.
    #[arg(long = "break")]
    break_it: String,
    /// Command that mends it.
    #[arg(long = "mend")]
    mend_it: String,
}

/// Between two requests of a client, so that they do not all wait for the processor.
const THINK: Duration = Duration::from_millis(5);

/// Whether no read was stale.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let agents = agents(&options).await?;
    let ledger = Arc::new(Ledger::of(&agents));
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
    let part = Duration::from_secs_f64(options.seconds / 5.0);
    for _ in 0..2 {
        sleep(part).await;
        shell::run(&options.break_it).await?;
        sleep(part).await;
        shell::run(&options.mend_it).await?;
    }
    sleep(part).await;
    stop.store(true, Ordering::Relaxed);
    let mut tally = Tally::default();
    for client in clients {
        tally.add(client.await?);
    }
    Ok(report(&options, tally))
}

fn report(options: &Options, mut tally: Tally) -> bool {
    println!(
        "{} writers and {} readers at {} replicas: {} writes answered, {} not; {} reads of {} \
         states, {} reads not answered well, {} stale states after a write's answer",
        options.writers,
        options.readers,
        options.address.len(),
        tally.writes,
        tally.failed_writes,
        tally.reads,
        tally.states,
        tally.failed_reads,
        tally.stale,
    );
    println!(
        "longest wait {:?}, P99 {:?}",
        percentile(&mut tally.waits, 1.0),
        percentile(&mut tally.waits, 0.99),
    );
    for example in &tally.examples {
        println!("stale: {example}");
    }
    tally.stale == 0 && tally.failed_reads == 0 && tally.failed_writes == 0
}

/// A client at each replica; the first differs from one to the next.
fn replicas(options: &Options, first: usize) -> Vec<Client> {
    let mut clients: Vec<_> = options.address.iter().map(|a| Client::new(*a)).collect();
    let length = clients.len();
    clients.rotate_left(first % length);
    clients
}

/// New agents, one for each writer.
async fn agents(options: &Options) -> anyhow::Result<Vec<String>> {
    ensure!((1..=100).contains(&options.writers), "1 to 100 writers fit on a page");
    let mut client = Client::new(options.address[0]);
    let list = client.get("/api/v1/agents?limit=1").await?;
    let like = &list[0];
    let mut agents = Vec::new();
    for writer in 0..options.writers {
        let body = json!({
            "name": name(writer, 0), "skill_id": like["skill_id"],
            "job_role_id": like["job_role_id"], "industry_id": like["industry_id"],
        });
        let answer = client.send(Method::POST, "/api/v1/agents", Some(&body)).await?;
        ensure!(answer.status == 201, "cannot create an agent: {}", answer.status);
        agents.push(answer.json()?["id"].as_str().context("an id was expected")?.to_owned());
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
        let at = version as usize % replicas.len();
        match replicas[at].send(Method::PATCH, &path, Some(&change)).await {
            Ok(answer) if answer.status == 200 => {
                ledger.answered(writer, version);
                tally.writes += 1;
            }
            _ => tally.failed_writes += 1,
        }
        for client in &mut replicas {
            look(client, &path, &ledger, &mut tally).await;
            look(client, "/api/v1/agents?limit=100", &ledger, &mut tally).await;
        }
        sleep(THINK).await;
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
        let at = turn % replicas.len();
        let path = match turn % 4 {
            0 => "/api/v1/agents?limit=100".to_owned(),
            1 => "/api/v1/agents?search=written%20by&limit=100".to_owned(),
            _ => format!("/api/v1/agents/{}", agents[turn / 4 % agents.len()]),
        };
        look(&mut replicas[at], &path, &ledger, &mut tally).await;
        // Neither the replica nor the path may always meet the same turn.
        turn += 3;
        sleep(THINK).await;
    }
    tally
}

/// One read, compared with what had been answered before it began.
async fn look(client: &mut Client, path: &str, ledger: &Ledger, tally: &mut Tally) {
    let before = ledger.now();
    let began = tokio::time::Instant::now();
    let body = client.get(path).await;
    tally.waits.push(began.elapsed());
    let Ok(body) = body else {
        tally.failed_reads += 1;
        return;
    };
    tally.reads += 1;
    match &body {
        Value::Array(items) => {
            for item in items {
                ledger.compare(item, &before, path, tally);
            }
        }
        one => ledger.compare(one, &before, path, tally),
    }
}
