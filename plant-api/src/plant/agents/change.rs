//! Changing an agent: the changes apply and append an amendment, in one transaction.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{Agent, AgentId, Content, refusals, sql};
use crate::access::Caller;
use crate::check::{Checks, Name};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::etag::Conditions;
use crate::plant::chain::ChangeType;
use crate::plant::entity::{self, Locked};
use crate::plant::industries::IndustryId;
use crate::plant::job_roles::JobRoleId;
use crate::plant::skills::SkillId;
use crate::plant::teams::TeamId;

/// Most tags on one agent.
const TAGS_MAX: usize = 50;

/// Most bytes of custom attributes, as JSON.
const ATTRIBUTES_MAX: usize = 64 * 1024;

/// Changes of an agent; what is absent stays. `null` clears a field that may be empty.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentChanges {
    /// Another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// Another skill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skill_id: Option<SkillId>,
    /// Another job role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_role_id: Option<JobRoleId>,
    /// Another team, or none.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub team_id: Option<Option<TeamId>>,
    /// Another industry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub industry_id: Option<IndustryId>,
    /// Words to find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Name>>, max_items = 50, example = json!(["seo", "blog"]))]
    pub tags: Option<Vec<String>>,
    /// Whatever is to be kept with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!({"tone": "warm"}))]
    pub custom_attributes: Option<Map<String, Value>>,
    /// What its governors say of it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 10_000)]
    pub governance_notes: Option<Option<String>>,
}

/// Tells a field that is `null` from one that is absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}

impl AgentChanges {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        if let Some(name) = &self.name {
            checks.name("name", name);
        }
        if let Some(tags) = &self.tags {
            let few = tags.len() <= TAGS_MAX;
            checks.that(few, "tags", "max-items", "must be at most 50 tags");
            for (i, tag) in tags.iter().enumerate().take(TAGS_MAX) {
                checks.name(&format!("tags[{i}]"), tag);
            }
        }
        if let Some(attributes) = &self.custom_attributes {
            let size = serde_json::to_vec(attributes).map_or(usize::MAX, |bytes| bytes.len());
            let small = size <= ATTRIBUTES_MAX;
            checks.that(small, "custom_attributes", "max-size", "must be at most 64 KiB as JSON");
        }
        checks.text(
            "governance_notes",
            self.governance_notes.as_ref().and_then(|notes| notes.as_deref()),
        );
        checks.done()
    }

    fn apply(&self, content: &mut Content, shared: &mut Locked) {
        let changes = self.clone();
        set(&mut content.name, changes.name);
        set(&mut content.skill_id, changes.skill_id);
        set(&mut content.job_role_id, changes.job_role_id);
        set(&mut content.team_id, changes.team_id);
        set(&mut content.industry_id, changes.industry_id);
        set(&mut shared.tags, changes.tags);
        set(&mut shared.custom_attributes, changes.custom_attributes.map(Value::Object));
        set(&mut shared.governance_notes, changes.governance_notes);
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Changes an agent, if it is still at the version that the client's conditions name. A change
/// of nothing answers the agent as it is and leaves no amendment.
///
/// # Errors
/// [`Error::NotFound`], [`Error::PreconditionFailed`], and as [`super::create`].
pub async fn change(
    db: &Db,
    clock: &Clock,
    caller: &Caller,
    id: AgentId,
    conditions: &Conditions,
    changes: &AgentChanges,
) -> Result<Agent> {
    changes.check()?;
    let data = entity::fields(changes)?;
    let mut tx = db.begin().await?;
    let no_such = || Error::no_such("agent");
    let mut shared = entity::sql::lock(&mut *tx, id.0).await?.ok_or_else(no_such)?;
    let mut content = sql::content(&mut *tx, id.0).await?.ok_or_else(no_such)?;
    conditions.allow_change_of(shared.version_hash)?;
    if !data.is_empty() {
        changes.apply(&mut content, &mut shared);
        refusals(sql::update(&mut *tx, id, &content).await, &content.name)?;
        shared.amend(&mut tx, ChangeType::Evolution, data, clock.now(), caller.actor()).await?;
    }
    let agent = sql::find(&mut *tx, id).await?.ok_or_else(no_such)?;
    tx.commit().await?;
    Ok(agent)
}
