//! The steady load: a few clients that ask in turn for what the cache holds and what it does not,
//! and write; and one that watches /health.

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
const PACE: Duration = Duration::from_millis(40);
const HEALTH_PACE: Duration = Duration::from_millis(20);

/// One request.
pub struct Asked {
    pub began: Instant,
    pub ended: Instant,
    pub what: &'static str,
    pub outcome: Outcome,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Answered { status: u16, retry_after: bool },
    Unanswered,
}

/// One look at /health: when it was answered, and its status.
pub struct Look {
    pub at: Instant,
    pub health: String,
}

/// Everything seen.
pub struct Seen {
    pub asked: Vec<Asked>,
    pub looks: Vec<Look>,
}

/// The running load.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Asked>>>,
    watcher: JoinHandle<Vec<Look>>,
}

/// Starts it, on agents and hires that are there.
pub async fn start(address: SocketAddr) -> anyhow::Result<Load> {
    let mut client = Client::new(address);
    let agents = ids(&client.get("/api/v1/agents?limit=100").await?)?;
    let hires = ids(&client.get("/api/v1/customers/test-customer-001/agents").await?)?;
    ensure!(agents.len() >= CLIENTS && !hires.is_empty(), "there is too little test data");
    let stop = Arc::new(AtomicBool::new(false));
    let clients = agents.into_iter().take(CLIENTS).enumerate().map(|(i, agent)| {
        let hire = hires[i % hires.len()].clone();
        tokio::spawn(ask_in_turn(Client::new(address), i, agent, hire, stop.clone()))
    });
    Ok(Load {
        clients: clients.collect(),
        watcher: tokio::spawn(watch_health(client, stop.clone())),
        stop,
    })
}

fn ids(list: &Value) -> anyhow::Result<Vec<String>> {
    let items = list.as_array().context("a list was expected")?;
    let id = |item: &Value| item["id"].as_str().map(str::to_owned).context("an id was expected");
    items.iter().map(id).collect()
}

impl Load {
    /// Ends it, the running requests included.
    pub async fn stop(self) -> anyhow::Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let mut asked = Vec::new();
        for client in self.clients {
            asked.extend(client.await?);
        }
        Ok(Seen { asked, looks: self.watcher.await? })
    }
}

async fn ask_in_turn(
    mut client: Client,
    place: usize,
    agent: String,
    hire: String,
    stop: Arc<AtomicBool>,
) -> Vec<Asked> {
    let one = format!("/api/v1/agents/{agent}");
    let goals = format!("/api/v1/agents/{hire}/goals");
    let goal = json!({"title": "Hold out", "schedule": "daily"});
    let mut asked = Vec::new();
    let mut turn = place;
    while !stop.load(Ordering::Relaxed) {
        let change = json!({"governance_notes": format!("turn {turn}")});
        let (what, method, path, body) = match turn % 6 {
            0 => ("list, cached", Method::GET, "/api/v1/agents?limit=100", None),
            1 => ("agent, cached", Method::GET, one.as_str(), None),
            2 => ("goals, not cached", Method::GET, goals.as_str(), None),
            3 => ("change of an agent", Method::PATCH, one.as_str(), Some(&change)),
            4 => ("skills, cached", Method::GET, "/api/v1/skills", None),
            _ => ("new goal", Method::POST, goals.as_str(), Some(&goal)),
        };
        turn += 1;
        let began = Instant::now();
        let outcome = match client.send(method, path, body).await {
            Ok(answer) => {
                Outcome::Answered { status: answer.status, retry_after: answer.retry_after }
            }
            Err(_) => Outcome::Unanswered,
        };
        asked.push(Asked { began, ended: Instant::now(), what, outcome });
        sleep_until(began + PACE).await;
    }
    asked
}

async fn watch_health(mut client: Client, stop: Arc<AtomicBool>) -> Vec<Look> {
    let mut looks = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let health = match client.send(Method::GET, "/health", None).await {
            Ok(answer) => match answer.json() {
                Ok(body) => body["status"].as_str().unwrap_or("unreadable").to_owned(),
                Err(_) => "unreadable".to_owned(),
            },
            Err(_) => "no answer".to_owned(),
        };
        looks.push(Look { at: Instant::now(), health });
        sleep_until(began + HEALTH_PACE).await;
    }
    looks
}
