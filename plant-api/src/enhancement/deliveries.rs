//! Deliveries of tickets: those of one tenant that arrive while others are being stored share a
//! transaction.

use axum::http::HeaderMap;

use super::accept::{self, Accepted};
use super::signature::{
    HeaderValues, SIGNATURE_HEADER, STANDARD_ID_HEADER, STANDARD_SIGNATURE_HEADER,
    STANDARD_TIMESTAMP_HEADER, Signatures,
};
use super::sql::NewEntry;
use super::tenants::Sender;
use super::{KIND, NewTicket};
use crate::db::{TenantId, TenantScope};
use crate::error::{Error, Result};
use crate::extract::{FromBody, read_json, require_json};
use crate::state::AppState;
use crate::write::{GroupCommit, WriteTransaction};

/// A ticket as it was sent. It is parsed only after its signatures were verified.
pub struct Delivery {
    signatures: Signatures,
    body: Vec<u8>,
}

impl FromBody for Delivery {
    fn check_headers(headers: &HeaderMap) -> Result<()> {
        require_json(headers)
    }

    fn from_body(headers: &HeaderMap, body: &[u8]) -> Result<Self> {
        let values = |name: &str| -> HeaderValues {
            let values = headers.get_all(name).iter().take(2);
            values.map(|value| value.to_str().unwrap_or_default().to_owned()).collect()
        };
        let signatures = Signatures {
            desk: values(SIGNATURE_HEADER),
            standard: values(STANDARD_SIGNATURE_HEADER),
            standard_id: values(STANDARD_ID_HEADER),
            standard_timestamp: values(STANDARD_TIMESTAMP_HEADER),
        };
        Ok(Self { signatures, body: body.to_owned() })
    }
}

/// The deliveries in progress.
#[derive(Clone, Default)]
pub struct Deliveries(GroupCommit<TenantId, Delivery, Result<Accepted>>);

impl Deliveries {
    /// Verifies a delivery and stores its ticket. Goes on if the returned future is dropped.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a tenant; [`Error::Unauthenticated`], [`Error::Forbidden`],
    /// [`Error::Malformed`] and [`Error::Validation`] by the delivery; database errors.
    pub async fn accept(
        &self,
        state: &AppState,
        tenant: TenantId,
        delivery: Delivery,
    ) -> Result<Accepted> {
        let accept = {
            let state = state.clone();
            move |tenant, deliveries| accept_each(state.clone(), tenant, deliveries)
        };
        self.0.write(&state.write_tasks, tenant, delivery, accept).await?
    }
}

/// Accepts deliveries. Returns the result of each.
async fn accept_each(
    state: AppState,
    tenant: TenantId,
    deliveries: Vec<Delivery>,
) -> Vec<Result<Accepted>> {
    match accept_together(&state, &tenant, &deliveries).await {
        Ok(results) => results,
        Err(error) if deliveries.len() == 1 => vec![Err(error)],
        Err(error) if error.is_outage() => {
            deliveries.iter().map(|_| Err(error.clone_lossy())).collect()
        }
        // The database has refused one of them; the others must not fail for it.
        Err(_) => {
            let mut results = Vec::with_capacity(deliveries.len());
            for delivery in deliveries.chunks(1) {
                let alone = accept_together(&state, &tenant, delivery).await;
                results.extend(alone.unwrap_or_else(|error| vec![Err(error)]));
            }
            results
        }
    }
}

/// Accepts deliveries in one transaction. Returns the result of each.
///
/// # Errors
/// When no delivery was accepted: [`Error::NotFound`] without such a tenant; database errors.
async fn accept_together(
    state: &AppState,
    tenant: &TenantId,
    deliveries: &[Delivery],
) -> Result<Vec<Result<Accepted>>> {
    let (policy, clock) = (&state.access_policy, &state.clock);
    let mut tx = WriteTransaction::in_tenant(state, TenantScope::One(tenant)).await?;
    let sender = Sender::find(&mut tx, &policy.sealer, policy.access_mode, tenant, clock.now())
        .await?
        .ok_or_else(|| Error::no_such("tenant"))?;
    let checked: Vec<Result<NewEntry>> = deliveries
        .iter()
        .map(|Delivery { signatures, body }| {
            let delivery = accept::authenticate(&sender, signatures, body, clock)?;
            let ticket: NewTicket = read_json(body)?;
            ticket.check(tenant)?;
            let body_sha256 = accept::body_sha256(body);
            Ok(NewEntry { id: clock.new_id(), delivery, body_sha256, ticket })
        })
        .collect();
    let entries: Vec<&NewEntry> = checked.iter().flatten().collect();
    let stored = if entries.is_empty() {
        Vec::new()
    } else {
        accept::insert(&mut tx, clock, tenant, &entries).await?
    };
    let results = checked.into_iter().map(|entry| Accepted::new(&entry?, &stored));
    let results: Vec<Result<Accepted>> = results.collect();
    if results.iter().all(Result::is_err) {
        return Ok(results);
    }
    sender.seal_literals(&mut tx, &policy.sealer).await?;
    let new = results.iter().flatten().filter(|accepted| accepted.is_new);
    for id in new.map(|accepted| accepted.job_id) {
        let queue = state.queue.clone();
        tx.after_commit(move || queue.push_later(KIND.queue, id));
    }
    tx.commit().await?;
    Ok(results)
}
