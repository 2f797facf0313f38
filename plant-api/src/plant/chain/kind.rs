//! The kinds of entities. Links cover the kind, so it belongs to the format of the chain.

use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// The kind of an entity.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    sqlx::Type,
    utoipa::ToSchema,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Kind {
    /// An ability of an agent.
    Skill,
    /// A position and the skills that it requires.
    JobRole,
    /// A group of agents.
    Team,
    /// An AI agent that customers can hire.
    Agent,
    /// An industry that agents specialize in.
    Industry,
}

impl Kind {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the kind as an English noun, for messages.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Skill => "skill",
            Self::JobRole => "job role",
            Self::Team => "team",
            Self::Agent => "agent",
            Self::Industry => "industry",
        }
    }

    /// Returns the kind as in JSON, the database and the links (`snake_case`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JobRole => "job_role",
            other => other.noun(),
        }
    }
}
