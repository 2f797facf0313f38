//! The content of an entity of any kind: its fields beyond those of the base entity.

use std::collections::HashMap;

use serde_json::{Map, Value};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::plant::entity::{self, Check, Kind};
use crate::plant::{agents, industries, job_roles, skills, teams};

/// Content of an entity.
#[derive(Debug, Clone)]
pub enum Content {
    Industry(industries::IndustryContent),
    Skill(skills::SkillContent),
    JobRole(job_roles::JobRoleContent),
    /// Content of a team, and whether any agent belongs to it.
    Team(teams::TeamContent, bool),
    Agent(agents::AgentContent),
}

impl Content {
    /// Returns the results of the L1 checks of the kind.
    pub fn check_l1(&self) -> Vec<Check> {
        match self {
            Self::Industry(content) => content.check_l1(),
            Self::Skill(content) => content.check_l1(),
            Self::JobRole(content) => content.check_l1(),
            Self::Team(content, staffed) => content.check_l1(*staffed),
            Self::Agent(content) => content.check_l1(),
        }
    }

    /// Returns the fields by the names that amendments use.
    ///
    /// # Errors
    /// As [`entity::to_fields`].
    pub fn fields(&self) -> Result<Map<String, Value>> {
        match self {
            Self::Industry(content) => entity::to_fields(content),
            Self::Skill(content) => entity::to_fields(content),
            Self::JobRole(content) => entity::to_fields(content),
            Self::Team(content, _) => entity::to_fields(content),
            Self::Agent(content) => entity::to_fields(content),
        }
    }
}

/// Returns the content of those of `ids` that are entities of `kind`. An altered row with a value
/// that cannot be decoded counts as missing.
///
/// # Errors
/// Database errors.
pub async fn find_contents(
    connection: &mut PgConnection,
    kind: Kind,
    ids: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, Content>> {
    match decode_contents(connection, kind, ids).await {
        Err(sqlx::Error::ColumnDecode { .. }) => {}
        result => return result,
    }
    let mut found = HashMap::new();
    for id in ids {
        match decode_contents(connection, kind, &[*id]).await {
            Err(sqlx::Error::ColumnDecode { .. }) => {}
            result => found.extend(result?),
        }
    }
    Ok(found)
}

/// Like [`find_contents`], but fails if a row cannot be decoded.
async fn decode_contents(
    connection: &mut PgConnection,
    kind: Kind,
    ids: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, Content>> {
    Ok(match kind {
        Kind::Industry => {
            let rows = industries::sql::find_contents(connection, ids).await?;
            rows.into_iter().map(|(id, content)| (id, Content::Industry(content))).collect()
        }
        Kind::Skill => {
            let rows = skills::sql::find_contents(connection, ids).await?;
            rows.into_iter().map(|(id, content)| (id, Content::Skill(content))).collect()
        }
        Kind::JobRole => {
            let rows = job_roles::sql::find_contents(connection, ids).await?;
            rows.into_iter().map(|(id, content)| (id, Content::JobRole(content))).collect()
        }
        Kind::Team => {
            let rows = teams::sql::find_contents(connection, ids).await?;
            rows.into_iter()
                .map(|(id, content, staffed)| (id, Content::Team(content, staffed)))
                .collect()
        }
        Kind::Agent => {
            let rows = agents::sql::find_contents(connection, ids).await?;
            rows.into_iter().map(|(id, content)| (id, Content::Agent(content))).collect()
        }
    })
}
