//! Payments: an account pays for a plan, and the payment provider reports by signed events what
//! became of it.
//!
//! ```text
//! pending ──▶ waiting_for_capture ─┬─▶ succeeded ──▶ refunded
//!                                  ├─▶ canceled
//!                                  └─▶ failed
//! ```
//!
//! The payment and the job of the simulated [`provider`] are inserted together. `receive` applies the
//! events, each at most once and in the order of the states, whatever the order of arrival. The
//! change of a status that moves money, its `ledger` entries and the record of the event are
//! written in one transaction.

pub mod amount;
mod event;
pub mod job;
mod ledger;
pub mod provider;
mod receive;
pub(crate) mod routes;
pub(crate) mod sql;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::AuthenticatedAccount;
use crate::clock::Clock;
use crate::error::{Error, OnConstraint, Result};
use crate::jobs;
use crate::subscription::SubscriptionPlan;
use amount::Amount;

/// Status of a payment.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = PaymentStatus)]
pub enum Status {
    /// Created; the provider has not reported anything.
    Pending,
    /// The provider has reserved the money.
    WaitingForCapture,
    /// Paid.
    Succeeded,
    /// Canceled by the payer or the provider.
    Canceled,
    /// Declined by the provider.
    Failed,
    /// Paid, and paid back.
    Refunded,
}

impl Status {
    /// Returns the name used in JSON and SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::WaitingForCapture => "waiting_for_capture",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
            Self::Refunded => "refunded",
        }
    }
}

/// Currency of a payment, as its ISO 4217 code. All have two decimals.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum Currency {
    /// US dollar.
    Usd,
    /// Euro.
    Eur,
    /// Pound sterling.
    Gbp,
    /// Indian rupee.
    Inr,
    /// Russian ruble.
    Rub,
}

/// Returns the price of a plan; its number is the same in every currency.
fn price(plan: SubscriptionPlan) -> Amount {
    Amount::from_minor(match plan {
        SubscriptionPlan::Starter => 999,
        SubscriptionPlan::Pro => 2_999,
        SubscriptionPlan::Enterprise => 9_999,
    })
}

/// A payment.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Payment {
    /// Id of the payment.
    pub id: Uuid,
    /// Same as `id`, for clients that expect this name.
    pub payment_id: Uuid,
    /// The plan that is paid for.
    pub plan_id: SubscriptionPlan,
    /// Price of the plan.
    #[schema(value_type = f64, example = 29.99)]
    pub amount: Amount,
    /// Amount that the client sent, if it differs from the price; null otherwise.
    #[schema(value_type = Option<f64>, example = 9.99)]
    pub requested_amount: Option<Amount>,
    /// Currency of the amounts.
    pub currency: Currency,
    /// Status of the payment.
    pub status: Status,
    /// When the payment was created.
    pub created_at: DateTime<Utc>,
}

/// Request for a payment.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct NewPayment {
    /// The plan to pay for.
    pub plan_id: Option<SubscriptionPlan>,
    /// Same as `plan_id`; one of the two is required.
    pub plan_code: Option<SubscriptionPlan>,
    /// Amount that the client expects. The plan determines the price; another amount is only recorded.
    #[schema(value_type = Option<f64>, example = 29.99, minimum = 0.01, maximum = 999_999_999.99)]
    pub amount: Option<Amount>,
    /// Currency to pay in.
    pub currency: Currency,
}

impl NewPayment {
    /// Returns the plan, under whichever name it was sent.
    fn plan(&self) -> Result<SubscriptionPlan> {
        match (self.plan_id, self.plan_code) {
            (Some(plan), None) | (None, Some(plan)) => Ok(plan),
            (Some(plan), Some(same)) if plan == same => Ok(plan),
            (None, None) => Err(Error::invalid("plan_id", "required", "is missing")),
            _ => Err(Error::invalid("plan_code", "mismatch", "must be the same as plan_id")),
        }
    }
}

/// Inserts a payment and the job of its provider. `connection` must have an open transaction.
/// Returns the payment and the id of the job.
///
/// # Errors
/// [`Error::Validation`] without a plan or with two; [`Error::Unauthenticated`] when the account has
/// been deleted; database errors.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    account: &AuthenticatedAccount,
    new: NewPayment,
) -> Result<(Payment, Uuid)> {
    let plan = new.plan()?;
    let (id, amount) = (clock.new_id(), price(plan));
    let payment = Payment {
        id,
        payment_id: id,
        plan_id: plan,
        amount,
        requested_amount: new.amount.filter(|requested| *requested != amount),
        currency: new.currency,
        status: Status::Pending,
        created_at: clock.now(),
    };
    sql::insert(&mut *connection, &payment, account.id, provider::NAME)
        .await
        .on_constraint("payment_account_id_fkey", || {
            Error::Unauthenticated("the account of this token has been deleted")
        })?;
    let job = job::new(clock, account.actor().to_owned(), id)?;
    jobs::enqueue(connection, &job).await?;
    Ok((payment, job.id))
}
