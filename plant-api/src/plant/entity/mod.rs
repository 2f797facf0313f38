//! What every kind of entity shares: one `base_entity` row and a chain of amendments.
//!
//! Creating an entity and each change of it write an amendment in the same transaction, under
//! the entity's row lock, so that two writers never fork a chain; the database refuses anything
//! else (`migrations/0001_chain.sql`).

pub(crate) mod sql;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::plant::chain::{Amendment, Change, ChangeType, Digest32, Head};

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
        Ok(Self { id, status, at, first: Amendment::first(id, change.canonical()?) })
    }
}

/// An entity's shared part, its row locked for a change.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Locked {
    /// Its id.
    pub id: Uuid,
    /// What it is.
    pub kind: Kind,
    /// Where it is in its life.
    pub status: Status,
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
    /// The agent that governs it.
    pub governance_agent_id: String,
}

impl Locked {
    /// Where its chain ends.
    pub fn head(&self) -> Head {
        Head { length: self.chain_length.unsigned_abs(), version_hash: self.version_hash }
    }

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
        let amendment = Amendment::after(self.id, self.head(), change.canonical()?);
        sql::amend(connection, self, &amendment, at).await?;
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
