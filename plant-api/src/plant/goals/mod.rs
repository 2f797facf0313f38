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
use crate::check::{Checks, TEXT_MAX};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::etag::Conditions;
use crate::plant::hires::{self, HireId};
use crate::plant::id::id;

id!(
    /// A goal's id.
    GoalId
);

/// How often a goal is due.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Schedule {
    /// Each day.
    Daily,
    /// Each ISO week.
    Weekly,
    /// Each month.
    Monthly,
    /// When asked for.
    OnDemand,
}

/// A goal.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Goal {
    /// Its id.
    pub id: GoalId,
    /// The hired agent whose goal it is.
    pub hired_agent_id: HireId,
    /// The template it was made from.
    pub goal_template_id: Option<String>,
    /// Its title.
    #[schema(example = "Publish a weekly article")]
    pub title: String,
    /// What is to be done.
    pub description: String,
    /// How often.
    pub schedule: Schedule,
    /// Whether it is pursued at all.
    pub enabled: bool,
    /// Whatever else the agent needs to know; no raw secrets.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Counts its changes; the ETag.
    #[serde(skip)]
    pub version: i64,
}

/// A goal to be created. Without a title it is named after its template.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct NewGoal {
    /// The template to make it from.
    #[schema(min_length = 1, max_length = 200)]
    pub goal_template_id: Option<String>,
    /// Its title.
    #[schema(example = "Publish a weekly article", min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// What is to be done.
    #[serde(default)]
    #[schema(example = "About 800 words on a topic of the season", max_length = 10_000)]
    pub description: String,
    /// How often; `frequency` is another name for it.
    #[serde(alias = "frequency")]
    pub schedule: Schedule,
    /// Whether it is pursued at all; yes if absent.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whatever else the agent needs to know; no raw secrets.
    #[serde(default)]
    #[schema(example = json!({"words": 800}))]
    pub settings: Map<String, Value>,
}

fn yes() -> bool {
    true
}

/// Changes of a goal; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GoalChanges {
    /// Another title.
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// Another description.
    #[schema(max_length = 10_000)]
    pub description: Option<String>,
    /// Another schedule; `frequency` is another name for it.
    #[serde(alias = "frequency")]
    pub schedule: Option<Schedule>,
    /// Whether it is pursued at all.
    pub enabled: Option<bool>,
    /// Other settings, in place of all the old ones.
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
        checks.at_most("description", &self.description, TEXT_MAX);
        checks.no_secrets("settings", &self.settings);
        checks.done()
    }
}

impl GoalChanges {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        if let Some(title) = &self.title {
            checks.name("title", title);
        }
        checks.text("description", self.description.as_deref());
        if let Some(settings) = &self.settings {
            checks.no_secrets("settings", settings);
        }
        checks.done()
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
            goal.settings = Value::Object(settings);
        }
    }
}

/// Gives a hired agent a goal.
///
/// # Errors
/// [`Error::Validation`], or [`Error::NotFound`] when there is no such hired agent.
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
        settings: Value::Object(new.settings),
        created_at: now,
        updated_at: now,
        version: 1,
    };
    if sql::insert(&mut *connection, &goal, caller.customer()).await? {
        Ok(goal)
    } else {
        Err(hires::missing(connection, hire).await)
    }
}

/// Changes a goal, if it is still at the version that the client's conditions name.
///
/// # Errors
/// [`Error::Validation`], [`Error::NotFound`], [`Error::PreconditionFailed`].
pub async fn change(
    db: &Db,
    clock: &Clock,
    caller: &Caller,
    place: (HireId, GoalId),
    conditions: &Conditions,
    changes: GoalChanges,
) -> Result<Goal> {
    changes.check()?;
    let mut tx = db.begin().await?;
    let Some(mut goal) = sql::lock(&mut *tx, place, caller.customer()).await? else {
        return Err(missing(&mut tx, place, caller).await);
    };
    conditions.allow_change_of(goal.version)?;
    changes.apply(&mut goal);
    goal.updated_at = clock.now();
    goal.version += 1;
    sql::update(&mut *tx, &goal).await?;
    tx.commit().await?;
    Ok(goal)
}

/// The error for a goal that was not found: the hired agent may be missing already.
pub async fn missing(
    connection: &mut PgConnection,
    place: (HireId, GoalId),
    caller: &Caller,
) -> Error {
    let hire = hires::must_exist(connection, place.0, caller).await;
    hire.err().unwrap_or_else(|| Error::no_such("goal of this hired agent"))
}
