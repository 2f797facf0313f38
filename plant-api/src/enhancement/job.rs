//! The background job of a ticket; [`handler`](super::handler) runs it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Priority;
use crate::db::TenantId;
use crate::error::{Error, Result};
use crate::jobs::{JobKind, NewJob};

pub use super::KIND;

/// Input of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payload {
    /// The tenant whose rows the job reads and writes.
    pub tenant_id: TenantId,
}

/// Creates the job of a ticket, which has the id of the ticket's entry in the history. Tenants are
/// served round-robin.
///
/// # Errors
/// When the payload cannot be serialized as JSON.
pub fn new(id: Uuid, tenant: &TenantId, priority: Priority) -> Result<NewJob> {
    let payload = serde_json::to_value(Payload { tenant_id: tenant.clone() });
    Ok(NewJob {
        id,
        kind: KIND.name,
        owner: tenant.to_string(),
        payload: payload.map_err(|e| Error::Internal(Box::new(e)))?,
        priority: priority.of_job(),
        delay: Duration::ZERO,
        dedupe_key: None,
    })
}
