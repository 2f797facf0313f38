//! Audit: whether what is stored is what was written.
//!
//! One entity at a time ([`tampering`], [`view`]), all of them ([`run`]), or everything as a file
//! that anybody can check without the service ([`export`], [`line`], `plant-api verify`). Each of
//! them reads as of one moment, so that a change in the middle is no alarm.

pub mod export;
pub mod history;
pub mod line;
pub(crate) mod routes;
pub mod run;
pub(crate) mod sql;
#[cfg(test)]
mod tests;
pub mod view;
mod walk;

use serde::Serialize;
use uuid::Uuid;

use crate::db::Db;
use crate::error::{Error, Result};
use crate::plant::chain::{Reason, Verdict};
use crate::plant::entity::{self, Kind};
use crate::plant::genesis::examination::examine;

/// Whether somebody has been at an entity.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Tampering {
    /// The entity.
    pub entity_id: Uuid,
    /// What it is.
    pub entity_type: Kind,
    /// Whether anything of it differs from what was written.
    pub tampered: bool,
    /// Index of the first amendment at fault.
    pub broken_at_index: Option<u64>,
    /// What is wrong there.
    #[schema(value_type = Option<String>, example = "content_altered")]
    pub reason: Option<Reason>,
    /// Amendments that are stored.
    pub amendment_count: u64,
    /// Amendments that the entity says there are.
    pub hash_chain_length: u64,
}

/// Looks for tampering with one entity.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn tampering(db: &Db, id: Uuid) -> Result<Tampering> {
    let mut tx = db.snapshot().await?;
    let shared = entity::sql::find(&mut *tx, id).await?.ok_or_else(no_such_entity)?;
    let found = examine(&mut tx, &shared).await?;
    let (broken_at_index, reason) = match found.verdict {
        Verdict::Intact => (None, None),
        Verdict::Broken { at_index, reason } => (Some(at_index), Some(reason)),
    };
    Ok(Tampering {
        entity_id: id,
        entity_type: shared.kind,
        tampered: found.verdict != Verdict::Intact,
        broken_at_index,
        reason,
        amendment_count: found.end.length,
        hash_chain_length: shared.head().length,
    })
}

fn no_such_entity() -> Error {
    Error::no_such("entity")
}
