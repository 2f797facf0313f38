//! Which entries of the double-entry ledger a change of a payment's status writes.
//!
//! Accounts of the ledger: `provider` is what the provider owes to us, `revenue` what was sold, and
//! `refunds` what was paid back. Debits are positive, credits negative.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::amount::Amount;
use super::{Currency, Status, sql};

/// A movement of money, with an id of its own.
pub struct Posting {
    pub id: Uuid,
    pub payment: Uuid,
    /// `capture` or `refund`.
    pub kind: &'static str,
    /// Account that receives the amount.
    pub debit: &'static str,
    /// Account that the amount is taken from.
    pub credit: &'static str,
    pub amount: Amount,
    pub currency: Currency,
    pub created_at: DateTime<Utc>,
}

/// Writes the entries of a payment that has changed to `status`; none if no money has moved.
///
/// # Errors
/// Database errors.
pub async fn post(
    connection: &mut PgConnection,
    payment: Uuid,
    (amount, currency): (Amount, Currency),
    status: Status,
    created_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    let (kind, debit, credit) = match status {
        Status::Succeeded => ("capture", "provider", "revenue"),
        Status::Refunded => ("refund", "refunds", "provider"),
        Status::Pending | Status::WaitingForCapture | Status::Canceled | Status::Failed => {
            return Ok(());
        }
    };
    let id = Uuid::new_v5(&payment, kind.as_bytes());
    let posting = Posting { id, payment, kind, debit, credit, amount, currency, created_at };
    sql::insert_posting(connection, &posting).await
}
