//! Hired agents: a customer, a catalogue agent, and how the customer has set it up.
//!
//! `{id}` on this side is the hired agent's id. A catalogue agent's id here is a mistake that
//! clients make, so the answer says so.

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

id!(
    /// A hired agent's id.
    HireId
);

/// How a hired agent's pages look.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Theme {
    /// As the house has it.
    #[default]
    Default,
    /// Light on dark.
    Dark,
    /// Dark on light.
    Light,
}

/// Where a hire is in its life.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum HireStatus {
    /// The agent works for the customer.
    Active,
    /// It no longer does.
    Ended,
}

/// Whether the trial still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrialStatus {
    /// It does.
    Active,
    /// It is over.
    Expired,
}

/// A hired agent.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct HiredAgent {
    /// The hired agent's own id.
    pub id: HireId,
    /// The catalogue agent that was hired.
    pub agent_id: AgentId,
    /// That agent's name.
    #[schema(example = "Asha, Content Writer")]
    pub agent_name: String,
    /// That agent's industry.
    #[schema(example = "marketing")]
    pub industry: String,
    /// What the customer calls it.
    #[schema(example = "Inky")]
    pub nickname: Option<String>,
    /// How its pages look.
    pub theme: Theme,
    /// Whether the customer has set it up, which begins with a nickname.
    pub configured: bool,
    /// Where the hire is in its life.
    pub status: HireStatus,
    /// Whether the trial still runs.
    pub trial_status: TrialStatus,
    /// When the trial ends.
    pub trial_end_at: DateTime<Utc>,
    /// When it was hired.
    pub hired_at: DateTime<Utc>,
}

impl HiredAgent {
    fn trial_at(now: DateTime<Utc>, end: DateTime<Utc>) -> TrialStatus {
        if now < end { TrialStatus::Active } else { TrialStatus::Expired }
    }
}

/// An agent to be hired.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct NewHire {
    /// The catalogue agent.
    pub agent_id: AgentId,
    /// For how long.
    pub duration: HireDuration,
    /// What to call it.
    #[schema(example = "Inky", min_length = 1, max_length = 200)]
    pub nickname: Option<String>,
}

/// Hires an agent for a customer.
///
/// # Errors
/// [`Error::Validation`] naming an unknown agent too, [`Error::NotFound`] for the customer,
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
    checks.done()?;
    customers::sql::find(&mut *connection, customer_id, caller.customer())
        .await?
        .ok_or_else(|| Error::no_such("customer"))?;
    let agent = agents::sql::find(&mut *connection, new.agent_id)
        .await?
        .ok_or_else(|| Error::unknown("agent_id", "agent"))?;
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

/// The error for a hired agent that was not found, which tells when the id is a catalogue agent's.
pub async fn missing(connection: &mut PgConnection, id: HireId) -> Error {
    match agents::sql::exists(connection, id.0).await {
        Ok(true) => Error::NotFound(
            "this is a catalogue agent's id; use the hired agent's id, as \
             GET /api/v1/customers/{customer_id}/agents lists it"
                .into(),
        ),
        Ok(false) => Error::no_such("hired agent"),
        Err(error) => error.into(),
    }
}

/// That there is such a hired agent, and it is the caller's.
///
/// # Errors
/// As [`missing`].
pub async fn must_exist(connection: &mut PgConnection, id: HireId, caller: &Caller) -> Result<()> {
    if sql::exists(&mut *connection, id, caller.customer()).await? {
        Ok(())
    } else {
        Err(missing(connection, id).await)
    }
}
