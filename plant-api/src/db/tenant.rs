//! Tenants in row-level security: a transaction sees the rows of the tenant that it has entered, and
//! without one no row of any tenant.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

/// Maximum length of a tenant's id, in bytes.
const MAX_TENANT_ID_BYTES: usize = 63;

/// Id of a tenant: lower-case letters, digits, `-` and `_`, the first a letter or a digit; at most 63
/// characters. It can be part of a statement without quoting.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(try_from = "String")]
#[sqlx(transparent)]
#[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", example = "load-test-tenant")]
pub struct TenantId(String);

impl TenantId {
    /// Returns the id, or `None` if it is malformed: then there is no such tenant.
    pub fn parse(text: &str) -> Option<Self> {
        let is_start = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let starts = text.bytes().next().is_some_and(is_start);
        let continues = text.bytes().all(|b| is_start(b) || b == b'-' || b == b'_');
        (starts && continues && text.len() <= MAX_TENANT_ID_BYTES).then(|| Self(text.to_owned()))
    }
}

impl TryFrom<String> for TenantId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("must match ^[a-z0-9][a-z0-9_-]{0,62}$")
    }
}

impl Deref for TenantId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tenants whose rows a transaction sees.
#[derive(Debug, Clone, Copy)]
pub enum TenantScope<'a> {
    One(&'a TenantId),
    /// For administration.
    All,
}

impl TenantScope<'_> {
    /// Returns the value of the setting `plant.tenant_id`, which needs no quoting. `*` is no tenant's id.
    pub(super) fn setting(&self) -> &str {
        match self {
            Self::One(id) => id,
            Self::All => "*",
        }
    }
}

/// Sets the tenants whose rows the open transaction sees, until it ends or enters others.
/// [`Db::begin_in`](super::Db::begin_in) does it without a further round trip.
///
/// # Errors
/// Database errors.
pub async fn enter(db: impl PgExecutor<'_>, scope: TenantScope<'_>) -> sqlx::Result<()> {
    sqlx::query("select set_config('plant.tenant_id', $1, true)")
        .bind(scope.setting())
        .execute(db)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::TenantId;

    #[test]
    fn ids_need_no_quoting() {
        for valid in ["a", "0", "load-test-tenant", "a_b", &"x".repeat(63)] {
            assert!(TenantId::parse(valid).is_some(), "{valid}");
        }
        for invalid in ["", "*", "A", "-a", "_a", "a'b", "a b", "a\0", "ä", &"x".repeat(64)] {
            assert!(TenantId::parse(invalid).is_none(), "{invalid}");
        }
    }
}
