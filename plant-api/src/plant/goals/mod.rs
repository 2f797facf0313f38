//! Goals: what a hired agent is to do, and how often.

pub mod period;
pub(crate) mod routes;
pub(crate) mod sql;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::PgConnection;

use crate::access::Caller;
use crate::check::{Checks, MAX_TEXT_CHARS};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::etag::Preconditions;
use crate::extract::some_if_present;
use crate::plant::hires::{self, HireId};
use crate::plant::id::id;
use crate::plant::json_text::{JsonText, json_text};

id!(
    /// A goal's id.
    GoalId,
    "01960865-afa0-7046-885c-977d52c8aeff"
);

/// How often a goal is due.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Schedule {
    /// Once per day.
    Daily,
    /// Once per ISO week.
    Weekly,
    /// Once per month.
    Monthly,
    /// Never due: no job creates deliverables for it.
    OnDemand,
}

/// A goal.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Goal {
    /// Id of the goal.
    pub id: GoalId,
    /// Id of the hired agent.
    pub hired_agent_id: HireId,
    /// The client's id of a template; used only as the default title.
    pub goal_template_id: Option<String>,
    /// Title of the goal.
    #[schema(example = "Publish a weekly article")]
    pub title: String,
    /// Description of the goal.
    pub description: String,
    /// How often the goal is due.
    pub schedule: Schedule,
    /// Whether the goal yields deliverables when due.
    pub enabled: bool,
    /// Free-form settings of the goal; raw secrets are rejected, references to secrets allowed.
    #[schema(value_type = Object)]
    pub settings: JsonText,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
    /// Version number, incremented by each change; the ETag.
    #[serde(skip)]
    pub version: i64,
}

/// A goal to create.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct NewGoal {
    /// The client's id of a template; used only as the default title.
    #[schema(min_length = 1, max_length = 200)]
    pub goal_template_id: Option<String>,
    /// Title of the goal. Default: the template id, otherwise `Untitled goal`.
    #[schema(example = "Publish a weekly article", min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// Description of the goal.
    #[serde(default)]
    #[schema(example = "About 800 words on a topic of the season", max_length = 10_000)]
    pub description: String,
    /// How often the goal is due; `frequency` is an alias.
    #[serde(alias = "frequency")]
    pub schedule: Schedule,
    /// Whether the goal yields deliverables when due. Default: true.
    #[serde(default = "enabled_by_default")]
    pub enabled: bool,
    /// Free-form settings of the goal, at most 64 KiB as JSON; raw secrets are rejected, references
    /// to secrets allowed.
    #[serde(default)]
    #[schema(example = json!({"words": 800}))]
    pub settings: Map<String, Value>,
}

fn enabled_by_default() -> bool {
    true
}

/// Changes of a goal. Absent fields stay unchanged; `null` is an error.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GoalChanges {
    /// New title.
    #[schema(
        value_type = String,
        example = "Publish an article every two weeks",
        min_length = 1,
        max_length = 200
    )]
    #[serde(default, deserialize_with = "some_if_present")]
    pub title: Option<String>,
    /// New description.
    #[schema(value_type = String, max_length = 10_000)]
    #[serde(default, deserialize_with = "some_if_present")]
    pub description: Option<String>,
    /// New schedule; `frequency` is an alias.
    #[schema(value_type = Schedule)]
    #[serde(alias = "frequency", default, deserialize_with = "some_if_present")]
    pub schedule: Option<Schedule>,
    /// Whether the goal yields deliverables when due.
    #[schema(value_type = bool, example = true)]
    #[serde(default, deserialize_with = "some_if_present")]
    pub enabled: Option<bool>,
    /// Settings that replace the existing ones; at most 64 KiB as JSON.
    #[schema(value_type = Map<String, Value>, example = json!({"words": 600}))]
    #[serde(default, deserialize_with = "some_if_present")]
    pub settings: Option<Map<String, Value>>,
}

impl NewGoal {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        if let Some(title) = &self.title {
            checks.name("title", title);
        }
        if let Some(template) = &self.goal_template_id {
            checks.name("goal_template_id", template);
        }
        checks.max_chars("description", &self.description, MAX_TEXT_CHARS);
        checks.settings("settings", &self.settings);
        checks.into_result()
    }
}

impl GoalChanges {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        if let Some(title) = &self.title {
            checks.name("title", title);
        }
        checks.optional_text("description", self.description.as_deref());
        if let Some(settings) = &self.settings {
            checks.settings("settings", settings);
        }
        checks.into_result()
    }

    fn apply(self, goal: &mut Goal) {
        if let Some(title) = self.title {
            goal.title = title;
        }
        if let Some(description) = self.description {
            goal.description = description;
        }
        if let Some(schedule) = self.schedule {
            goal.schedule = schedule;
        }
        if let Some(enabled) = self.enabled {
            goal.enabled = enabled;
        }
        if let Some(settings) = self.settings {
            goal.settings = json_text(&settings);
        }
    }
}

/// Creates a goal of a hired agent.
///
/// # Errors
/// [`Error::Validation`], or [`Error::NotFound`] when the hired agent does not exist.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    hire: HireId,
    new: NewGoal,
) -> Result<Goal> {
    new.check()?;
    let now = clock.now();
    let goal = Goal {
        id: GoalId(clock.new_id()),
        hired_agent_id: hire,
        title: new
            .title
            .or_else(|| new.goal_template_id.clone())
            .unwrap_or_else(|| "Untitled goal".to_owned()),
        goal_template_id: new.goal_template_id,
        description: new.description,
        schedule: new.schedule,
        enabled: new.enabled,
        settings: json_text(&new.settings),
        created_at: now,
        updated_at: now,
        version: 1,
    };
    if sql::insert(&mut *connection, &goal, caller.customer_filter()).await? {
        Ok(goal)
    } else {
        Err(hires::not_found(connection, hire).await)
    }
}

/// Changes a goal if its version satisfies `If-Match`.
///
/// # Errors
/// [`Error::Validation`], [`Error::NotFound`], [`Error::PreconditionFailed`].
pub async fn change(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    ids: (HireId, GoalId),
    conditions: &Preconditions,
    changes: GoalChanges,
) -> Result<Goal> {
    changes.check()?;
    let mut goal = lock(connection, caller, ids, conditions).await?;
    changes.apply(&mut goal);
    goal.updated_at = clock.now();
    goal.version += 1;
    sql::update(connection, &goal).await?;
    Ok(goal)
}

/// Deletes a goal if its version satisfies `If-Match`. Its deliverables are kept.
///
/// # Errors
/// [`Error::NotFound`], [`Error::PreconditionFailed`].
pub async fn delete(
    connection: &mut PgConnection,
    caller: &Caller,
    ids: (HireId, GoalId),
    conditions: &Preconditions,
) -> Result<()> {
    let goal = lock(connection, caller, ids, conditions).await?;
    sql::delete(connection, goal.id).await?;
    Ok(())
}

/// Reads and locks a goal and checks its version.
async fn lock(
    connection: &mut PgConnection,
    caller: &Caller,
    ids: (HireId, GoalId),
    conditions: &Preconditions,
) -> Result<Goal> {
    let Some(goal) = sql::lock(&mut *connection, ids, caller.customer_filter()).await? else {
        return Err(not_found(connection, ids, caller).await);
    };
    conditions.check_if_match(goal.version)?;
    Ok(goal)
}

/// Returns the error for a goal that was not found: [`hires::not_found`] if the caller cannot access
/// the hired agent, otherwise [`Error::NotFound`] for the goal.
pub async fn not_found(
    connection: &mut PgConnection,
    ids: (HireId, GoalId),
    caller: &Caller,
) -> Error {
    let found = hires::ensure_exists(connection, ids.0, caller).await;
    found.err().unwrap_or_else(|| Error::no_such("goal of this hired agent"))
}
