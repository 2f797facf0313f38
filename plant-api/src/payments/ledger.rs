//! Which entries of the double-entry ledger a change of a payment's status writes.
//!
//! Accounts of the ledger: `provider` is what the provider owes to us, `revenue` what was sold, and
//! `refunds` what was paid back. Debits are positive, credits negative.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::amount::Amount;
use super::{Currency, Status};

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

/// Returns what a payment that has changed to `status` moves; `None` if no money has moved.
pub fn posting(
    payment: Uuid,
    (amount, currency): (Amount, Currency),
    status: Status,
    created_at: DateTime<Utc>,
) -> Option<Posting> {
    let (kind, debit, credit) = match status {
        Status::Succeeded => ("capture", "provider", "revenue"),
        Status::Refunded => ("refund", "refunds", "provider"),
        Status::Pending | Status::WaitingForCapture | Status::Canceled | Status::Failed => {
            return None;
        }
    };
    let id = Uuid::new_v5(&payment, kind.as_bytes());
    Some(Posting { id, payment, kind, debit, credit, amount, currency, created_at })
}
