//! How a customer has set up a hired agent.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{HireId, Theme, missing, sql};
use crate::access::Caller;
use crate::check::Checks;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;
use crate::etag::Conditions;
use crate::plant::agents::AgentId;

/// A hired agent's configuration.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Configuration {
    /// The hired agent's id.
    pub id: HireId,
    /// The catalogue agent that was hired.
    pub agent_id: AgentId,
    /// What the customer calls it.
    #[schema(example = "Inky")]
    pub nickname: Option<String>,
    /// How its pages look.
    pub theme: Theme,
    /// Whatever the agent needs to know; no raw secrets.
    #[schema(value_type = Object, example = json!({"tone": "warm", "api_key_ref": "vault:inky"}))]
    pub settings: Value,
    /// Whether the customer has set it up, which begins with a nickname.
    pub configured: bool,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Counts its changes; the ETag.
    #[serde(skip)]
    pub version: i64,
}

/// A configuration as a customer wants it; what is absent goes back to its default.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConfiguration {
    /// What to call it.
    #[schema(example = "Inky", min_length = 1, max_length = 200)]
    pub nickname: Option<String>,
    /// How its pages look.
    #[serde(default)]
    pub theme: Theme,
    /// Whatever the agent needs to know; no raw secrets.
    #[serde(default)]
    #[schema(example = json!({"tone": "warm", "api_key_ref": "vault:inky"}))]
    pub settings: Map<String, Value>,
}

/// Replaces a hired agent's configuration.
///
/// # Errors
/// [`crate::error::Error::Validation`] for a raw secret too, `NotFound`, `PreconditionFailed`.
pub async fn configure(
    db: &Db,
    clock: &Clock,
    caller: &Caller,
    id: HireId,
    conditions: &Conditions,
    new: NewConfiguration,
) -> Result<Configuration> {
    let mut checks = Checks::default();
    if let Some(nickname) = &new.nickname {
        checks.name("nickname", nickname);
    }
    checks.no_secrets("settings", &new.settings);
    checks.done()?;
    let mut tx = db.begin().await?;
    let Some(old) = sql::lock_configuration(&mut *tx, id, caller.customer()).await? else {
        return Err(missing(&mut tx, id).await);
    };
    conditions.allow_change_of(old.version)?;
    let configuration = Configuration {
        id,
        agent_id: old.agent_id,
        configured: new.nickname.is_some(),
        nickname: new.nickname,
        theme: new.theme,
        settings: Value::Object(new.settings),
        updated_at: clock.now(),
        version: old.version + 1,
    };
    sql::configure(&mut *tx, &configuration).await?;
    tx.commit().await?;
    Ok(configuration)
}
