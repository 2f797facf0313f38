//! Statements on `tenant_configs`, in a transaction that has entered the tenant or all of them.

use sqlx::PgExecutor;

use crate::db::TenantId;

/// Where the notes of a tenant are posted.
pub struct Desk {
    pub url: String,
    /// Sealed, or a literal.
    pub api_key: String,
}

pub async fn find_desk(db: impl PgExecutor<'_>, tenant: &TenantId) -> sqlx::Result<Option<Desk>> {
    sqlx::query_as!(
        Desk,
        "select servicedesk_url as url, servicedesk_api_key_encrypted as api_key
        from tenant_configs
        where tenant_id = $1",
        &**tenant,
    )
    .fetch_optional(db)
    .await
}
