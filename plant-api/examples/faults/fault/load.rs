//! Steady load: clients that alternate between cached reads, uncached reads and writes, and one
//! that polls /health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::client::Client;

const CLIENTS: usize = 8;
/// Interval between the starts of two requests of one client.
const REQUEST_INTERVAL: Duration = Duration::from_millis(40);
const HEALTH_INTERVAL: Duration = Duration::from_millis(20);

/// A request with its outcome.
pub struct RequestRecord {
    pub started_at: Instant,
    pub ended_at: Instant,
    pub name: &'static str,
    pub outcome: Outcome,
}

impl RequestRecord {
    /// Returns the response time.
    pub fn latency(&self) -> Duration {
        self.ended_at - self.started_at
    }
}

/// Outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Response { status: u16, retry_after: bool },
    NoResponse,
}

/// A health status and the time at which it was received.
pub struct HealthSample {
    pub at: Instant,
    pub status: String,
}

/// Everything that was recorded.
pub struct Records {
    pub requests: Vec<RequestRecord>,
    pub health: Vec<HealthSample>,
}

/// The running load.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<RequestRecord>>>,
    health: JoinHandle<Vec<HealthSample>>,
}

/// Starts the load on existing agents and hired agents.
pub async fn start(address: SocketAddr) -> anyhow::Result<Load> {
    let mut client = Client::new(address);
    let agents = ids(&client.get("/api/v1/agents?limit=100").await?)?;
    let hires = ids(&client.get("/api/v1/customers/test-customer-001/agents").await?)?;
    ensure!(
        agents.len() >= CLIENTS && !hires.is_empty(),
        "too little test data: {} agents (at least {CLIENTS} needed), {} hired agents (at least 1 \
         needed); run seed_test_data",
        agents.len(),
        hires.len()
    );
    let stop = Arc::new(AtomicBool::new(false));
    let clients = agents.into_iter().take(CLIENTS).enumerate().map(|(i, agent)| {
        let hire = hires[i % hires.len()].clone();
        tokio::spawn(run_client(Client::new(address), i, agent, hire, stop.clone()))
    });
    Ok(Load {
        clients: clients.collect(),
        health: tokio::spawn(poll_health(client, stop.clone())),
        stop,
    })
}

fn ids(list: &Value) -> anyhow::Result<Vec<String>> {
    let items = list.as_array().context("the response is not a list")?;
    let id = |item: &Value| item["id"].as_str().map(str::to_owned).context("an item has no id");
    items.iter().map(id).collect()
}

impl Load {
    /// Stops the load and waits for the requests in flight.
    pub async fn stop(self) -> anyhow::Result<Records> {
        self.stop.store(true, Ordering::Relaxed);
        let mut requests = Vec::new();
        for client in self.clients {
            requests.extend(client.await?);
        }
        Ok(Records { requests, health: self.health.await? })
    }
}

async fn run_client(
    mut client: Client,
    index: usize,
    agent: String,
    hire: String,
    stop: Arc<AtomicBool>,
) -> Vec<RequestRecord> {
    let agent = format!("/api/v1/agents/{agent}");
    let goals = format!("/api/v1/agents/{hire}/goals");
    let goal = json!({"title": "Created during a fault", "schedule": "daily"});
    let mut requests = Vec::new();
    // Clients start at different requests, so that all kinds are in flight at any time.
    let mut turn = index;
    while !stop.load(Ordering::Relaxed) {
        let change = json!({"governance_notes": format!("turn {turn}")});
        let (name, method, path, body) = match turn % 6 {
            0 => ("list, cached", Method::GET, "/api/v1/agents?limit=100", None),
            1 => ("agent, cached", Method::GET, agent.as_str(), None),
            2 => ("goals, not cached", Method::GET, goals.as_str(), None),
            3 => ("change of an agent", Method::PATCH, agent.as_str(), Some(&change)),
            4 => ("skills, cached", Method::GET, "/api/v1/skills", None),
            _ => ("new goal", Method::POST, goals.as_str(), Some(&goal)),
        };
        turn += 1;
        let started_at = Instant::now();
        let outcome = match client.send(method, path, body).await {
            Ok(response) => {
                Outcome::Response { status: response.status, retry_after: response.retry_after }
            }
            Err(_) => Outcome::NoResponse,
        };
        requests.push(RequestRecord { started_at, ended_at: Instant::now(), name, outcome });
        sleep_until(started_at + REQUEST_INTERVAL).await;
    }
    requests
}

async fn poll_health(mut client: Client, stop: Arc<AtomicBool>) -> Vec<HealthSample> {
    let mut samples = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let started_at = Instant::now();
        let status = match client.send(Method::GET, "/health", None).await {
            Ok(response) => match response.json() {
                Ok(body) => body["status"].as_str().unwrap_or("unreadable").to_owned(),
                Err(_) => "unreadable".to_owned(),
            },
            Err(_) => "no response".to_owned(),
        };
        samples.push(HealthSample { at: Instant::now(), status });
        sleep_until(started_at + HEALTH_INTERVAL).await;
    }
    samples
}
