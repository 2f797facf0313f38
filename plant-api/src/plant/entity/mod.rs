//! What every kind of entity shares: one `base_entity` row and a chain of amendments.
//!
//! Creating an entity and each change of it write an amendment in the same transaction, under
//! the entity's row lock, so that two writers never fork a chain; the database refuses anything
//! else (`migrations/0001_chain.sql`).

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
use crate::plant::chain::{Amendment, Change, ChangeType, Digest32, Head, canonical};

pub use fields::Fields;
pub use state::{Departure, Reading};

/// The agent that governs entities unless another is named.
pub const GOVERNANCE_AGENT: &str = "genesis";

/// The kinds of entities.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Kind {
    /// Something an agent can do.
    Skill,
    /// What a set of skills is hired for.
    JobRole,
    /// Agents that work together.
    Team,
    /// Somebody to hire.
    Agent,
    /// A field of business.
    Industry,
}

impl Kind {
    /// The kind in words.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Skill => "skill",
            Self::JobRole => "job role",
            Self::Team => "team",
            Self::Agent => "agent",
            Self::Industry => "industry",
        }
    }

    /// The kind as programs name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JobRole => "job_role",
            other => other.noun(),
        }
    }
}

/// Where an entity is in its life.
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
    /// A skill that Genesis has not certified yet.
    PendingCertification,
    /// A skill that it has.
    Certified,
}

/// One of the checks that an entity must pass to be certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Its name, such as `L1-skill-name`.
    pub name: &'static str,
    /// Whether the entity passes it.
    pub holds: bool,
    /// What is asked for.
    pub asks: &'static str,
}

impl Check {
    /// A check named `name` that `asks` for something, and whether it `holds`.
    pub fn new(name: &'static str, holds: bool, asks: &'static str) -> Self {
        Self { name, holds, asks }
    }
}

/// An entity about to be created: its head and its first amendment.
#[derive(Debug, Clone)]
pub struct NewEntity {
    /// Its id.
    pub id: Uuid,
    /// Its first status.
    pub status: Status,
    /// When.
    pub at: DateTime<Utc>,
    /// The amendment that creates it.
    pub first: Amendment,
}

impl NewEntity {
    /// An entity of this content, created by `actor`. Its status is part of the content.
    ///
    /// # Errors
    /// When the content is not JSON that can be made canonical.
    pub fn new(
        id: Uuid,
        status: Status,
        at: DateTime<Utc>,
        actor: &str,
        content: &impl Serialize,
    ) -> Result<Self> {
        let mut data = fields(content)?;
        data.insert("status".into(), to_value(&status)?);
        let change = Change {
            change_type: ChangeType::Creation,
            data,
            timestamp: at,
            actor: actor.to_owned(),
        };
        Ok(Self { id, status, at, first: Amendment::first(id, change.canonical()) })
    }
}

/// An entity's shared part: its row of `base_entity`.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Its id.
    pub id: Uuid,
    /// What it is.
    pub kind: Kind,
    /// Its name elsewhere.
    pub external_id: Option<String>,
    /// Where it is in its life.
    pub status: Status,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// When Genesis certified it.
    pub certified_at: Option<DateTime<Utc>>,
    /// Amendments so far.
    pub chain_length: i64,
    /// The last link.
    pub version_hash: Digest32,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Whatever its owner wants to keep with it.
    pub custom_attributes: Value,
    /// What its governors say of it.
    pub governance_notes: Option<String>,
    /// The entity that it belongs to.
    pub parent_id: Option<Uuid>,
    /// The agent that governs it.
    pub governance_agent_id: String,
}

impl Shared {
    /// Where its chain ends.
    pub fn head(&self) -> Head {
        Head { length: self.chain_length.unsigned_abs(), version_hash: self.version_hash }
    }

    /// Everything that the rows of this entity say and an amendment must explain, as canonical
    /// JSON; `content` is what its kind keeps.
    ///
    /// # Errors
    /// When a row holds what canonical JSON cannot carry.
    pub fn row(&self, content: &Map<String, Value>) -> Result<Vec<u8>> {
        let shared = Explained {
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
        let row = serde_json::to_value(&shared).map_err(|e| Error::Internal(Box::new(e)))?;
        let mut out = Vec::new();
        canonical::write(&mut out, &row);
        Ok(out)
    }
}

/// The fields of [`Shared::row`].
#[derive(Serialize)]
struct Explained<'a> {
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

/// An entity's shared part, its row locked for a change.
#[derive(Debug)]
pub struct Locked(Shared);

impl Deref for Locked {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut Shared {
        &mut self.0
    }
}

impl Locked {
    /// Appends the amendment that turns the entity into what `self` now says, and stores both.
    /// `data` is what the amendment sets.
    ///
    /// # Errors
    /// Database errors; nothing is kept then.
    pub async fn amend(
        &mut self,
        connection: &mut PgConnection,
        change_type: ChangeType,
        data: Map<String, Value>,
        at: DateTime<Utc>,
        actor: &str,
    ) -> Result<Amendment> {
        let change = Change { change_type, data, timestamp: at, actor: actor.to_owned() };
        let amendment = Amendment::after(self.id, self.head(), change.canonical());
        sql::amend(connection, self, &amendment, at).await?;
        self.updated_at = at;
        self.chain_length += 1;
        self.version_hash = amendment.link;
        Ok(amendment)
    }
}

/// The fields of `content`, which is a struct.
///
/// # Errors
/// When it is not.
pub fn fields(content: &impl Serialize) -> Result<Map<String, Value>> {
    match to_value(content)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(Error::Internal("the content of an entity is not an object".into())),
    }
}

fn to_value(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::Internal(Box::new(e)))
}
