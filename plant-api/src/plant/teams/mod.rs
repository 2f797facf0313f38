//! Teams: agents that work together. An agent refers to its team.

pub(crate) mod routes;
pub(crate) mod sql;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::Caller;
use crate::check::Checks;
use crate::clock::Clock;
use crate::error::{Error, OnConstraint, Result};
use crate::plant::chain::{Digest32, Identity};
use crate::plant::entity::{Check, Kind, NewEntity, Status};
use crate::plant::id::id;
use crate::plant::job_roles::JobRoleId;

id!(
    /// A team's id.
    TeamId,
    "0194485c-5c00-7020-a51b-ff9604b3e269"
);

/// A team.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Team {
    /// Id of the team.
    pub id: TeamId,
    /// Name, unique among teams.
    #[schema(example = "Brand Studio")]
    pub name: String,
    /// Description of the team.
    pub description: Option<String>,
    /// Job role that the team fills.
    pub job_role_id: Option<JobRoleId>,
    /// Lifecycle status.
    pub status: Status,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Time of certification; null if not certified.
    pub certified_at: Option<DateTime<Utc>>,
    /// Last link of the hash chain; also the ETag.
    #[schema(value_type = String)]
    pub version_hash: Digest32,
}

/// The fields of a team beyond those of every entity, all recorded in its chain; also the body of
/// `POST /api/v1/teams`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NewTeam)]
pub struct TeamContent {
    /// Name, unique among teams.
    #[schema(example = "Leaf Studio", min_length = 1, max_length = 200)]
    pub name: String,
    /// Description of the team.
    #[schema(max_length = 10_000)]
    pub description: Option<String>,
    /// Job role that the team fills.
    pub job_role_id: Option<JobRoleId>,
}

impl TeamContent {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.optional_text("description", self.description.as_deref());
        checks.into_result()
    }

    /// Returns the results of the L1 checks; `staffed` is whether any agent belongs to the team.
    pub fn check_l1(&self, staffed: bool) -> Vec<Check> {
        vec![
            Check::new("L1-team-agents", staffed, "at least one agent"),
            Check::new("L1-team-job-role", self.job_role_id.is_some(), "a job role"),
        ]
    }

    /// Returns the new entity with this content: its base row and first amendment.
    ///
    /// # Errors
    /// As [`NewEntity::new`].
    pub fn new_entity(&self, id: Uuid, at: DateTime<Utc>, actor: &str) -> Result<NewEntity> {
        let entity = Identity { id, kind: Kind::Team };
        NewEntity::new(entity, Status::Active, at, actor, self)
    }
}

/// Creates a team.
///
/// # Errors
/// [`Error::Validation`], or [`Error::Duplicate`] when the name is taken.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    content: TeamContent,
) -> Result<Team> {
    content.check()?;
    let entity = content.new_entity(clock.new_id(), clock.now(), caller.actor())?;
    sql::insert(connection, &entity, &content)
        .await
        .on_constraint("team_name_key", || {
            Error::Duplicate(format!("there is already a team named `{}`", content.name))
        })
        .on_constraint("team_job_role_id_fkey", || {
            Error::unknown_reference("job_role_id", "job role")
        })?;
    Ok(Team {
        id: TeamId(entity.id),
        name: content.name,
        description: content.description,
        job_role_id: content.job_role_id,
        status: entity.status,
        created_at: entity.created_at,
        certified_at: None,
        version_hash: entity.first_amendment.link,
    })
}
