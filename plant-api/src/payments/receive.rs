//! Receives events of the payment provider: each is logged, and applied at most once.
//!
//! Events may arrive twice, late and in any order. An event is applied when the payment has the
//! status that it follows. One that arrives earlier is kept, and applied in the transaction that
//! brings the payment to that status. One that the payment can never follow, such as `canceled` after
//! `succeeded`, is ignored. The id of the event and the row of the payment are locked meanwhile, so
//! events of one payment, and those with one id, are processed one after the other.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::amount::Amount;
use super::event::{Event, KeptEvent, Kind, LoggedEvent, Outcome};
use super::{Currency, Status, ledger, sql};
use crate::clock::Clock;
use crate::error::Result;

/// What became of an event, and the status that its payment then has; `None` if the payment is
/// unknown.
pub struct Received {
    pub outcome: Outcome,
    pub status: Option<Status>,
}

/// Logs an event and applies it, together with kept events that it makes applicable. `connection`
/// must have an open transaction.
///
/// # Errors
/// Database errors.
pub async fn receive(
    connection: &mut PgConnection,
    clock: &Clock,
    provider: &str,
    event: &Event,
) -> Result<Received> {
    let now = clock.now();
    sql::lock_event(&mut *connection, provider, event.id).await?;
    let payment = sql::lock(&mut *connection, event.payment_id).await?;
    let Some(payment) = payment.filter(|payment| payment.provider == provider) else {
        let outcome = Outcome::UnknownPayment;
        sql::log_event(connection, provider, event, outcome, now).await?;
        return Ok(Received { outcome, status: None });
    };
    let logged = sql::find_logged(&mut *connection, provider, event.id).await?;
    let this = LoggedEvent { kind: event.kind, payment_id: event.payment_id };
    let outcome = match logged {
        _ if (event.amount, event.currency) != (payment.amount, payment.currency) => {
            Outcome::Mismatched
        }
        Some(logged) if logged == this => Outcome::Repeated,
        Some(_) => Outcome::Mismatched,
        None => event.kind.outcome(payment.status),
    };
    sql::log_event(&mut *connection, provider, event, outcome, now).await?;
    let mut status = payment.status;
    if outcome == Outcome::Applied {
        let money = (payment.amount, payment.currency);
        status = apply(&mut *connection, event.payment_id, money, event.kind, now).await?;
        status = apply_kept(connection, event.payment_id, money, status, now).await?;
    }
    Ok(Received { outcome, status: Some(status) })
}

/// Applies kept events, the first to arrive first, until none follows the status of the payment, and
/// ignores those that none can follow any more. Returns the status that the payment then has.
async fn apply_kept(
    connection: &mut PgConnection,
    payment: Uuid,
    money: (Amount, Currency),
    mut status: Status,
    now: DateTime<Utc>,
) -> Result<Status> {
    let mut kept = sql::list_kept(&mut *connection, payment).await?;
    let follows = |status, kept: &[KeptEvent]| {
        kept.iter().position(|event| event.kind.outcome(status) == Outcome::Applied)
    };
    while let Some(index) = follows(status, &kept) {
        let event = kept.remove(index);
        sql::update_kept(&mut *connection, event.id, Outcome::Applied, Some(now)).await?;
        status = apply(&mut *connection, payment, money, event.kind, now).await?;
    }
    for event in kept.iter().filter(|event| event.kind.outcome(status) == Outcome::Ignored) {
        sql::update_kept(&mut *connection, event.id, Outcome::Ignored, None).await?;
    }
    Ok(status)
}

/// Changes the status of the payment and writes the ledger entries. Returns the new status.
async fn apply(
    connection: &mut PgConnection,
    payment: Uuid,
    money: (Amount, Currency),
    kind: Kind,
    now: DateTime<Utc>,
) -> Result<Status> {
    let status = kind.status();
    sql::update_status(&mut *connection, payment, status, now).await?;
    if let Some(posting) = ledger::posting(payment, money, status, now) {
        sql::insert_posting(connection, &posting).await?;
    }
    Ok(status)
}
