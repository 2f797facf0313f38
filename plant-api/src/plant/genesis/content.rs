//! What an entity says beyond its shared part, whatever its kind.

use std::collections::HashMap;

use serde_json::{Map, Value};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::plant::entity::{self, Check, Kind};
use crate::plant::{agents, industries, job_roles, skills, teams};

/// The content of an entity.
#[derive(Debug, Clone)]
pub enum Content {
    /// Of an industry.
    Industry(industries::Content),
    /// Of a skill.
    Skill(skills::Content),
    /// Of a job role.
    JobRole(job_roles::Content),
    /// Of a team, and whether any agent belongs to it.
    Team(teams::Content, bool),
    /// Of an agent.
    Agent(agents::Content),
}

impl Content {
    /// What certification asks of this kind.
    pub fn check_l1(&self) -> Vec<Check> {
        match self {
            Self::Industry(content) => content.check_l1(),
            Self::Skill(content) => content.check_l1(),
            Self::JobRole(content) => content.check_l1(),
            Self::Team(content, staffed) => content.check_l1(*staffed),
            Self::Agent(content) => content.check_l1(),
        }
    }

    /// The fields as amendments name them.
    ///
    /// # Errors
    /// None that is known; see [`entity::fields`].
    pub fn fields(&self) -> Result<Map<String, Value>> {
        match self {
            Self::Industry(content) => entity::fields(content),
            Self::Skill(content) => entity::fields(content),
            Self::JobRole(content) => entity::fields(content),
            Self::Team(content, _) => entity::fields(content),
            Self::Agent(content) => entity::fields(content),
        }
    }
}

/// The contents of these entities, as far as they are of that kind.
///
/// # Errors
/// Database errors.
pub async fn contents(
    connection: &mut PgConnection,
    kind: Kind,
    ids: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, Content>> {
    Ok(match kind {
        Kind::Industry => {
            let rows = industries::sql::contents(connection, ids).await?;
            rows.into_iter().map(|(id, content)| (id, Content::Industry(content))).collect()
        }
        Kind::Skill => {
            let rows = skills::sql::contents(connection, ids).await?;
            rows.into_iter().map(|(id, content)| (id, Content::Skill(content))).collect()
        }
        Kind::JobRole => {
            let rows = job_roles::sql::contents(connection, ids).await?;
            rows.into_iter().map(|(id, content)| (id, Content::JobRole(content))).collect()
        }
        Kind::Team => {
            let rows = teams::sql::contents(connection, ids).await?;
            rows.into_iter()
                .map(|(id, content, staffed)| (id, Content::Team(content, staffed)))
                .collect()
        }
        Kind::Agent => {
            let rows = agents::sql::contents(connection, ids).await?;
            rows.into_iter().map(|(id, content)| (id, Content::Agent(content))).collect()
        }
    })
}
