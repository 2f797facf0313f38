//! Requests that are meant to stop the service: expensive bodies, large lists, clients that do not
//! read, bodies that are never completed. Meanwhile `/livez` must respond, and the memory of the
//! process must stay bounded.

mod attacks;
mod bodies;
mod watch;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use hyper::Method;
use serde_json::json;

use crate::client::Client;
use watch::Watch;

/// Settings of the hostile requests.
#[derive(Parser, Clone)]
pub struct Options {
    /// Address of the service.
    #[arg(long)]
    address: SocketAddr,
    /// Process id of the service, whose memory is measured.
    #[arg(long)]
    pid: u32,
    /// Requests of each kind that are sent at once.
    #[arg(long, default_value_t = 20)]
    at_once: usize,
    /// Only the attacks whose name contains this text.
    #[arg(long, default_value = "")]
    only: String,
}

/// Maximum latency of a request with an expensive body.
const MAX_LATENCY: Duration = Duration::from_millis(100);

/// Maximum P99 of `/livez` during an attack.
const MAX_LIVEZ_P99: Duration = Duration::from_millis(20);

/// Maximum peak of the resident memory, in MiB.
const MAX_PEAK_MIB: u64 = 256;

/// What an attack observed.
pub struct Observed {
    /// The responses, as text for the table.
    responses: String,
    /// The longest time to a response; `None` if the attack does not wait for any.
    longest: Option<Duration>,
    /// Whether the service responded as specified.
    as_specified: bool,
}

/// Ids of what the attacks refer to.
#[derive(Clone)]
pub struct Fixture {
    /// A hired agent without goals.
    hire: String,
    /// An agent.
    agent: String,
}

/// Runs all attacks and prints a table. Returns whether all thresholds were met.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let fixture = prepare(options.address).await?;
    println!("| attack | responses | longest | /livez P99 | peak memory | thresholds |");
    println!("|---|---|---:|---:|---:|---|");
    let mut all_met = true;
    for attack in attacks::all() {
        if !attack.name.contains(&options.only) {
            continue;
        }
        let watch = Watch::start(options.address, options.pid)?;
        let observed = (attack.run)(options.clone(), fixture.clone()).await?;
        let usage = watch.stop().await?;
        let in_time = observed.longest.is_none_or(|longest| longest <= MAX_LATENCY);
        let met = observed.as_specified
            && in_time
            && usage.livez_p99 <= MAX_LIVEZ_P99
            && usage.livez_failures == 0
            && usage.peak_mib <= MAX_PEAK_MIB;
        all_met &= met;
        println!(
            "| {} | {} | {} | {:.1} ms | {} MiB | {} |",
            attack.name,
            observed.responses,
            observed.longest.map_or("–".into(), |time| format!("{} ms", time.as_millis())),
            usage.livez_p99.as_secs_f64() * 1000.0,
            usage.peak_mib,
            if met { "met" } else { "violated" }
        );
    }
    Ok(all_met)
}

/// Creates a customer with a hired agent.
async fn prepare(address: SocketAddr) -> anyhow::Result<Fixture> {
    let mut client = Client::new(address);
    let agent = client.get("/api/v1/agents?limit=1").await?[0].take();
    let agent = agent["id"].as_str().context("there is no agent")?.to_owned();
    let name = format!("hostile-{}", std::process::id());
    let customer = json!({"id": name, "name": "Hostile"});
    create(&mut client, "/api/v1/customers", &customer).await?;
    let hire = json!({"agent_id": agent, "duration": "monthly"});
    let hire = create(&mut client, &format!("/api/v1/customers/{name}/agents"), &hire).await?;
    Ok(Fixture { hire, agent })
}

/// Creates a resource and returns its id.
async fn create(
    client: &mut Client,
    path: &str,
    body: &serde_json::Value,
) -> anyhow::Result<String> {
    let response = client.send(Method::POST, path, Some(body)).await?;
    anyhow::ensure!(response.status == 201, "POST {path}: status {}", response.status);
    let created = response.json()?;
    Ok(created["id"].as_str().context("the created resource has no id")?.to_owned())
}
