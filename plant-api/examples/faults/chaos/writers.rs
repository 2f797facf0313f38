//! Those who write: generation tasks, goals, approvals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

use super::Options;
use super::ledger::Ledger;
use crate::client::Client;

/// Between two writes of one writer.
const THINK: Duration = Duration::from_millis(50);
/// Before a request is sent again.
const PAUSE: Duration = Duration::from_millis(100);

/// What writers need to know.
pub struct Accounts {
    token: String,
    hire: String,
}

/// Registers an account, logs in and finds a hired agent, once the service answers.
pub async fn prepare(options: &Options) -> anyhow::Result<Accounts> {
    let mut client = Client::new(options.address);
    for _ in 0..100 {
        if client.get("/readyz").await.is_ok() || client.is_open() {
            break;
        }
        sleep(PAUSE).await;
    }
    let email = format!("chaos-{}@test.local", Uuid::new_v4());
    let person = json!({"email": email, "password": "a long enough password"});
    for path in ["/api/v1/auth/register", "/api/v1/auth/login"] {
        let answer = client.send(Method::POST, path, Some(&person)).await?;
        ensure!(answer.status < 300, "{path}: {}", answer.status);
        if let Some(token) = answer.json()?["access_token"].as_str() {
            let hires = client.get("/api/v1/customers/test-customer-001/agents").await?;
            let hire = hires[0]["id"].as_str().context("test data was expected")?.to_owned();
            return Ok(Accounts { token: token.to_owned(), hire });
        }
    }
    anyhow::bail!("no token came")
}

/// Starts them; they write until `stop`.
pub fn start(
    options: &Options,
    accounts: &Accounts,
    stop: &Arc<AtomicBool>,
) -> Vec<JoinHandle<Ledger>> {
    let mut writers = Vec::new();
    for number in 0..options.writers {
        for what in [What::Generation, What::Goal] {
            let mut client = Client::new(options.address);
            if what == What::Generation {
                client.headers.push(("authorization", format!("Bearer {}", accounts.token)));
            }
            let writer = Writer { client, stop: stop.clone(), ledger: Ledger::default() };
            writers.push(tokio::spawn(writer.write(what, number, accounts.hire.clone())));
        }
    }
    let client = Client::new(options.address);
    let writer = Writer { client, stop: stop.clone(), ledger: Ledger::default() };
    writers.push(tokio::spawn(writer.approve(accounts.hire.clone())));
    writers
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Generation,
    Goal,
}

struct Writer {
    client: Client,
    stop: Arc<AtomicBool>,
    ledger: Ledger,
}

impl Writer {
    async fn write(mut self, what: What, number: usize, hire: String) -> Ledger {
        let path = match what {
            What::Generation => "/api/v1/generation/create".to_owned(),
            What::Goal => format!("/api/v1/agents/{hire}/goals"),
        };
        let run = Uuid::new_v4();
        for n in 0_u64.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let mark = format!("{run} {number} {n}");
            let body = match what {
                What::Generation => json!({"prompt": mark, "model": "gpt-4", "max_tokens": 16}),
                What::Goal => json!({"title": mark, "schedule": "monthly"}),
            };
            if let Some(id) = self.until_acknowledged(&path, &mark.replace(' ', "-"), &body).await {
                match what {
                    What::Generation => self.ledger.generations.push((id, mark)),
                    What::Goal => self.ledger.goals.push((id, mark)),
                }
            }
            sleep(THINK).await;
        }
        self.ledger
    }

    /// The id of what was created; none when it was time to stop, or the answer is a mystery.
    async fn until_acknowledged(&mut self, path: &str, key: &str, body: &Value) -> Option<Uuid> {
        self.client.headers.retain(|(name, _)| *name != "idempotency-key");
        self.client.headers.push(("idempotency-key", key.to_owned()));
        while !self.stop.load(Ordering::Relaxed) {
            match self.client.send(Method::POST, path, Some(body)).await {
                Ok(answer) if matches!(answer.status, 201 | 202) => {
                    return answer.json().ok()?["id"].as_str()?.parse().ok();
                }
                // 409: the first of the two is still under way.
                Ok(answer) if !matches!(answer.status, 409 | 503) => {
                    eprintln!(
                        "{path}: {} {}",
                        answer.status,
                        String::from_utf8_lossy(&answer.body)
                    );
                    self.ledger.refused += 1;
                    return None;
                }
                _ => self.ledger.unanswered += 1,
            }
            sleep(PAUSE).await;
        }
        None
    }

    /// Approves what is drafted.
    async fn approve(mut self, hire: String) -> Ledger {
        let path = format!("/api/v1/agents/{hire}/deliverables");
        while !self.stop.load(Ordering::Relaxed) {
            let list = self.client.get(&format!("{path}?status=pending_review&limit=10")).await;
            let drafts = list.ok().and_then(|list| list.as_array().cloned()).unwrap_or_default();
            for draft in drafts {
                let Some(id) = draft["id"].as_str().and_then(|id| id.parse().ok()) else {
                    continue;
                };
                let approve = format!("{path}/{id}/approve");
                match self.client.send(Method::POST, &approve, Some(&json!({}))).await {
                    Ok(answer) if answer.status == 200 => self.ledger.approvals.push(id),
                    // 409: it was approved before, and the answer was lost.
                    Ok(answer) if !matches!(answer.status, 409 | 503) => self.ledger.refused += 1,
                    _ => self.ledger.unanswered += 1,
                }
            }
            sleep(2 * PAUSE).await;
        }
        self.ledger
    }
}
