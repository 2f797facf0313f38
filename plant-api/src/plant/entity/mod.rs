//! The part that all kinds of entities have in common: a row of `base_entity` and a chain of
//! amendments.
//!
//! Each creation and each change of an entity writes an amendment in the same transaction, under
//! the entity's row lock, so that concurrent writers cannot fork a chain. The database rejects any
//! other write (`migrations/0001_chain.sql`).

mod column;
mod fields;
#[cfg(test)]
pub(crate) mod mutate;
pub(crate) mod scan;
pub(crate) mod sql;
mod state;
#[cfg(test)]
mod tests;

use std::ops::{Deref, DerefMut};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::plant::chain::{
    Amendment, Change, ChangeType, Digest32, Format, Head, Identity, Reason, canonical,
};

pub use crate::plant::chain::Kind;
pub use fields::{Fields, ParsedAmendment};
pub use state::{EntityVerifier, Mismatch};

/// Governing agent id of every entity that the service creates. It is not the id of an agent in the
/// catalogue: check L0-01 requires some text, and nothing else uses it.
pub const GOVERNANCE_AGENT: &str = "genesis";

/// Status of an entity.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Status {
    /// In use.
    Active,
    /// Not in use.
    Inactive,
    /// Not yet certified by Genesis; only skills have this status.
    PendingCertification,
    /// Certified by Genesis; only skills get this status. Entities of other kinds keep theirs, and
    /// only `certified_at` shows that they are certified.
    Certified,
}

/// The result of one of the checks that an entity must pass to be certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Name of the check, such as `L1-skill-name`.
    pub name: &'static str,
    pub passed: bool,
    /// The required property, as a noun phrase.
    pub requirement: &'static str,
}

impl Check {
    pub fn new(name: &'static str, passed: bool, requirement: &'static str) -> Self {
        Self { name, passed, requirement }
    }
}

/// An entity to be inserted: its base row and its first amendment.
#[derive(Debug, Clone)]
pub struct NewEntity {
    pub id: Uuid,
    pub status: Status,
    pub created_at: DateTime<Utc>,
    /// The amendment that creates the entity.
    pub first_amendment: Amendment,
}

impl NewEntity {
    /// Creates an entity with this content; `actor` is its creator. The first amendment contains
    /// the content and the status.
    ///
    /// # Errors
    /// When the content does not serialize to a JSON object.
    pub fn new(
        entity: Identity,
        status: Status,
        at: DateTime<Utc>,
        actor: &str,
        content: &impl Serialize,
    ) -> Result<Self> {
        let mut data = to_fields(content)?;
        data.insert("status".into(), to_value(&status)?);
        let change = Change {
            change_type: ChangeType::Creation,
            data,
            timestamp: at,
            actor: actor.to_owned(),
        };
        Ok(Self {
            id: entity.id,
            status,
            created_at: at,
            first_amendment: Amendment::first(entity, change.to_canonical_json()),
        })
    }
}

/// A row of `base_entity`: the part that all kinds of entities have in common.
#[derive(Debug, Clone)]
pub struct BaseEntity {
    pub id: Uuid,
    pub kind: Kind,
    /// Id in an external system; stored for clients, not used by the service.
    pub external_id: Option<String>,
    pub status: Status,
    pub created_at: DateTime<Utc>,
    /// Time of the last amendment.
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
    pub certified_at: Option<DateTime<Utc>>,
    /// Number of amendments; 0 if it is unreadable.
    pub chain_length: i64,
    /// Last link of the chain.
    pub version_hash: Digest32,
    pub tags: Vec<String>,
    /// A JSON object.
    pub custom_attributes: Value,
    /// Stored for clients; not used by the service.
    pub governance_notes: Option<String>,
    /// Entity that lists this one as a child in its view.
    pub parent_id: Option<Uuid>,
    /// [`GOVERNANCE_AGENT`], unless it was altered.
    pub governance_agent_id: String,
    /// Columns with a value that the service cannot have stored. Their fields here have a placeholder.
    pub unreadable: Vec<&'static str>,
}

/// The value of an unreadable column in the fields of an entity. No amendment sets a field with such
/// a column to it, so the field differs from the result of the amendments.
const UNREADABLE: &str = "unreadable";

impl BaseEntity {
    pub fn identity(&self) -> Identity {
        Identity { id: self.id, kind: self.kind }
    }

    /// Returns the stored length and last link of the chain.
    pub fn head(&self) -> Head {
        Head { length: self.chain_length.unsigned_abs(), version_hash: self.version_hash }
    }

    /// Returns the kind; `None` if it is unreadable.
    pub fn readable_kind(&self) -> Option<Kind> {
        (!self.unreadable.contains(&"entity_type")).then_some(self.kind)
    }

    /// Fails if a column is unreadable. The chain itself is not verified.
    ///
    /// # Errors
    /// [`Error::HashChainBroken`].
    pub fn require_readable(&self) -> Result<()> {
        let Some(column) = self.unreadable.first() else { return Ok(()) };
        let reason = match *column {
            "chain_length" => Reason::WrongLength,
            "version_hash" => Reason::WrongVersionHash,
            _ => Reason::StateDiffers,
        };
        let at_index = self.head().length.saturating_sub(1);
        Err(Error::HashChainBroken { at_index, reason: reason.as_str() })
    }

    /// Returns [`Self::fields`] as canonical JSON.
    ///
    /// # Errors
    /// When a value cannot be serialized to JSON.
    pub fn canonical_fields(&self, content: &Map<String, Value>) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        canonical::write_object(&mut out, &self.fields(content)?);
        Ok(out)
    }

    /// Returns the entity's fields that must equal the result of its amendments, and its unreadable
    /// columns. `content` contains the fields of its kind.
    ///
    /// # Errors
    /// When a value cannot be serialized to JSON.
    pub fn fields(&self, content: &Map<String, Value>) -> Result<Map<String, Value>> {
        let entity = EntityFields {
            external_id: self.external_id.as_deref(),
            status: self.status,
            created_at: self.created_at,
            updated_at: self.updated_at,
            deleted_at: self.deleted_at,
            certified_at: self.certified_at,
            tags: &self.tags,
            custom_attributes: &self.custom_attributes,
            governance_notes: self.governance_notes.as_deref(),
            parent_id: self.parent_id,
            governance_agent_id: &self.governance_agent_id,
            content,
        };
        let mut fields = to_fields(&entity)?;
        fields.extend(self.unreadable.iter().map(|name| ((*name).to_owned(), UNREADABLE.into())));
        Ok(fields)
    }
}

/// The JSON object of [`BaseEntity::fields`].
#[derive(Serialize)]
struct EntityFields<'a> {
    external_id: Option<&'a str>,
    status: Status,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    deleted_at: Option<DateTime<Utc>>,
    certified_at: Option<DateTime<Utc>>,
    tags: &'a [String],
    custom_attributes: &'a Value,
    governance_notes: Option<&'a str>,
    parent_id: Option<Uuid>,
    governance_agent_id: &'a str,
    #[serde(flatten)]
    content: &'a Map<String, Value>,
}

/// A base entity whose row is locked for a change.
#[derive(Debug)]
pub struct LockedEntity {
    base: BaseEntity,
    /// Version of the format of its chain.
    format: Format,
}

impl Deref for LockedEntity {
    type Target = BaseEntity;

    fn deref(&self) -> &BaseEntity {
        &self.base
    }
}

impl DerefMut for LockedEntity {
    fn deref_mut(&mut self) -> &mut BaseEntity {
        &mut self.base
    }
}

impl LockedEntity {
    /// Appends an amendment and stores it with the changed fields of `self`. `data` contains the
    /// fields that the amendment sets.
    ///
    /// # Errors
    /// Database errors; `self` is then out of date and the transaction must be rolled back.
    pub async fn amend(
        &mut self,
        connection: &mut PgConnection,
        change_type: ChangeType,
        data: Map<String, Value>,
        at: DateTime<Utc>,
        actor: &str,
    ) -> Result<Amendment> {
        let change = Change { change_type, data, timestamp: at, actor: actor.to_owned() };
        let amendment =
            Amendment::after(self.format, self.identity(), self.head(), change.to_canonical_json());
        sql::amend(connection, self, &amendment, at).await?;
        self.updated_at = at;
        self.chain_length += 1;
        self.version_hash = amendment.link;
        Ok(amendment)
    }
}

/// Returns the fields of `content`, which must serialize to a JSON object.
///
/// # Errors
/// [`Error::Internal`] when it does not.
pub fn to_fields(content: &impl Serialize) -> Result<Map<String, Value>> {
    match to_value(content)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(Error::Internal("the content of an entity is not a JSON object".into())),
    }
}

fn to_value(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::Internal(Box::new(e)))
}
