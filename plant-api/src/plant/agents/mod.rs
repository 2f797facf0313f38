//! Agents: somebody to hire, made of a skill, a job role and an industry, perhaps in a team.
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
use crate::plant::chain::Digest32;
use crate::plant::entity::{Check, NewEntity, Status};
use crate::plant::id::id;
use crate::plant::industries::IndustryId;
use crate::plant::job_roles::JobRoleId;
use crate::plant::skills::SkillId;
use crate::plant::teams::TeamId;

/// Days that a hired agent may be tried for nothing.
pub const TRIAL_DAYS: i64 = 7;

id!(
    /// A catalogue agent's id.
    AgentId
);

/// For how long an agent can be hired.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum HireDuration {
    /// A month at a time.
    Monthly,
    /// Three months at a time.
    Quarterly,
}

/// An agent as the catalogue shows it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    #[schema(example = "Asha, Content Writer")]
    pub name: String,
    /// What it can do.
    pub skill_id: SkillId,
    /// That skill's name.
    #[schema(example = "Copywriting")]
    pub skill: String,
    /// What it is hired as.
    pub job_role_id: JobRoleId,
    /// That job role's name.
    #[schema(example = "Content Writer")]
    pub job_role: String,
    /// The team it belongs to.
    pub team_id: Option<TeamId>,
    /// That team's name.
    pub team_name: Option<String>,
    /// The industry it works in.
    pub industry_id: IndustryId,
    /// That industry's name.
    #[schema(example = "marketing")]
    pub industry: String,
    /// Whether it can be hired.
    pub status: Status,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Days it may be tried for nothing.
    #[schema(example = 7)]
    pub trial_days: i64,
    /// For how long it can be hired.
    pub allowed_durations: &'static [HireDuration],
    /// Price of a month in INR.
    #[schema(example = 12000)]
    pub price: u32,
    /// The head of its hash chain.
    #[schema(value_type = String)]
    pub version_hash: Digest32,
}

/// For how long every agent can be hired.
pub const DURATIONS: &[HireDuration] = &[HireDuration::Monthly, HireDuration::Quarterly];

/// A month's price in INR, by industry.
pub fn price(industry: &str) -> u32 {
    match industry.to_lowercase().as_str() {
        "marketing" => 12_000,
        "education" => 8_000,
        "sales" => 15_000,
        _ => 12_000,
    }
}

/// What an agent is made of; its first amendment carries this.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NewAgent)]
pub struct Content {
    /// A name that no other agent has.
    #[schema(example = "Asha, Content Writer", min_length = 1, max_length = 200)]
    pub name: String,
    /// What it can do.
    pub skill_id: SkillId,
    /// What it is hired as.
    pub job_role_id: JobRoleId,
    /// The team it belongs to.
    pub team_id: Option<TeamId>,
    /// The industry it works in.
    pub industry_id: IndustryId,
}

impl Content {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.done()
    }

    /// What certification asks of an agent. The references are foreign keys, so they hold.
    pub fn check_l1(&self) -> Vec<Check> {
        vec![
            Check::new("L1-agent-skill", !self.skill_id.0.is_nil(), "a skill"),
            Check::new("L1-agent-job-role", !self.job_role_id.0.is_nil(), "a job role"),
            Check::new("L1-agent-industry", !self.industry_id.0.is_nil(), "an industry"),
        ]
    }

    /// The entity that this content makes.
    ///
    /// # Errors
    /// As [`NewEntity::new`].
    pub fn entity(&self, id: Uuid, at: DateTime<Utc>, actor: &str) -> Result<NewEntity> {
        NewEntity::new(id, Status::Active, at, actor, self)
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
    content: Content,
) -> Result<Agent> {
    content.check()?;
    let entity = content.entity(clock.new_id(), clock.now(), caller.actor())?;
    refusals(sql::insert(&mut *connection, &entity, &content).await, &content.name)?;
    sql::find(connection, AgentId(entity.id)).await?.ok_or_else(|| Error::no_such("agent"))
}

/// What the database's refusals mean to somebody who writes an agent.
fn refusals<T>(written: sqlx::Result<T>, name: &str) -> Result<T> {
    written
        .on_constraint("agent_name_key", || {
            Error::Duplicate(format!("there is already an agent named `{name}`"))
        })
        .on_constraint("agent_skill_id_fkey", || Error::unknown("skill_id", "skill"))
        .on_constraint("agent_job_role_id_fkey", || Error::unknown("job_role_id", "job role"))
        .on_constraint("agent_team_id_fkey", || Error::unknown("team_id", "team"))
        .on_constraint("agent_industry_id_fkey", || Error::unknown("industry_id", "industry"))
}
