//! Changes of an agent: applied and appended as an amendment in one transaction.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::PgConnection;

use super::{Agent, AgentContent, AgentId, map_constraint_errors, sql};
use crate::access::Caller;
use crate::check::{Checks, Name};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::etag::Preconditions;
use crate::extract::some_if_present;
use crate::plant::chain::ChangeType;
use crate::plant::entity::{self, Kind, LockedEntity};
use crate::plant::industries::IndustryId;
use crate::plant::job_roles::JobRoleId;
use crate::plant::skills::SkillId;
use crate::plant::teams::TeamId;

/// Maximum number of tags per agent.
const MAX_TAGS: usize = 50;

/// Changes of an agent. Absent fields stay unchanged; `null` clears `team_id` and
/// `governance_notes`, and is an error for other fields.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentChanges {
    /// New name, unique among agents.
    #[serde(
        default,
        deserialize_with = "some_if_present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(
        value_type = String,
        example = "Ivy, Senior Content Writer",
        min_length = 1,
        max_length = 200
    )]
    pub name: Option<String>,
    /// Id of the new skill.
    #[serde(
        default,
        deserialize_with = "some_if_present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = SkillId)]
    pub skill_id: Option<SkillId>,
    /// Id of the new job role.
    #[serde(
        default,
        deserialize_with = "some_if_present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = JobRoleId)]
    pub job_role_id: Option<JobRoleId>,
    /// Id of the new team; `null` for no team.
    #[serde(
        default,
        deserialize_with = "some_if_present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<TeamId>)]
    pub team_id: Option<Option<TeamId>>,
    /// Id of the new industry.
    #[serde(
        default,
        deserialize_with = "some_if_present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = IndustryId)]
    pub industry_id: Option<IndustryId>,
    /// Tags that replace the existing ones.
    #[serde(
        default,
        deserialize_with = "some_if_present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Vec<Name>, max_items = 50, example = json!(["seo", "blog"]))]
    pub tags: Option<Vec<String>>,
    /// Custom attributes that replace the existing ones; at most 64 KiB as JSON.
    #[serde(
        default,
        deserialize_with = "some_if_present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Map<String, Value>, example = json!({"tone": "warm"}))]
    pub custom_attributes: Option<Map<String, Value>>,
    /// Governance notes; `null` removes them.
    #[serde(
        default,
        deserialize_with = "some_if_present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, max_length = 10_000)]
    pub governance_notes: Option<Option<String>>,
}

impl AgentChanges {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        if let Some(name) = &self.name {
            checks.name("name", name);
        }
        if let Some(tags) = &self.tags {
            let within_limit = tags.len() <= MAX_TAGS;
            checks.require(within_limit, "tags", "max-items", "must be at most 50 tags");
            for (i, tag) in tags.iter().enumerate().take(MAX_TAGS) {
                checks.name(&format!("tags[{i}]"), tag);
            }
        }
        if let Some(attributes) = &self.custom_attributes {
            checks.free_form_json("custom_attributes", attributes);
        }
        checks.optional_text(
            "governance_notes",
            self.governance_notes.as_ref().and_then(|notes| notes.as_deref()),
        );
        checks.into_result()
    }

    fn apply(&self, content: &mut AgentContent, base: &mut LockedEntity) {
        let changes = self.clone();
        set_if_some(&mut content.name, changes.name);
        set_if_some(&mut content.skill_id, changes.skill_id);
        set_if_some(&mut content.job_role_id, changes.job_role_id);
        set_if_some(&mut content.team_id, changes.team_id);
        set_if_some(&mut content.industry_id, changes.industry_id);
        set_if_some(&mut base.tags, changes.tags);
        set_if_some(&mut base.custom_attributes, changes.custom_attributes.map(Value::Object));
        set_if_some(&mut base.governance_notes, changes.governance_notes);
    }
}

fn set_if_some<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Changes an agent if its version satisfies `If-Match`. An empty change returns the agent as it
/// is and appends no amendment.
///
/// # Errors
/// [`Error::NotFound`], [`Error::PreconditionFailed`], [`Error::HashChainBroken`] if the agent's row
/// cannot be read, and as [`super::create`].
pub async fn change(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    id: AgentId,
    conditions: &Preconditions,
    changes: &AgentChanges,
) -> Result<Agent> {
    changes.check()?;
    let changed_fields = entity::to_fields(changes)?;
    let no_such = || Error::no_such("agent");
    let base = entity::sql::lock(&mut *connection, id.0).await?;
    let mut base = base.filter(|base| base.kind == Kind::Agent).ok_or_else(no_such)?;
    base.require_readable()?;
    let mut content = sql::find_content(&mut *connection, id.0).await?.ok_or_else(no_such)?;
    conditions.check_if_match(base.version_hash)?;
    if !changed_fields.is_empty() {
        changes.apply(&mut content, &mut base);
        map_constraint_errors(sql::update(&mut *connection, id, &content).await, &content.name)?;
        base.amend(
            &mut *connection,
            ChangeType::Evolution,
            changed_fields,
            clock.now(),
            caller.actor(),
        )
        .await?;
    }
    sql::find(connection, id).await?.ok_or_else(no_such)
}
