//! A chain as clients read it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::no_such_entity;
use crate::db::Db;
use crate::error::Result;
use crate::plant::chain::{Amendment, Digest32};
use crate::plant::entity;

/// One amendment. What somebody has made unreadable is `null`.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Entry {
    /// Its place in the chain, from 0.
    pub sequence: u64,
    /// What it says.
    #[serde(flatten)]
    pub says: Says,
    /// SHA-256 of its canonical JSON.
    #[schema(value_type = String)]
    pub content_hash: Digest32,
    /// Everything up to here in one hash.
    #[schema(value_type = String)]
    pub link: Digest32,
}

/// What an amendment says.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Says {
    /// `creation`, `evolution` or `certification`.
    #[schema(value_type = String, example = "creation")]
    pub change_type: Value,
    /// The fields that it sets.
    #[schema(value_type = Object)]
    pub data: Value,
    /// When.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    pub timestamp: Value,
    /// By whom.
    #[schema(value_type = String, example = "genesis")]
    pub actor: Value,
}

impl From<Amendment> for Entry {
    fn from(amendment: Amendment) -> Self {
        Self {
            sequence: amendment.sequence,
            says: serde_json::from_slice(&amendment.content).unwrap_or_default(),
            content_hash: amendment.content_hash,
            link: amendment.link,
        }
    }
}

/// The first `limit` amendments of an entity from number `from` on.
///
/// # Errors
/// [`crate::error::Error::NotFound`].
pub async fn history(db: &Db, id: Uuid, from: i64, limit: i64) -> Result<Vec<Entry>> {
    let mut connection = db.acquire().await?;
    let amendments = entity::sql::amendments(&mut *connection, id, from, limit).await?;
    if amendments.is_empty() {
        entity::sql::find(&mut *connection, id).await?.ok_or_else(no_such_entity)?;
    }
    Ok(amendments.into_iter().map(Entry::from).collect())
}
