//! Events of the payment provider: each is logged, and applied at most once.
//!
//! Events may arrive twice, late and in any order. An event is applied when the payment has the
//! status that it follows. One that arrives earlier is kept, and applied in the transaction that
//! brings the payment to that status. One that the payment can never follow, such as `canceled` after
//! `succeeded`, is ignored. The row of the payment is locked meanwhile, so events of one payment are
//! processed one after the other.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::amount::Amount;
use super::{Currency, Status, ledger, sql};
use crate::clock::Clock;
use crate::error::Result;

/// What happened to a payment: the status that it gets.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = PaymentEventType)]
pub enum Kind {
    /// The provider has reserved the money.
    WaitingForCapture,
    /// The money was paid.
    Succeeded,
    /// The payment was canceled.
    Canceled,
    /// The payment was declined.
    Failed,
    /// The money was paid back.
    Refunded,
}

impl Kind {
    /// Returns the name used in JSON and SQL.
    pub fn name(self) -> &'static str {
        self.status().name()
    }

    /// Returns the status that a payment gets by this event.
    pub fn status(self) -> Status {
        match self {
            Self::WaitingForCapture => Status::WaitingForCapture,
            Self::Succeeded => Status::Succeeded,
            Self::Canceled => Status::Canceled,
            Self::Failed => Status::Failed,
            Self::Refunded => Status::Refunded,
        }
    }

    /// Returns the status that this event follows.
    fn previous_status(self) -> Status {
        match self {
            Self::WaitingForCapture => Status::Pending,
            Self::Succeeded | Self::Canceled | Self::Failed => Status::WaitingForCapture,
            Self::Refunded => Status::Succeeded,
        }
    }

    /// Returns what is to be done with this event of a payment that has the status `current`.
    fn outcome(self, current: Status) -> Outcome {
        let previous = self.previous_status();
        let is_ahead = match current {
            Status::Pending => previous != Status::Pending,
            Status::WaitingForCapture => previous == Status::Succeeded,
            Status::Succeeded | Status::Canceled | Status::Failed | Status::Refunded => false,
        };
        if previous == current {
            Outcome::Applied
        } else if is_ahead {
            Outcome::Kept
        } else {
            Outcome::Ignored
        }
    }
}

/// What became of a received event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = PaymentEventOutcome)]
pub enum Outcome {
    /// The payment has changed its status.
    Applied,
    /// It is applied when the event before it has arrived.
    Kept,
    /// The same event had arrived before.
    Repeated,
    /// It contradicts the status of the payment, which stays as it is.
    Ignored,
    /// There is no such payment of this provider.
    UnknownPayment,
    /// Amount or currency are not those of the payment, or another event had the same id.
    Mismatched,
}

impl Outcome {
    /// Returns the name used in JSON, SQL and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Kept => "kept",
            Self::Repeated => "repeated",
            Self::Ignored => "ignored",
            Self::UnknownPayment => "unknown_payment",
            Self::Mismatched => "mismatched",
        }
    }
}

/// An event of the provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PaymentEvent)]
pub struct Event {
    /// Id of the event; the same when it is sent again.
    pub id: Uuid,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Id of the payment.
    pub payment_id: Uuid,
    /// Amount of the payment.
    #[schema(value_type = f64, example = 29.99, minimum = 0.01, maximum = 999_999_999.99)]
    pub amount: Amount,
    /// Currency of the payment.
    pub currency: Currency,
    /// When it happened.
    pub created_at: DateTime<Utc>,
}

/// The columns of a payment that events depend on.
pub struct LockedPayment {
    pub provider: String,
    pub amount: Amount,
    pub currency: Currency,
    pub status: Status,
}

/// The columns of a logged event that identify it.
#[derive(PartialEq)]
pub struct LoggedEvent {
    pub kind: Kind,
    pub payment_id: Uuid,
}

/// An event that waits for the one before it.
pub struct KeptEvent {
    /// Number in the log.
    pub id: i64,
    pub kind: Kind,
}

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
    ledger::post(connection, payment, money, status, now).await?;
    Ok(status)
}
