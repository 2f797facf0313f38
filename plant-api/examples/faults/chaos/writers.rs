//! Writers that create generations, goals, payments and tickets and approve deliverables.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

use super::ledger::Ledger;
use super::{Options, tickets};
use crate::client::{Client, wait_until_ready};

/// Delay between two writes of one writer.
const THINK_TIME: Duration = Duration::from_millis(50);
/// Delay before a request is retried.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Access token and hired agent used by the writers.
pub struct TestData {
    token: String,
    hire: String,
}

/// Waits until the service responds, registers an account, logs in and finds a hired agent.
pub async fn prepare(options: &Options) -> anyhow::Result<TestData> {
    for address in options.address.iter().chain(&options.through) {
        wait_until_ready(*address).await?;
    }
    let mut client = Client::new(options.through());
    let email = format!("chaos-{}@test.local", Uuid::new_v4());
    let credentials = json!({"email": email, "password": "a long enough password"});
    for path in ["/api/v1/auth/register", "/api/v1/auth/login"] {
        let response = client.send(Method::POST, path, Some(&credentials)).await?;
        ensure!(response.status < 300, "POST {path}: status {}", response.status);
        if let Some(token) = response.json()?["access_token"].as_str() {
            let hires = client.get("/api/v1/customers/test-customer-001/agents").await?;
            let hire = hires[0]["id"]
                .as_str()
                .context("test-customer-001 has no hired agent; run seed_test_data")?
                .to_owned();
            return Ok(TestData { token: token.to_owned(), hire });
        }
    }
    anyhow::bail!("the login response has no access_token")
}

/// Starts the writers. They write until `stop` is set.
pub fn start(
    options: &Options,
    test_data: &TestData,
    stop: &Arc<AtomicBool>,
) -> Vec<JoinHandle<Ledger>> {
    let mut writers = Vec::new();
    for number in 0..options.writers {
        for kind in [WriteKind::Generation, WriteKind::Goal, WriteKind::Payment, WriteKind::Ticket]
        {
            let mut client = Client::new(options.through());
            if matches!(kind, WriteKind::Generation | WriteKind::Payment) {
                client.headers.push(("authorization", format!("Bearer {}", test_data.token)));
            }
            let writer = Writer { client, stop: stop.clone(), ledger: Ledger::default() };
            writers.push(tokio::spawn(writer.write(kind, number, test_data.hire.clone())));
        }
    }
    let client = Client::new(options.through());
    let writer = Writer { client, stop: stop.clone(), ledger: Ledger::default() };
    writers.push(tokio::spawn(writer.approve(test_data.hire.clone())));
    writers
}

#[derive(Clone, Copy, PartialEq)]
enum WriteKind {
    Generation,
    Goal,
    Payment,
    Ticket,
}

/// Returns the id of a ticket at the service desk.
fn ticket_id(mark: &str) -> String {
    mark.replace(' ', "-").to_ascii_uppercase()
}

struct Writer {
    client: Client,
    stop: Arc<AtomicBool>,
    ledger: Ledger,
}

impl Writer {
    async fn write(mut self, kind: WriteKind, number: usize, hire: String) -> Ledger {
        let path = match kind {
            WriteKind::Generation => "/api/v1/generation/create".to_owned(),
            WriteKind::Goal => format!("/api/v1/agents/{hire}/goals"),
            WriteKind::Payment => "/api/v1/payments/create".to_owned(),
            WriteKind::Ticket => format!("/webhooks/servicedesk/{}", tickets::TENANT),
        };
        let run = Uuid::new_v4();
        for n in 0_u64.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let mark = format!("{run} {number} {n}");
            // Unique, and not the price of a plan.
            let amount = 1_000_000 * (number as i64 + 1) + n as i64;
            let body = match kind {
                WriteKind::Generation => {
                    json!({"prompt": mark, "model": "gpt-4", "max_tokens": 16})
                }
                WriteKind::Goal => json!({"title": mark, "schedule": "monthly"}),
                WriteKind::Payment => {
                    json!({"plan_id": "pro", "amount": amount as f64 / 100.0, "currency": "USD"})
                }
                // The service recognizes a repeated ticket by its bytes.
                WriteKind::Ticket => json!({
                    "event": "ticket_created", "ticket_id": ticket_id(&mark), "priority": "high",
                    "description": format!("Mail is slow: {mark}"),
                    "created_at": "2026-01-02T03:04:05Z",
                }),
            };
            if let Some(id) =
                self.write_until_acknowledged(&path, &mark.replace(' ', "-"), &body).await
            {
                match kind {
                    WriteKind::Generation => self.ledger.generations.push((id, mark)),
                    WriteKind::Goal => self.ledger.goals.push((id, mark)),
                    WriteKind::Payment => self.ledger.payments.push((id, amount)),
                    WriteKind::Ticket => self.ledger.tickets.push((id, ticket_id(&mark))),
                }
            }
            sleep(THINK_TIME).await;
        }
        self.ledger
    }

    /// Sends a write until it is acknowledged. Returns the new id, or `None` when the writer is
    /// stopped or the response is unexpected.
    async fn write_until_acknowledged(
        &mut self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Option<Uuid> {
        self.client.headers.retain(|(name, _)| *name != "idempotency-key");
        self.client.headers.push(("idempotency-key", key.to_owned()));
        while !self.stop.load(Ordering::Relaxed) {
            match self.client.send(Method::POST, path, Some(body)).await {
                Ok(response) if matches!(response.status, 201 | 202) => {
                    let body = response.json().ok()?;
                    return body.get("id").or(body.get("job_id"))?.as_str()?.parse().ok();
                }
                // 409: the earlier request with this key is still in progress; 502: a load balancer got no
                // whole response.
                Ok(response) if !matches!(response.status, 409 | 502 | 503) => {
                    eprintln!(
                        "POST {path}: unexpected status {}: {}",
                        response.status,
                        String::from_utf8_lossy(&response.body)
                    );
                    self.ledger.unexpected += 1;
                    return None;
                }
                _ => self.ledger.retried += 1,
            }
            sleep(RETRY_DELAY).await;
        }
        None
    }

    /// Approves draft deliverables until stopped.
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
                    Ok(response) if response.status == 200 => self.ledger.approvals.push(id),
                    // 409: it is already approved, but the response was lost.
                    Ok(response) if !matches!(response.status, 409 | 502 | 503) => {
                        self.ledger.unexpected += 1;
                    }
                    _ => self.ledger.retried += 1,
                }
            }
            sleep(2 * RETRY_DELAY).await;
        }
        self.ledger
    }
}
