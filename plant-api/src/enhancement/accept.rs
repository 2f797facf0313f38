//! Accepts tickets: verifies the sender, and inserts those of each delivery once, with their jobs.

use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::Datelike;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::signature::{STANDARD_ID_HEADER, Signatures, Verification};
use super::sql::{NewEntry, StoredDelivery};
use super::tenants::Sender;
use super::{DeliveryId, NewTicket, job, sql};
use crate::check::Checks;
use crate::clock::Clock;
use crate::db::TenantId;
use crate::error::{Error, OnConstraint, Result};
use crate::jobs;

/// Maximum length of a `webhook-id`, in bytes; the key of the delivery has at most 200.
const MAX_WEBHOOK_ID_BYTES: usize = 190;
const MAX_EVENT_CHARS: usize = 100;
const MAX_TICKET_ID_BYTES: usize = 100;
const MAX_DESCRIPTION_CHARS: usize = 10_000;
/// Years of four digits, in UTC.
const YEARS: RangeInclusive<i32> = 0..=9999;
const MAX_CORRELATION_ID_CHARS: usize = 200;

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Response to a ticket.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AcceptedTicket)]
pub struct Accepted {
    /// Always `accepted`.
    #[schema(example = "accepted")]
    status: &'static str,
    /// Id of the job; that of the first delivery if the ticket was accepted before.
    pub job_id: Uuid,
    /// What was done.
    #[schema(example = "the ticket was accepted")]
    message: &'static str,
    #[serde(skip)]
    pub ticket_id: String,
    /// Whether this delivery has created the job.
    #[serde(skip)]
    pub is_new: bool,
}

/// Returns the SHA-256 of a body.
pub fn body_sha256(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

/// Verifies that a request is from a tenant, and returns the key of the delivery.
///
/// # Errors
/// [`Error::Unauthenticated`]; [`Error::Forbidden`] if the tenant is inactive, which only somebody who can sign for
/// the tenant learns; [`Error::Validation`] for a `webhook-id` that is too long.
pub fn authenticate(
    sender: &Sender,
    signatures: &Signatures,
    body: &[u8],
    clock: &Clock,
) -> Result<DeliveryId> {
    let webhook_id = match signatures.verify(body, &sender.signing_secrets, clock.now()) {
        Verification::Valid { webhook_id } => webhook_id,
        Verification::Unsigned if sender.may_send_unsigned => None,
        Verification::Unsigned => {
            return Err(Error::Unauthenticated(
                "sign the body and send the signature as X-ServiceDesk-Signature",
            ));
        }
        Verification::Invalid => {
            return Err(Error::Unauthenticated(
                "the signature is not one of this body under the tenant's secret, was sent twice, or its \
                 webhook-timestamp is more than 300 s old or 30 s ahead",
            ));
        }
    };
    if !sender.is_active {
        return Err(Error::Forbidden("this tenant is inactive"));
    }
    match webhook_id {
        Some(id) if id.is_empty() || id.len() > MAX_WEBHOOK_ID_BYTES => {
            let message = format!("must be 1 to {MAX_WEBHOOK_ID_BYTES} bytes");
            Err(Error::invalid(STANDARD_ID_HEADER, "length", message))
        }
        Some(id) => Ok(DeliveryId::of_webhook_id(&id)),
        None => Ok(DeliveryId::of_body(body_sha256(body))),
    }
}

impl NewTicket {
    /// Checks the fields of a ticket that was sent to `tenant`.
    ///
    /// # Errors
    /// [`Error::Validation`].
    pub fn check(&self, tenant: &TenantId) -> Result<()> {
        let mut checks = Checks::default();
        checks.require(!self.event.is_empty(), "event", "min-length", "must not be empty");
        checks.max_chars("event", &self.event, MAX_EVENT_CHARS);
        checks.require(
            is_ticket_id(&self.ticket_id),
            "ticket_id",
            "pattern",
            "must be 1 to 100 characters of A-Z, 0-9 and -",
        );
        checks.require(
            self.tenant_id.as_deref().is_none_or(|id| id == &**tenant),
            "tenant_id",
            "mismatch",
            "must be the same as in the path",
        );
        let description = &self.description;
        checks.require(!description.is_empty(), "description", "min-length", "must not be empty");
        checks.max_chars("description", description, MAX_DESCRIPTION_CHARS);
        checks.require(
            YEARS.contains(&self.created_at.year()),
            "created_at",
            "range",
            "must be from the year 0000 to 9999, in UTC",
        );
        if let Some(id) = &self.correlation_id {
            checks.require(!id.is_empty(), "correlation_id", "min-length", "must not be empty");
            checks.max_chars("correlation_id", id, MAX_CORRELATION_ID_CHARS);
        }
        checks.into_result()
    }
}

/// Returns whether a text is the id of a ticket.
pub(super) fn is_ticket_id(text: &str) -> bool {
    let is_valid = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
    (1..=MAX_TICKET_ID_BYTES).contains(&text.len()) && text.bytes().all(is_valid)
}

/// Inserts tickets and their jobs, unless their deliveries were accepted before. Returns the stored
/// deliveries of all. The transaction must have entered the tenant.
///
/// # Errors
/// [`Error::NotFound`] when the tenant has just been deleted; database errors.
pub async fn insert(
    connection: &mut PgConnection,
    clock: &Clock,
    tenant: &TenantId,
    entries: &[&NewEntry],
) -> Result<Vec<StoredDelivery>> {
    let inserted = sql::insert(&mut *connection, tenant, entries, clock.now())
        .await
        .on_constraint("enhancement_history_tenant_id_fkey", || Error::no_such("tenant"))?;
    let (new, repeated): (Vec<&NewEntry>, Vec<&NewEntry>) =
        entries.iter().partition(|entry| inserted.contains(&entry.id));
    let jobs = new.iter().map(|entry| job::new(entry.id, tenant, entry.ticket.priority));
    jobs::enqueue_all(connection, &jobs.collect::<Result<Vec<_>>>()?).await?;
    let mut stored = Vec::new();
    if !repeated.is_empty() {
        stored = sql::find_deliveries(connection, tenant, &repeated).await?;
    }
    stored.extend(new.iter().map(|entry| StoredDelivery {
        id: entry.id,
        delivery_id: entry.delivery.0.clone(),
        body_sha256: Some(entry.body_sha256.to_vec()),
    }));
    Ok(stored)
}

impl Accepted {
    /// Returns the response to a delivery, of which `stored` has the first.
    ///
    /// # Errors
    /// [`Error::Validation`] when the first was of another body; [`Error::Unavailable`] when it has just
    /// been deleted.
    pub fn new(entry: &NewEntry, stored: &[StoredDelivery]) -> Result<Self> {
        let has_body =
            |first: &&StoredDelivery| first.body_sha256.as_deref() == Some(&entry.body_sha256);
        let mut first = stored.iter().find(|first| first.delivery_id == entry.delivery.0);
        if first.is_none() && !entry.delivery.is_webhook_id() {
            first = stored.iter().find(has_body);
        }
        let first = first.ok_or(Error::Unavailable {
            what: "the first delivery of this ticket, which is being deleted,",
            retry_after: RETRY_AFTER,
        })?;
        if first.body_sha256.is_some() && !has_body(&first) {
            let message = "was used with another body; send a new id";
            return Err(Error::invalid(STANDARD_ID_HEADER, "reused", message));
        }
        let is_new = first.id == entry.id;
        let message = if is_new {
            "the ticket was accepted"
        } else {
            "the ticket was accepted before; nothing was changed"
        };
        let ticket_id = entry.ticket.ticket_id.clone();
        Ok(Self { status: "accepted", job_id: first.id, message, ticket_id, is_new })
    }
}
