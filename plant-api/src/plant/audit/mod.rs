//! Audit: detection of stored data that was altered.
//!
//! [`check_tampering`] and [`view`] verify one entity, [`run`] verifies many. [`export`] writes a
//! file that `plant-api verify` verifies without the service ([`mod@line`]). Each reads from one
//! snapshot of the database, so that concurrent changes cause no false positives. An audit and an
//! export run on a thread and a connection of their own, one of each at a time
//! ([`crate::db::Db::begin_bulk_read`]).

pub mod export;
pub mod history;
pub mod line;
mod pages;
pub(crate) mod routes;
pub mod run;
mod spool;
#[cfg(test)]
mod tests;
mod thread;
pub mod view;

use serde::Serialize;
use uuid::Uuid;

use crate::db::Db;
use crate::error::{Error, Result};
use crate::plant::chain::{Reason, Verdict};
use crate::plant::entity::{self, Kind};
use crate::plant::genesis::examination::examine;

/// Whether an entity was altered outside the service.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TamperingReport {
    /// Id of the entity.
    pub entity_id: Uuid,
    /// Kind of the entity; `null` if the stored one is unknown.
    #[schema(value_type = Kind)]
    pub entity_type: Option<Kind>,
    /// Whether the chain or a field of the entity was altered.
    pub tampered: bool,
    /// Index of the first altered or missing amendment, or of the one that last set an altered
    /// field; `null` if not tampered.
    pub broken_at_index: Option<u64>,
    /// What was altered; `null` if not tampered.
    #[schema(value_type = Option<String>, example = "content_altered")]
    pub reason: Option<Reason>,
    /// Number of stored amendments.
    pub amendment_count: u64,
    /// Number of amendments according to the entity's row; 0 if that is not positive.
    pub hash_chain_length: u64,
}

/// Checks one entity for tampering.
///
/// # Errors
/// [`Error::NotFound`] if there is no such entity.
pub async fn check_tampering(db: &Db, id: Uuid) -> Result<TamperingReport> {
    let mut tx = db.begin_snapshot().await?;
    let base = entity::sql::find(&mut *tx, id).await?.ok_or_else(no_such_entity)?;
    let examination = examine(&mut tx, &base).await?;
    let (broken_at_index, reason) = match examination.verdict {
        Verdict::Intact => (None, None),
        Verdict::Broken { at_index, reason } => (Some(at_index), Some(reason)),
    };
    Ok(TamperingReport {
        entity_id: id,
        entity_type: base.readable_kind(),
        tampered: examination.verdict != Verdict::Intact,
        broken_at_index,
        reason,
        amendment_count: examination.computed_head.length,
        hash_chain_length: base.head().length,
    })
}

fn no_such_entity() -> Error {
    Error::no_such("entity")
}
