//! The chain of an entity as the API returns it.

#[cfg(test)]
mod tests;

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::no_such_entity;
use crate::db::Db;
use crate::error::Result;
use crate::page::{MAX_BYTES, read_page};
use crate::plant::chain::{Amendment, ChangeType, Digest32, Reason};
use crate::plant::entity::{self, ParsedAmendment};

/// An amendment.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AmendmentView {
    /// Index in the chain, from 0.
    pub sequence: u64,
    /// What changed, when, and by whom.
    #[serde(flatten)]
    #[schema(value_type = DescribedContent)]
    pub content: Content,
    /// SHA-256 of the content as canonical JSON.
    #[schema(value_type = String)]
    pub content_hash: Digest32,
    /// Link hash: covers this amendment and all before it.
    #[schema(value_type = String)]
    pub link: Digest32,
}

/// The content of an amendment, if it can be read.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Content {
    Readable(AmendmentContent),
    Unreadable(UnreadableContent),
}

/// The content of an amendment. The values are the stored texts, so that the numbers in them are
/// those that were hashed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AmendmentContent {
    pub change_type: ChangeType,
    pub data: Box<RawValue>,
    pub timestamp: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Box<RawValue>>,
}

/// Content that is not the JSON of an amendment, so that the chain is broken here.
#[derive(Debug, Clone, Serialize)]
pub struct UnreadableContent {
    /// Always true.
    pub broken: bool,
    /// Always [`Reason::Unreadable`].
    pub reason: Reason,
    /// The stored bytes, in hexadecimal.
    pub content: String,
}

/// The content of an amendment: what it sets, or why it cannot be read.
#[derive(utoipa::ToSchema)]
#[schema(as = StoredContent)]
#[expect(
    dead_code,
    reason = "OpenAPI schema of `Content`; generators of clients merge no alternatives"
)]
struct DescribedContent {
    /// Kind of the change.
    #[schema(value_type = ChangeType, required = false)]
    change_type: Option<ChangeType>,
    /// Fields that the amendment sets, with their new values.
    #[schema(value_type = Object, required = false)]
    data: Option<Box<RawValue>>,
    /// Time of the change.
    #[schema(value_type = chrono::DateTime<chrono::Utc>, required = false)]
    timestamp: Option<Box<RawValue>>,
    /// Who made the change: an account's id, `anonymous`, `operator` (the admin key) or `genesis` (the
    /// test data).
    #[schema(value_type = String, required = false, example = "genesis")]
    actor: Option<Box<RawValue>>,
    /// True if the content is not the JSON of an amendment, so that the chain is broken here; then only
    /// `reason` and `content` are present.
    #[schema(value_type = bool, required = false)]
    broken: Option<bool>,
    /// Only with `broken`: always `unreadable`.
    #[schema(value_type = String, required = false, example = "unreadable")]
    reason: Option<Reason>,
    /// Only with `broken`: the stored bytes, in hexadecimal.
    #[schema(value_type = String, required = false)]
    content: Option<String>,
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        // The verifier decides what can be read, so that both agree.
        let readable = ParsedAmendment::parse(bytes);
        match readable.and_then(|_| serde_json::from_slice(bytes).ok()) {
            Some(content) => Self::Readable(content),
            None => Self::Unreadable(UnreadableContent {
                broken: true,
                reason: Reason::Unreadable,
                content: hex::encode(bytes),
            }),
        }
    }
}

impl From<Amendment> for AmendmentView {
    fn from(amendment: Amendment) -> Self {
        Self {
            sequence: amendment.sequence,
            content: Content::from(&*amendment.content),
            content_hash: amendment.content_hash,
            link: amendment.link,
        }
    }
}

/// Returns a page of at most `limit` amendments of an entity, from sequence number `from` on, as a
/// JSON array of [`AmendmentView`], and the last sequence number if more follow.
///
/// # Errors
/// [`crate::error::Error::NotFound`] if there is no such entity.
pub async fn read_amendments(
    db: &Db,
    id: Uuid,
    from: i64,
    limit: i64,
) -> Result<(Vec<u8>, Option<u64>)> {
    let mut connection = db.acquire().await?;
    // One more than `limit`, to detect whether there is a next page. A view is longer than the
    // content, so that the page is full when the stream ends early.
    let (limit_and_next, max_bytes) = (limit + 1, MAX_BYTES as i64);
    let rows =
        entity::sql::stream_amendments(&mut *connection, id, from, limit_and_next, max_bytes);
    let views = rows.map_ok(AmendmentView::from);
    let page = read_page(views, limit, |amendment| amendment.sequence).await?;
    if page.0 == b"[]" {
        entity::sql::find(&mut *connection, id).await?.ok_or_else(no_such_entity)?;
    }
    Ok(page)
}
