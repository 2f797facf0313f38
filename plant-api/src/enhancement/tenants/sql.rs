//! Statements on `tenant_configs`, in a transaction that has entered the tenant or all of them.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use super::{NewTenant, Tenant};
use crate::db::TenantId;
use crate::enhancement::KIND;

/// The secrets of a new tenant, sealed.
pub struct SealedSecrets {
    pub api_key: String,
    pub signing_secret: String,
}

pub async fn insert(
    db: impl PgExecutor<'_>,
    new: &NewTenant,
    sealed: &SealedSecrets,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into tenant_configs (
            tenant_id, name, servicedesk_url, servicedesk_api_key_encrypted,
            webhook_signing_secret_encrypted, tool_type, allow_unsigned, is_active, customer_id,
            created_at, updated_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
        &*new.tenant_id,
        new.name,
        new.servicedesk_url,
        sealed.api_key,
        sealed.signing_secret,
        new.tool_type,
        new.allow_unsigned,
        new.is_active,
        new.customer_id,
        now,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Returns tenants by their ids: `only` one of them, those `after` an id, at most `limit`.
pub async fn list(
    db: impl PgExecutor<'_>,
    only: Option<&TenantId>,
    after: Option<&TenantId>,
    limit: i64,
) -> sqlx::Result<Vec<Tenant>> {
    sqlx::query_as!(
        Tenant,
        r#"select
            tenant_id as "tenant_id: TenantId", name, servicedesk_url,
            '***' as "servicedesk_api_key!", '***' as "webhook_signing_secret!",
            servicedesk_api_key_encrypted like 'sealed:%'
                and webhook_signing_secret_encrypted like 'sealed:%' as "secrets_sealed!",
            previous_signing_secret_expires_at, tool_type, allow_unsigned, is_active, customer_id,
            created_at, updated_at, version
        from tenant_configs
        where ($1::text is null or tenant_id = $1) and ($2::text is null or tenant_id > $2)
        order by tenant_id
        limit $3"#,
        only.map(|id| &**id),
        after.map(|id| &**id),
        limit,
    )
    .fetch_all(db)
    .await
}

/// Secrets of a tenant as they are stored: sealed, or literals.
#[derive(Debug)]
pub struct StoredSecrets {
    pub api_key: String,
    pub signing_secret: String,
    /// The former signing secret while it is valid.
    pub previous_signing_secret: Option<String>,
    pub allow_unsigned: Option<bool>,
    pub is_active: bool,
}

pub async fn find_sender(
    db: impl PgExecutor<'_>,
    tenant: &TenantId,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<StoredSecrets>> {
    sqlx::query_as!(
        StoredSecrets,
        r#"select
            servicedesk_api_key_encrypted as api_key,
            webhook_signing_secret_encrypted as signing_secret,
            case
                when previous_signing_secret_expires_at > $2 then previous_signing_secret_encrypted
            end as previous_signing_secret,
            allow_unsigned, is_active
        from tenant_configs
        where tenant_id = $1"#,
        &**tenant,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Replaces stored secrets by sealed ones, unless they have changed.
pub async fn seal(
    db: impl PgExecutor<'_>,
    tenant: &TenantId,
    stored: &StoredSecrets,
    sealed: &SealedSecrets,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update tenant_configs
        set servicedesk_api_key_encrypted = $4, webhook_signing_secret_encrypted = $5
        where tenant_id = $1
            and servicedesk_api_key_encrypted = $2
            and webhook_signing_secret_encrypted = $3",
        &**tenant,
        stored.api_key,
        stored.signing_secret,
        sealed.api_key,
        sealed.signing_secret,
    )
    .execute(db)
    .await
    .map(drop)
}

/// The stored secrets of a locked tenant.
pub struct LockedSecrets {
    pub api_key: String,
    pub signing_secret: String,
    pub previous_signing_secret: Option<String>,
    pub previous_expires_at: Option<DateTime<Utc>>,
}

/// Locks a tenant against other changes, and returns its secrets. Tickets are accepted meanwhile.
pub async fn lock_secrets(
    db: impl PgExecutor<'_>,
    tenant: &TenantId,
) -> sqlx::Result<Option<LockedSecrets>> {
    sqlx::query_as!(
        LockedSecrets,
        "select
            servicedesk_api_key_encrypted as api_key,
            webhook_signing_secret_encrypted as signing_secret,
            previous_signing_secret_encrypted as previous_signing_secret,
            previous_signing_secret_expires_at as previous_expires_at
        from tenant_configs
        where tenant_id = $1
        for no key update",
        &**tenant,
    )
    .fetch_optional(db)
    .await
}

/// The secrets of a tenant after a change, as they are stored.
pub struct ChangedSecrets {
    pub api_key: String,
    pub signing_secret: String,
    /// The former signing secret, and until when it is valid.
    pub previous: Option<(String, DateTime<Utc>)>,
}

pub async fn update(
    db: impl PgExecutor<'_>,
    tenant: &Tenant,
    secrets: &ChangedSecrets,
) -> sqlx::Result<()> {
    let (previous, expires_at) = secrets.previous.clone().unzip();
    sqlx::query!(
        "update tenant_configs
        set name = $2, servicedesk_url = $3, servicedesk_api_key_encrypted = $4,
            webhook_signing_secret_encrypted = $5, previous_signing_secret_encrypted = $6,
            previous_signing_secret_expires_at = $7, tool_type = $8, allow_unsigned = $9,
            is_active = $10, customer_id = $11, updated_at = $12, version = version + 1
        where tenant_id = $1",
        &*tenant.tenant_id,
        tenant.name,
        tenant.servicedesk_url,
        secrets.api_key,
        secrets.signing_secret,
        previous,
        expires_at,
        tenant.tool_type,
        tenant.allow_unsigned,
        tenant.is_active,
        tenant.customer_id,
        tenant.updated_at,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Locks a tenant against new tickets, after waiting for those that are being inserted. Returns whether
/// it exists.
pub async fn lock(db: impl PgExecutor<'_>, tenant: &TenantId) -> sqlx::Result<bool> {
    let row = sqlx::query_scalar!(
        "select tenant_id from tenant_configs where tenant_id = $1 for update",
        &**tenant,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.is_some())
}

/// Deletes the jobs of a tenant that are not running. Returns how many.
pub async fn delete_jobs(db: impl PgExecutor<'_>, tenant: &TenantId) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "delete from job where kind = $1 and owner = $2 and state in ('ready', 'waiting', 'dead')",
        KIND.name,
        &**tenant,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected())
}

/// Deletes the history of a tenant, locking the tickets in the order in which workers do. Returns their
/// number.
pub async fn delete_history(db: impl PgExecutor<'_>, tenant: &TenantId) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "with locked as (
            select id
            from enhancement_history
            where tenant_id = $1
            order by id
            for update
        )
        delete from enhancement_history
        where id in (select id from locked)",
        &**tenant,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected())
}

pub async fn delete(db: impl PgExecutor<'_>, tenant: &TenantId) -> sqlx::Result<()> {
    sqlx::query!("delete from tenant_configs where tenant_id = $1", &**tenant)
        .execute(db)
        .await
        .map(drop)
}

/// Returns whether a tenant exists and belongs to `customer`; to anyone if `None`.
pub async fn is_readable(
    db: impl PgExecutor<'_>,
    tenant: &TenantId,
    customer: Option<&str>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (
            select from tenant_configs
            where tenant_id = $1 and ($2::text is null or customer_id = $2)
        ) as "exists!""#,
        &**tenant,
        customer,
    )
    .fetch_one(db)
    .await
}
