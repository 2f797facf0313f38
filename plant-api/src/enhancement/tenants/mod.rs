//! Tenants: the service desks that post tickets, with their sealed secrets.
//!
//! The documented `insert` stores secrets as they are. Such a literal is the secret itself with
//! access mode `open`, and is sealed when it is first used; with `required` it is not accepted.

pub(crate) mod sql;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use crate::config::{AccessMode, Secret};
use crate::crypto::{self, Place, Sealer};
use crate::db::TenantId;
use crate::error::{Error, Result};

/// Columns of secrets, which are part of what seals them.
pub const API_KEY_COLUMN: &str = "servicedesk_api_key_encrypted";
pub const SIGNING_SECRET_COLUMN: &str = "webhook_signing_secret_encrypted";

/// A tenant, without its secrets.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Tenant {
    /// Id of the tenant.
    pub tenant_id: TenantId,
    /// Name of the tenant.
    #[schema(example = "Load Test Tenant")]
    pub name: String,
    /// URL of the service desk that the notes are posted to.
    #[schema(example = "https://loadtest.servicedesk.local")]
    pub servicedesk_url: String,
    /// Always masked.
    #[schema(example = "***")]
    pub servicedesk_api_key: &'static str,
    /// Always masked.
    #[schema(example = "***")]
    pub webhook_signing_secret: &'static str,
    /// Kind of service desk.
    #[schema(example = "servicedesk_plus")]
    pub tool_type: String,
    /// Until when the former signing secret is valid; null without one.
    pub previous_signing_secret_expires_at: Option<DateTime<Utc>>,
    /// Whether tickets without a signature are accepted, with access mode `open` only. Null: they are.
    pub allow_unsigned: Option<bool>,
    /// Whether tickets are accepted at all.
    pub is_active: bool,
    /// Customer whose accounts may read the history.
    pub customer_id: Option<String>,
    /// When the tenant was created.
    pub created_at: DateTime<Utc>,
    /// When the tenant was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Where the notes of a tenant are posted, and the key for it.
#[derive(Debug, Clone)]
pub struct DeskAccess {
    pub url: String,
    pub api_key: Secret<String>,
}

/// Returns where the notes of a tenant are posted, with the opened key; `None` if the tenant was
/// deleted. The transaction must have entered the tenant.
///
/// # Errors
/// [`Error::Conflict`] when the key is not sealed and `access_mode` is `required`;
/// [`Error::Internal`] when it cannot be opened; database errors.
pub async fn desk_access(
    connection: &mut PgConnection,
    sealer: &Sealer,
    access_mode: AccessMode,
    tenant: &TenantId,
) -> Result<Option<DeskAccess>> {
    let Some(desk) = sql::find_desk(connection, tenant).await? else { return Ok(None) };
    let api_key = open(&desk.api_key, sealer, access_mode, tenant, API_KEY_COLUMN)?;
    let api_key = api_key.ok_or_else(|| {
        Error::Conflict("the tenant's API key is not sealed; set it with the admin routes".into())
    })?;
    Ok(Some(DeskAccess { url: desk.url, api_key }))
}

/// Returns a stored secret of a tenant: opened, or with access mode `open` the literal that it is;
/// `None` if literals are not accepted.
///
/// # Errors
/// [`Error::Internal`] when it cannot be opened.
fn open(
    stored: &str,
    sealer: &Sealer,
    access_mode: AccessMode,
    tenant: &TenantId,
    column: &str,
) -> Result<Option<Secret<String>>> {
    match access_mode {
        _ if crypto::is_sealed(stored) => {
            sealer.open(stored, Place { row: tenant, column }).map(Some)
        }
        AccessMode::Open => Ok(Some(Secret(stored.to_owned()))),
        AccessMode::Required => Ok(None),
    }
}
