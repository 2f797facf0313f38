//! Tenants: the service desks that post tickets, with their sealed secrets.
//!
//! The documented `insert` stores secrets as they are. Such a literal is the secret itself with
//! access mode `open`, and is sealed when it is first used; with `required` it is not accepted.

mod change;
pub(crate) mod routes;
mod secrets;
mod sender;
pub(crate) mod sql;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::access::Caller;
use crate::check::Checks;
use crate::clock::Clock;
use crate::config::{AccessMode, Secret};
use crate::crypto::Sealer;
use crate::db::TenantId;
use crate::error::{Error, OnConstraint, Result};
use secrets::{API_KEY_COLUMN, SIGNING_SECRET_COLUMN};

pub use change::{TenantChanges, change};
pub use sender::Sender;

const DEFAULT_TOOL_TYPE: &str = "servicedesk_plus";

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
    pub servicedesk_api_key: String,
    /// Always masked.
    #[schema(example = "***")]
    pub webhook_signing_secret: String,
    /// Whether both secrets are sealed; with access mode `required` others are not accepted.
    pub secrets_sealed: bool,
    /// Until when the former signing secret is valid; null without one.
    pub previous_signing_secret_expires_at: Option<DateTime<Utc>>,
    /// Kind of service desk.
    #[schema(example = "servicedesk_plus")]
    pub tool_type: String,
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
    /// Version number, incremented by each change; the ETag.
    #[serde(skip)]
    pub version: i64,
}

/// A tenant to be created.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct NewTenant {
    /// Unique id.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", example = "acme")]
    pub tenant_id: TenantId,
    /// Name of the tenant.
    #[schema(example = "Acme", min_length = 1, max_length = 200)]
    pub name: String,
    /// URL of the service desk that the notes are posted to, with no more than a scheme, a host and a
    /// port.
    #[schema(
        example = "https://acme.servicedesk.local",
        max_length = 2000,
        pattern = "^https?://[^/?#@]+/?$"
    )]
    pub servicedesk_url: String,
    /// Key for posting notes.
    #[schema(value_type = String, pattern = "^[!-~]{1,500}$", write_only, example = "key-of-acme")]
    pub servicedesk_api_key: Secret<String>,
    /// Secret that signs the tickets.
    #[schema(
        value_type = String,
        pattern = "^[!-~]{16,500}$",
        write_only,
        example = "signing-secret-of-acme"
    )]
    pub webhook_signing_secret: Secret<String>,
    /// Kind of service desk.
    #[serde(default = "default_tool_type")]
    #[schema(example = "servicedesk_plus", min_length = 1, max_length = 100)]
    pub tool_type: String,
    /// Whether tickets without a signature are accepted, with access mode `open` only. Null: they are.
    pub allow_unsigned: Option<bool>,
    /// Whether tickets are accepted at all.
    #[serde(default = "default_is_active")]
    pub is_active: bool,
    /// Customer whose accounts may read the history.
    #[schema(example = "test-customer-001")]
    pub customer_id: Option<String>,
}

fn default_tool_type() -> String {
    DEFAULT_TOOL_TYPE.into()
}

fn default_is_active() -> bool {
    true
}

impl NewTenant {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        secrets::check_url(&mut checks, &self.servicedesk_url);
        secrets::check_api_key(&mut checks, &self.servicedesk_api_key);
        secrets::check_signing_secret(&mut checks, &self.webhook_signing_secret);
        check_tool_type(&mut checks, &self.tool_type);
        checks.into_result()
    }
}

fn check_tool_type(checks: &mut Checks, tool_type: &str) {
    checks.name("tool_type", tool_type);
    checks.max_chars("tool_type", tool_type, 100);
}

/// Where the notes of a tenant are posted, as it is stored.
pub struct SealedDeskAccess {
    pub url: String,
    /// Sealed, or a literal.
    pub api_key: String,
}

/// Where the notes of a tenant are posted, and the key for it.
#[derive(Debug, Clone)]
pub struct DeskAccess {
    pub url: String,
    pub api_key: Secret<String>,
}

/// Creates a tenant. The transaction must have entered all tenants.
///
/// # Errors
/// [`Error::Validation`], also for an unknown customer; [`Error::Duplicate`]; database errors.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    sealer: &Sealer,
    new: &NewTenant,
) -> Result<Tenant> {
    new.check()?;
    let sealed = sql::SealedSecrets {
        api_key: secrets::seal(sealer, &new.servicedesk_api_key, &new.tenant_id, API_KEY_COLUMN)?,
        signing_secret: secrets::seal(
            sealer,
            &new.webhook_signing_secret,
            &new.tenant_id,
            SIGNING_SECRET_COLUMN,
        )?,
    };
    sql::insert(&mut *connection, new, &sealed, clock.now())
        .await
        .on_constraint("tenant_configs_pkey", || {
            Error::Duplicate("a tenant with this id exists already".into())
        })
        .on_constraint("tenant_configs_customer_id_fkey", unknown_customer)?;
    find(connection, &new.tenant_id).await
}

fn unknown_customer() -> Error {
    Error::unknown_reference("customer_id", "customer")
}

/// Returns a tenant.
///
/// # Errors
/// [`Error::NotFound`]; database errors.
pub async fn find(connection: &mut PgConnection, tenant: &TenantId) -> Result<Tenant> {
    sql::list(connection, Some(tenant), None, 1).await?.pop().ok_or_else(no_such_tenant)
}

fn no_such_tenant() -> Error {
    Error::no_such("tenant")
}

/// Deletes a tenant with its history, and its jobs that are not running.
///
/// # Errors
/// [`Error::NotFound`]; database errors.
pub async fn delete(connection: &mut PgConnection, tenant: &TenantId) -> Result<()> {
    reset(&mut *connection, tenant).await?;
    Ok(sql::delete(connection, tenant).await?)
}

/// What a reset has deleted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TenantReset)]
pub struct Reset {
    /// Id of the tenant.
    pub tenant_id: TenantId,
    /// Number of tickets that were deleted.
    pub history_deleted: u64,
    /// Number of jobs that were deleted.
    pub jobs_deleted: u64,
}

/// Deletes the history of a tenant, and its jobs that are not running. A running job ends without a
/// result, because its ticket is gone.
///
/// # Errors
/// [`Error::NotFound`]; database errors.
pub async fn reset(connection: &mut PgConnection, tenant: &TenantId) -> Result<Reset> {
    // Waits for tickets that are being inserted. Then jobs before history, as workers lock them.
    if !sql::lock(&mut *connection, tenant).await? {
        return Err(no_such_tenant());
    }
    let jobs_deleted = sql::delete_jobs(&mut *connection, tenant).await?;
    let history_deleted = sql::delete_history(connection, tenant).await?;
    Ok(Reset { tenant_id: tenant.clone(), history_deleted, jobs_deleted })
}

/// Ensures that the tenant exists, and that the caller may read its history: an administrator, an
/// account of the tenant's customer, or with access mode `open` everybody.
///
/// # Errors
/// [`Error::NotFound`]; database errors.
pub async fn ensure_readable(
    connection: &mut PgConnection,
    caller: &Caller,
    tenant: &TenantId,
) -> Result<()> {
    let readable = sql::is_readable(connection, tenant, caller.customer_filter()).await?;
    if readable { Ok(()) } else { Err(no_such_tenant()) }
}

/// Opens the key for the service desk of a tenant.
///
/// # Errors
/// [`Error::Conflict`] when the key is not sealed and `access_mode` is `required`;
/// [`Error::Internal`] when it cannot be opened.
pub fn open_desk(
    sealed: SealedDeskAccess,
    sealer: &Sealer,
    access_mode: AccessMode,
    tenant: &TenantId,
) -> Result<DeskAccess> {
    let api_key = secrets::open(&sealed.api_key, sealer, access_mode, tenant, API_KEY_COLUMN)?;
    let api_key = api_key.ok_or_else(|| {
        Error::Conflict("the tenant's API key is not sealed; set it with the admin routes".into())
    })?;
    Ok(DeskAccess { url: sealed.url, api_key })
}
