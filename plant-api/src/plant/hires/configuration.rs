//! The configuration of a hired agent.

use serde::Deserialize;
use serde_json::{Map, Value};
use sqlx::PgConnection;

use super::{Configuration, HireId, Theme, not_found, sql};
use crate::access::Caller;
use crate::check::Checks;
use crate::clock::Clock;
use crate::error::Result;
use crate::etag::Preconditions;
use crate::plant::json_text::json_text;

/// New configuration of a hired agent; absent fields are reset to their defaults.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewHiredAgentConfiguration)]
pub struct NewConfiguration {
    /// Nickname given by the customer.
    #[schema(example = "Inky", min_length = 1, max_length = 200)]
    pub nickname: Option<String>,
    /// Color theme.
    #[serde(default)]
    pub theme: Theme,
    /// Free-form settings of the agent, at most 64 KiB as JSON; raw secrets are rejected, references
    /// to secrets allowed.
    #[serde(default)]
    #[schema(example = json!({"tone": "warm", "api_key_ref": "vault:inky"}))]
    pub settings: Map<String, Value>,
}

/// Replaces a hired agent's configuration if its version satisfies `If-Match`.
///
/// # Errors
/// [`crate::error::Error::Validation`], also for a raw secret; `NotFound`; `PreconditionFailed`.
pub async fn configure(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    id: HireId,
    conditions: &Preconditions,
    new: NewConfiguration,
) -> Result<Configuration> {
    let mut checks = Checks::default();
    if let Some(nickname) = &new.nickname {
        checks.name("nickname", nickname);
    }
    checks.settings("settings", &new.settings);
    checks.into_result()?;
    let Some(old) = sql::lock_configuration(&mut *connection, id, caller.customer_filter()).await?
    else {
        return Err(not_found(connection, id).await);
    };
    conditions.check_if_match(old.version)?;
    let configuration = Configuration {
        id,
        agent_id: old.agent_id,
        configured: new.nickname.is_some(),
        nickname: new.nickname,
        theme: new.theme,
        settings: json_text(&new.settings),
        updated_at: clock.now(),
        version: old.version + 1,
    };
    sql::update_configuration(connection, &configuration).await?;
    Ok(configuration)
}
