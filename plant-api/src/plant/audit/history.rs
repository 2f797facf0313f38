//! The chain of an entity as the API returns it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::no_such_entity;
use crate::db::Db;
use crate::error::Result;
use crate::plant::chain::{Amendment, Digest32};
use crate::plant::entity;

/// An amendment. If its stored content cannot be parsed, the fields of the content are `null`.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AmendmentView {
    /// Index in the chain, from 0.
    pub sequence: u64,
    /// The content.
    #[serde(flatten)]
    pub content: AmendmentContent,
    /// SHA-256 of the content as canonical JSON.
    #[schema(value_type = String)]
    pub content_hash: Digest32,
    /// Link hash: covers this amendment and all before it.
    #[schema(value_type = String)]
    pub link: Digest32,
}

/// The content of an amendment.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct AmendmentContent {
    /// `creation`, `evolution` or `certification`.
    #[schema(value_type = String, example = "creation")]
    pub change_type: Value,
    /// Fields that the amendment sets, with their new values.
    #[schema(value_type = Object)]
    pub data: Value,
    /// Time of the change.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    pub timestamp: Value,
    /// Who made the change: an account's id, `anonymous`, `operator` or `genesis`.
    #[schema(value_type = String, example = "genesis")]
    pub actor: Value,
}

impl From<Amendment> for AmendmentView {
    fn from(amendment: Amendment) -> Self {
        Self {
            sequence: amendment.sequence,
            content: serde_json::from_slice(&amendment.content).unwrap_or_default(),
            content_hash: amendment.content_hash,
            link: amendment.link,
        }
    }
}

/// Reads at most `limit` amendments of an entity, from sequence number `from` on.
///
/// # Errors
/// [`crate::error::Error::NotFound`] if there is no such entity.
pub async fn list_amendments(
    db: &Db,
    id: Uuid,
    from: i64,
    limit: i64,
) -> Result<Vec<AmendmentView>> {
    let mut connection = db.acquire().await?;
    let amendments = entity::sql::list_amendments(&mut *connection, id, from, limit).await?;
    if amendments.is_empty() {
        entity::sql::find(&mut *connection, id).await?.ok_or_else(no_such_entity)?;
    }
    Ok(amendments.into_iter().map(AmendmentView::from).collect())
}
