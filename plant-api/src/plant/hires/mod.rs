//! Hired agents: catalogue agents that customers have hired, and their configuration.
//!
//! Routes for a hired agent contain its own id. If a client sends the catalogue agent's id instead,
//! the 404 response says so.

pub(crate) mod configuration;
pub(crate) mod routes;
pub(crate) mod sql;
#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::access::Caller;
use crate::check::Checks;
use crate::clock::Clock;
use crate::customers::{self, CustomerId};
use crate::error::{Error, OnConstraint, Result};
use crate::plant::agents::{self, AgentId, HireDuration, TRIAL_DAYS};
use crate::plant::entity::Status;
use crate::plant::id::id;
use crate::plant::json_text::JsonText;

id!(
    /// A hired agent's id.
    HireId,
    "01956de6-dbe8-752a-a864-4e12138fe754"
);

/// Color theme in which user interfaces show a hired agent.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Theme {
    /// Default theme.
    #[default]
    Default,
    /// Light text on a dark background.
    Dark,
    /// Dark text on a light background.
    Light,
}

/// Status of a hire.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum HireStatus {
    /// The agent works for the customer.
    Active,
    /// The hire has ended.
    Ended,
}

/// Status of the free trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrialStatus {
    /// The trial is running.
    Active,
    /// The trial has ended.
    Expired,
}

/// A hired agent.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct HiredAgent {
    /// Id of the hired agent, not of the catalogue agent.
    pub id: HireId,
    /// Id of the catalogue agent.
    pub agent_id: AgentId,
    /// Name of the catalogue agent.
    #[schema(example = "Asha, Content Writer")]
    pub agent_name: String,
    /// Name of the catalogue agent's industry.
    #[schema(example = "marketing")]
    pub industry: String,
    /// Nickname given by the customer.
    #[schema(example = "Inky")]
    pub nickname: Option<String>,
    /// Color theme.
    pub theme: Theme,
    /// Whether the hired agent is configured, that is, has a nickname.
    pub configured: bool,
    /// Status of the hire.
    pub status: HireStatus,
    /// Status of the free trial.
    pub trial_status: TrialStatus,
    /// End of the free trial.
    pub trial_end_at: DateTime<Utc>,
    /// Time of the hire.
    pub hired_at: DateTime<Utc>,
}

impl HiredAgent {
    fn trial_status_at(now: DateTime<Utc>, end: DateTime<Utc>) -> TrialStatus {
        if now < end { TrialStatus::Active } else { TrialStatus::Expired }
    }
}

/// Configuration of a hired agent.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
// Generated clients have a class `Configuration` of their own.
#[schema(as = HiredAgentConfiguration)]
pub struct Configuration {
    /// Id of the hired agent.
    pub id: HireId,
    /// Id of the catalogue agent.
    pub agent_id: AgentId,
    /// Nickname given by the customer.
    #[schema(example = "Inky")]
    pub nickname: Option<String>,
    /// Color theme.
    pub theme: Theme,
    /// Free-form settings of the agent; raw secrets are rejected, references to secrets allowed.
    #[schema(value_type = Object, example = json!({"tone": "warm", "api_key_ref": "vault:inky"}))]
    pub settings: JsonText,
    /// Whether the hired agent is configured, that is, has a nickname.
    pub configured: bool,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
    /// Version number, incremented by each change; the ETag.
    #[serde(skip)]
    pub version: i64,
}

/// Request to hire an agent.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct NewHire {
    /// Id of the catalogue agent.
    pub agent_id: AgentId,
    /// Duration of the hire.
    pub duration: HireDuration,
    /// Nickname given by the customer.
    #[schema(example = "Inky", min_length = 1, max_length = 200)]
    pub nickname: Option<String>,
}

/// Hires an agent for a customer.
///
/// # Errors
/// [`Error::Validation`], also for an unknown agent; [`Error::NotFound`] for an unknown customer;
/// [`Error::Conflict`] when the agent is not active.
pub async fn hire(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    customer_id: &CustomerId,
    new: NewHire,
) -> Result<HiredAgent> {
    let mut checks = Checks::default();
    if let Some(nickname) = &new.nickname {
        checks.name("nickname", nickname);
    }
    checks.into_result()?;
    customers::sql::find(&mut *connection, customer_id, caller.customer_filter())
        .await?
        .ok_or_else(|| Error::no_such("customer"))?;
    let agent = agents::sql::find(&mut *connection, new.agent_id)
        .await?
        .ok_or_else(|| Error::unknown_reference("agent_id", "agent"))?;
    if agent.status != Status::Active {
        return Err(Error::Conflict("this agent is not active, so it cannot be hired".into()));
    }
    let now = clock.now();
    let hire = HiredAgent {
        id: HireId(clock.new_id()),
        agent_id: agent.id,
        agent_name: agent.name,
        industry: agent.industry,
        configured: new.nickname.is_some(),
        nickname: new.nickname,
        theme: Theme::Default,
        status: HireStatus::Active,
        trial_status: TrialStatus::Active,
        trial_end_at: now + TimeDelta::days(TRIAL_DAYS),
        hired_at: now,
    };
    sql::insert(connection, customer_id, new.duration, &hire)
        .await
        .on_constraint("hired_agent_customer_id_fkey", || Error::no_such("customer"))?;
    Ok(hire)
}

/// Returns the error for a hired agent that was not found: [`Error::NotFound`], with a hint if `id`
/// is a catalogue agent's, or a database error if that lookup fails.
pub async fn not_found(connection: &mut PgConnection, id: HireId) -> Error {
    match agents::sql::exists(connection, id.0).await {
        Ok(true) => Error::NotFound(
            "this is a catalogue agent's id; use the hired agent's id from \
             GET /api/v1/customers/{customer_id}/agents"
                .into(),
        ),
        Ok(false) => Error::no_such("hired agent"),
        Err(error) => error.into(),
    }
}

/// Ensures that the hired agent exists and the caller may access it.
///
/// # Errors
/// As [`not_found`].
pub async fn ensure_exists(
    connection: &mut PgConnection,
    id: HireId,
    caller: &Caller,
) -> Result<()> {
    if sql::exists(&mut *connection, id, caller.customer_filter()).await? {
        Ok(())
    } else {
        Err(not_found(connection, id).await)
    }
}
