//! Background job that plays the payment provider: signs the events of a payment and posts them to
//! the webhook.
//!
//! An attempt posts all events from the first one on. After a kill or a failure the next attempt posts
//! them again, and the webhook ignores the events that it has.

use std::time::Duration;

use axum::http::{Method, Request, Uri, header};
use bytes::Bytes;
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::event::{Event, Kind};
use super::provider::{self, SimulatedProvider};
use super::sql::{self, ProviderPayment};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::http_client::HttpClient;
use crate::jobs::{self, Failure, Job, JobHandler, JobKind, NewJob};
use crate::signature::{SIGNATURE_HEADER, WebhookKey};

/// Jobs that post events. They spend nearly all of their time waiting, hence the high concurrency.
pub const KIND: JobKind = JobKind {
    name: "payment",
    queue: "payment_queue",
    max_concurrency: 128,
    prefetches: false,
    timeout: Duration::from_secs(60),
};

/// Path of the webhook of the simulated provider.
pub const WEBHOOK_PATH: &str = "/api/v1/webhooks/payments/simulated";

/// Timeout for one post, with its response.
const POST_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay from the last failed attempt of the first job until another job posts the events, so that a
/// payment reaches its final status however long the webhook was unavailable. It doubles from job to
/// job, so that a long outage leaves few dead letters.
const REDELIVERY_DELAY: Duration = Duration::from_secs(10);
const MAX_REDELIVERY_DELAY: Duration = Duration::from_secs(15 * 60);

/// Input of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payload {
    payment_id: Uuid,
    /// How many jobs have failed for this payment.
    #[serde(default)]
    redeliveries: u32,
}

impl Payload {
    /// Returns the delay until the next job posts the events.
    fn redelivery_delay(&self) -> Duration {
        let factor = 2_u32.saturating_pow(self.redeliveries);
        REDELIVERY_DELAY.saturating_mul(factor).min(MAX_REDELIVERY_DELAY)
    }
}

pub struct PaymentHandler {
    db: Db,
    clock: Clock,
    provider: SimulatedProvider,
    webhook: Webhook,
}

impl PaymentHandler {
    /// Creates a handler that posts to `webhook_url`, signed with `key`.
    pub fn new(
        db: Db,
        clock: Clock,
        provider: SimulatedProvider,
        webhook_url: Uri,
        key: WebhookKey,
        client: HttpClient,
    ) -> Self {
        Self { db, clock, provider, webhook: Webhook { url: webhook_url, key, client } }
    }
}

/// Creates the job that posts the events of a payment.
///
/// # Errors
/// When the payload cannot be serialized as JSON.
pub fn new(clock: &Clock, owner: String, payment: Uuid) -> Result<NewJob> {
    job(clock, owner, &Payload { payment_id: payment, redeliveries: 0 })
}

fn job(clock: &Clock, owner: String, payload: &Payload) -> Result<NewJob> {
    let job = NewJob::new::<PaymentHandler>(clock, owner, payload)?;
    Ok(NewJob { dedupe_key: Some(payload.payment_id.to_string()), ..job })
}

impl JobHandler for PaymentHandler {
    const KIND: JobKind = KIND;
    type Payload = Payload;
    type Output = ();

    async fn run(&self, _: &Job, payload: Payload) -> Result<(), Failure> {
        let id = payload.payment_id;
        let mut connection = self.db.acquire().await?;
        let payment = sql::find_for_provider(&mut *connection, id).await.map_err(Error::from)?;
        drop(connection);
        // The payment was deleted with its account.
        let Some(payment) = payment else { return Ok(()) };
        for delivery in self.provider.deliveries(id) {
            tokio::time::sleep(delivery.delay).await;
            self.webhook.post(&event(id, &payment, delivery.kind), &self.clock).await?;
        }
        Ok(())
    }

    async fn on_dead_letter(
        &self,
        connection: &mut PgConnection,
        job: &Job,
        _reason: &str,
    ) -> Result<()> {
        let Ok(payload) = Payload::deserialize(&job.payload) else { return Ok(()) };
        let next = Payload { redeliveries: payload.redeliveries.saturating_add(1), ..payload };
        let successor = self::job(&self.clock, job.owner.clone(), &next)?;
        let successor = NewJob { delay: payload.redelivery_delay(), ..successor };
        jobs::enqueue(connection, &successor).await?;
        Ok(())
    }
}

fn event(id: Uuid, payment: &ProviderPayment, kind: Kind) -> Event {
    Event {
        id: provider::event_id(id, kind),
        kind,
        payment_id: id,
        amount: payment.amount,
        currency: payment.currency,
        created_at: payment.created_at,
    }
}

/// The webhook that events are posted to.
struct Webhook {
    url: Uri,
    key: WebhookKey,
    client: HttpClient,
}

impl Webhook {
    /// Signs an event and posts it.
    async fn post(&self, event: &Event, clock: &Clock) -> Result<(), Failure> {
        let body = serde_json::to_vec(event).map_err(|e| Failure::Permanent(e.to_string()))?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(SIGNATURE_HEADER, self.key.sign(&body, clock.now()))
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| Failure::Permanent(e.to_string()))?;
        match self.client.send(request, POST_TIMEOUT).await {
            Ok(response) if response.status.is_success() => Ok(()),
            Ok(response) => {
                Err(Failure::retry(format!("the webhook responded with {}", response.status)))
            }
            Err(error) => Err(Failure::retry(format!("cannot post to the webhook: {error}"))),
        }
    }
}
