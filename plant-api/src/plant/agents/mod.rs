//! Agents that customers can hire. An agent combines a skill, a job role and an industry, and may
//! belong to a team.
//!
//! A change of an agent is applied and recorded as one amendment, under the entity's row lock.

pub mod change;
pub(crate) mod routes;
pub(crate) mod sql;
#[cfg(test)]
mod tests;

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
use crate::plant::industries::IndustryId;
use crate::plant::job_roles::JobRoleId;
use crate::plant::skills::SkillId;
use crate::plant::teams::TeamId;

/// Length of the free trial of a hired agent, in days.
pub const TRIAL_DAYS: i64 = 7;

id!(
    /// A catalogue agent's id.
    AgentId,
    "01945cf5-cc00-7924-aab3-16ee86e91757"
);

/// Duration of a hire.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum HireDuration {
    /// One month at a time.
    Monthly,
    /// Three months at a time.
    Quarterly,
}

/// An agent in the catalogue.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Agent {
    /// Id of the agent.
    pub id: AgentId,
    /// Name, unique among agents.
    #[schema(example = "Asha, Content Writer")]
    pub name: String,
    /// Id of the agent's skill.
    pub skill_id: SkillId,
    /// Name of the skill.
    #[schema(example = "Copywriting")]
    pub skill: String,
    /// Id of the agent's job role.
    pub job_role_id: JobRoleId,
    /// Name of the job role.
    #[schema(example = "Content Writer")]
    pub job_role: String,
    /// Id of the agent's team.
    pub team_id: Option<TeamId>,
    /// Name of the team.
    pub team_name: Option<String>,
    /// Id of the agent's industry.
    pub industry_id: IndustryId,
    /// Name of the industry.
    #[schema(example = "marketing")]
    pub industry: String,
    /// Lifecycle status; only `active` agents can be hired.
    pub status: Status,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Length of the free trial, in days.
    #[schema(example = 7)]
    pub trial_days: i64,
    /// Durations for which the agent can be hired.
    pub allowed_durations: &'static [HireDuration],
    /// Monthly price in INR.
    #[schema(example = 12000)]
    pub price: u32,
    /// Last link of the hash chain; also the ETag.
    #[schema(value_type = String)]
    pub version_hash: Digest32,
}

/// Durations for which every agent can be hired.
pub const ALLOWED_DURATIONS: &[HireDuration] = &[HireDuration::Monthly, HireDuration::Quarterly];

/// Returns the monthly price in INR for an industry name (case-insensitive).
pub fn monthly_price(industry: &str) -> u32 {
    match industry.to_lowercase().as_str() {
        "marketing" => 12_000,
        "education" => 8_000,
        "sales" => 15_000,
        _ => 12_000,
    }
}

/// The fields of an agent beyond those of every entity, all recorded in its chain; also the body of
/// `POST /api/v1/agents`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NewAgent)]
pub struct AgentContent {
    /// Name, unique among agents.
    #[schema(example = "Ivy, Content Writer", min_length = 1, max_length = 200)]
    pub name: String,
    /// Id of the agent's skill.
    pub skill_id: SkillId,
    /// Id of the agent's job role.
    pub job_role_id: JobRoleId,
    /// Id of the agent's team.
    pub team_id: Option<TeamId>,
    /// Id of the agent's industry.
    pub industry_id: IndustryId,
}

impl AgentContent {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.into_result()
    }

    /// Returns the results of the L1 checks. The references are foreign keys, so they exist.
    pub fn check_l1(&self) -> Vec<Check> {
        vec![
            Check::new("L1-agent-skill", !self.skill_id.0.is_nil(), "a skill"),
            Check::new("L1-agent-job-role", !self.job_role_id.0.is_nil(), "a job role"),
            Check::new("L1-agent-industry", !self.industry_id.0.is_nil(), "an industry"),
        ]
    }

    /// Returns the new entity with this content: its base row and first amendment.
    ///
    /// # Errors
    /// As [`NewEntity::new`].
    pub fn new_entity(&self, id: Uuid, at: DateTime<Utc>, actor: &str) -> Result<NewEntity> {
        let entity = Identity { id, kind: Kind::Agent };
        NewEntity::new(entity, Status::Active, at, actor, self)
    }
}

/// Creates an agent.
///
/// # Errors
/// [`Error::Validation`] naming an unknown reference, or [`Error::Duplicate`] when the name is
/// taken.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    content: AgentContent,
) -> Result<Agent> {
    content.check()?;
    let entity = content.new_entity(clock.new_id(), clock.now(), caller.actor())?;
    map_constraint_errors(sql::insert(&mut *connection, &entity, &content).await, &content.name)?;
    sql::find(connection, AgentId(entity.id)).await?.ok_or_else(|| Error::no_such("agent"))
}

/// Maps violated constraints to the errors of creating or changing an agent named `name`.
fn map_constraint_errors<T>(result: sqlx::Result<T>, name: &str) -> Result<T> {
    result
        .on_constraint("agent_name_key", || {
            Error::Duplicate(format!("there is already an agent named `{name}`"))
        })
        .on_constraint("agent_skill_id_fkey", || Error::unknown_reference("skill_id", "skill"))
        .on_constraint("agent_job_role_id_fkey", || {
            Error::unknown_reference("job_role_id", "job role")
        })
        .on_constraint("agent_team_id_fkey", || Error::unknown_reference("team_id", "team"))
        .on_constraint("agent_industry_id_fkey", || {
            Error::unknown_reference("industry_id", "industry")
        })
}
