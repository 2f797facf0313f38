//! Events of the payment provider, and what is to be done with each.

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, de};
use uuid::Uuid;

use super::amount::Amount;
use super::{Currency, Status};

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
    pub fn outcome(self, current: Status) -> Outcome {
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
    #[schema(example = "0198c0de-0000-7000-8000-00000000e7e7")]
    pub id: Uuid,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Id of the payment.
    #[schema(example = "0198c0de-0000-7000-8000-00000000cafe")]
    pub payment_id: Uuid,
    /// Amount of the payment.
    #[schema(value_type = f64, example = 29.99, minimum = 0.01, maximum = 999_999_999.99)]
    pub amount: Amount,
    /// Currency of the payment.
    pub currency: Currency,
    /// When it happened, from 1970 to 9999.
    #[schema(example = "2026-01-02T03:04:05Z")]
    #[serde(deserialize_with = "time_since_1970")]
    pub created_at: DateTime<Utc>,
}

/// Reads a time that PostgreSQL and RFC 3339 can represent.
fn time_since_1970<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let time = DateTime::<Utc>::deserialize(deserializer)?;
    match time.year() {
        1970..=9999 => Ok(time),
        _ => Err(de::Error::custom("must be from 1970 to 9999")),
    }
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
