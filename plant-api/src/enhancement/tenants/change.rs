//! Changes of a tenant, and the rotation of its signing secret.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::secrets::{self, API_KEY_COLUMN, PREVIOUS_SECRET_COLUMN, SIGNING_SECRET_COLUMN};
use super::{Tenant, check_tool_type, find, no_such_tenant, sql, unknown_customer};
use crate::check::Checks;
use crate::clock::Clock;
use crate::config::{AccessMode, Secret};
use crate::crypto::Sealer;
use crate::db::TenantId;
use crate::error::{OnConstraint, Result};
use crate::etag::Preconditions;
use crate::extract::some_if_present;

/// How long the former signing secret stays valid, unless the change says otherwise: 24 hours.
const DEFAULT_GRACE_SECONDS: i64 = 86_400;
const MAX_GRACE_SECONDS: i64 = 30 * 86_400;

/// Changes of a tenant. Absent fields stay unchanged; `null` clears `allow_unsigned` and `customer_id`,
/// and is an error for other fields.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantChanges {
    /// New name.
    #[serde(default, deserialize_with = "some_if_present")]
    #[schema(value_type = String, example = "Load Test Desk", min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// New URL of the service desk.
    #[serde(default, deserialize_with = "some_if_present")]
    #[schema(value_type = String, max_length = 2000, pattern = "^https?://[^/?#@]+/?$")]
    pub servicedesk_url: Option<String>,
    /// New key for posting notes.
    #[serde(default, deserialize_with = "some_if_present")]
    #[schema(value_type = String, pattern = "^[!-~]{1,500}$", write_only)]
    pub servicedesk_api_key: Option<Secret<String>>,
    /// New secret that signs the tickets. The former one stays valid for `grace_seconds`.
    #[serde(default, deserialize_with = "some_if_present")]
    #[schema(value_type = String, pattern = "^[!-~]{16,500}$", write_only)]
    pub webhook_signing_secret: Option<Secret<String>>,
    /// How long the former signing secret stays valid, in seconds; default 86,400. Zero: not at all.
    #[serde(default, deserialize_with = "some_if_present")]
    #[schema(value_type = i64, minimum = 0, maximum = 2_592_000)]
    pub grace_seconds: Option<i64>,
    /// New kind of service desk.
    #[serde(default, deserialize_with = "some_if_present")]
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    pub tool_type: Option<String>,
    /// Whether tickets without a signature are accepted, with access mode `open` only.
    #[serde(default, deserialize_with = "some_if_present")]
    #[schema(value_type = Option<bool>)]
    pub allow_unsigned: Option<Option<bool>>,
    /// Whether tickets are accepted at all.
    #[serde(default, deserialize_with = "some_if_present")]
    #[schema(value_type = bool)]
    pub is_active: Option<bool>,
    /// Customer whose accounts may read the history.
    #[serde(default, deserialize_with = "some_if_present")]
    #[schema(value_type = Option<String>)]
    pub customer_id: Option<Option<String>>,
}

impl TenantChanges {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        if let Some(name) = &self.name {
            checks.name("name", name);
        }
        if let Some(url) = &self.servicedesk_url {
            secrets::check_url(&mut checks, url);
        }
        if let Some(key) = &self.servicedesk_api_key {
            secrets::check_api_key(&mut checks, key);
        }
        if let Some(secret) = &self.webhook_signing_secret {
            secrets::check_signing_secret(&mut checks, secret);
        }
        if let Some(tool_type) = &self.tool_type {
            check_tool_type(&mut checks, tool_type);
        }
        let grace = self.grace_seconds;
        let in_range = grace.is_none_or(|seconds| (0..=MAX_GRACE_SECONDS).contains(&seconds));
        checks.require(in_range, "grace_seconds", "range", "must be 0 to 2592000");
        let rotates = grace.is_none() || self.webhook_signing_secret.is_some();
        let message = "is for a new webhook_signing_secret only";
        checks.require(rotates, "grace_seconds", "unused", message);
        checks.into_result()
    }
}

/// Changes a tenant. The transaction must have entered all tenants.
///
/// # Errors
/// [`Error::Validation`](crate::error::Error::Validation); [`Error::NotFound`](crate::error::Error::NotFound);
/// [`Error::PreconditionFailed`](crate::error::Error::PreconditionFailed); database errors.
pub async fn change(
    connection: &mut PgConnection,
    clock: &Clock,
    sealer: &Sealer,
    access_mode: AccessMode,
    tenant: &TenantId,
    conditions: &Preconditions,
    changes: TenantChanges,
) -> Result<Tenant> {
    changes.check()?;
    let now = clock.now();
    let stored = sql::lock_secrets(&mut *connection, tenant).await?.ok_or_else(no_such_tenant)?;
    let before = find(&mut *connection, tenant).await?;
    conditions.check_if_match(before.version)?;
    let secrets = changed_secrets(stored, &changes, sealer, access_mode, tenant, now)?;
    let changed = Tenant {
        name: changes.name.unwrap_or(before.name),
        servicedesk_url: changes.servicedesk_url.unwrap_or(before.servicedesk_url),
        tool_type: changes.tool_type.unwrap_or(before.tool_type),
        allow_unsigned: changes.allow_unsigned.unwrap_or(before.allow_unsigned),
        is_active: changes.is_active.unwrap_or(before.is_active),
        customer_id: changes.customer_id.unwrap_or(before.customer_id),
        updated_at: now,
        ..before
    };
    sql::update(&mut *connection, &changed, &secrets)
        .await
        .on_constraint("tenant_configs_customer_id_fkey", unknown_customer)?;
    find(connection, tenant).await
}

fn changed_secrets(
    stored: sql::LockedSecrets,
    changes: &TenantChanges,
    sealer: &Sealer,
    access_mode: AccessMode,
    tenant: &TenantId,
    now: DateTime<Utc>,
) -> Result<sql::ChangedSecrets> {
    let seal = |secret: &Secret<String>, column| secrets::seal(sealer, secret, tenant, column);
    let api_key = match &changes.servicedesk_api_key {
        Some(key) => seal(key, API_KEY_COLUMN)?,
        None => stored.api_key,
    };
    let Some(secret) = &changes.webhook_signing_secret else {
        let previous = stored.previous_signing_secret.zip(stored.previous_expires_at);
        return Ok(sql::ChangedSecrets {
            api_key,
            signing_secret: stored.signing_secret,
            previous,
        });
    };
    let grace = changes.grace_seconds.unwrap_or(DEFAULT_GRACE_SECONDS);
    // A former secret that cannot be opened any more, or was not accepted, does not become valid.
    let former =
        secrets::open(&stored.signing_secret, sealer, access_mode, tenant, SIGNING_SECRET_COLUMN);
    let previous = match former.ok().flatten() {
        // The same change again, such as after a timeout.
        Some(former) if grace > 0 && former.0 == secret.0 => {
            stored.previous_signing_secret.zip(stored.previous_expires_at)
        }
        Some(former) if grace > 0 => {
            let expires_at = now + TimeDelta::seconds(grace);
            Some((seal(&former, PREVIOUS_SECRET_COLUMN)?, expires_at))
        }
        _ => None,
    };
    Ok(sql::ChangedSecrets {
        api_key,
        signing_secret: seal(secret, SIGNING_SECRET_COLUMN)?,
        previous,
    })
}
