//! A tenant as the sender of tickets.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::secrets::{self, API_KEY_COLUMN, PREVIOUS_SECRET_COLUMN, SIGNING_SECRET_COLUMN};
use super::sql;
use crate::config::{AccessMode, Secret};
use crate::crypto::Sealer;
use crate::db::TenantId;
use crate::error::Result;

/// A tenant as the sender of tickets. It is read in the transaction that inserts the ticket, so that no
/// ticket is accepted by settings or secrets of before a change.
#[derive(Debug)]
pub struct Sender {
    tenant: TenantId,
    access_mode: AccessMode,
    stored: sql::StoredSecrets,
    /// Secrets that are valid now, opened.
    pub signing_secrets: Vec<Secret<String>>,
    pub may_send_unsigned: bool,
    pub is_active: bool,
}

impl Sender {
    /// Returns a tenant; `None` if it does not exist. The transaction must have entered the tenant.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) when the signing secret cannot be opened; database errors.
    pub async fn find(
        connection: &mut PgConnection,
        sealer: &Sealer,
        access_mode: AccessMode,
        tenant: &TenantId,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>> {
        let Some(stored) = sql::find_sender(connection, tenant, now).await? else {
            return Ok(None);
        };
        let open =
            |stored: &str, column| secrets::open(stored, sealer, access_mode, tenant, column);
        let current = open(&stored.signing_secret, SIGNING_SECRET_COLUMN)?;
        // One that cannot be opened any more must not refuse signatures under the current one.
        let previous = stored.previous_signing_secret.as_deref();
        let previous = previous.and_then(|stored| open(stored, PREVIOUS_SECRET_COLUMN).ok()?);
        Ok(Some(Self {
            tenant: tenant.clone(),
            access_mode,
            signing_secrets: current.into_iter().chain(previous).collect(),
            may_send_unsigned: access_mode == AccessMode::Open
                && stored.allow_unsigned.unwrap_or(true),
            is_active: stored.is_active,
            stored,
        }))
    }

    /// Seals secrets that are literals, if those are accepted, or were sealed with an old key; unless they
    /// have changed meanwhile.
    ///
    /// # Errors
    /// Database errors.
    pub async fn seal_literals(
        &self,
        connection: &mut PgConnection,
        sealer: &Sealer,
    ) -> sqlx::Result<()> {
        let stored = &self.stored;
        let sealed = sql::SealedSecrets {
            api_key: self.sealed(&stored.api_key, API_KEY_COLUMN, sealer),
            signing_secret: self.sealed(&stored.signing_secret, SIGNING_SECRET_COLUMN, sealer),
        };
        if sealed.api_key == stored.api_key && sealed.signing_secret == stored.signing_secret {
            return Ok(());
        }
        sql::seal(connection, &self.tenant, stored, &sealed).await
    }

    /// Returns a stored secret sealed with the current key; unchanged if it is already, is not accepted,
    /// or cannot be opened.
    fn sealed(&self, stored: &str, column: &str, sealer: &Sealer) -> String {
        let seal = || {
            let secret = secrets::open(stored, sealer, self.access_mode, &self.tenant, column);
            secrets::seal(sealer, &secret.ok()??, &self.tenant, column).ok()
        };
        let sealed = if sealer.is_current(stored) { None } else { seal() };
        sealed.unwrap_or_else(|| stored.to_owned())
    }
}
