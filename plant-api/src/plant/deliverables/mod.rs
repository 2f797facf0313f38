//! Deliverables: the results of a hired agent. The customer approves or rejects each one once.
//! A background job drafts deliverables for due goals ([`job`]).

pub mod job;
pub(crate) mod routes;
pub(crate) mod sql;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::access::Caller;
use crate::check::Checks;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::plant::goals::GoalId;
use crate::plant::hires::{self, HireId};
use crate::plant::id::id;
use crate::plant::json_text::JsonText;

id!(
    /// A deliverable's id.
    DeliverableId,
    "0196a2e4-a680-7f36-93bc-3b21e113fa3f"
);

/// Review status of a deliverable.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ReviewStatus {
    /// Not reviewed yet.
    PendingReview,
    /// Approved by the customer.
    Approved,
    /// Rejected by the customer.
    Rejected,
}

/// Whether a deliverable was put into effect. The service drafts deliverables as `not_executed` and
/// never changes the status; only test data has the others.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ExecutionStatus {
    /// Not executed yet.
    NotExecuted,
    /// Executed successfully.
    Executed,
    /// Execution failed.
    Failed,
}

/// A deliverable.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Deliverable {
    /// Id of the deliverable.
    pub id: DeliverableId,
    /// Id of the goal; null if the goal was deleted.
    pub goal_id: Option<GoalId>,
    /// Period of the goal that the deliverable was drafted for.
    #[schema(example = "weekly:2026-W03")]
    pub period: Option<String>,
    /// Title of the deliverable.
    #[schema(example = "Article: planting in the monsoon")]
    pub title: String,
    /// Content of the deliverable.
    #[schema(value_type = Object)]
    pub payload: JsonText,
    /// Review status.
    pub review_status: ReviewStatus,
    /// Time of the review; null while pending.
    pub reviewed_at: Option<DateTime<Utc>>,
    /// Whether the deliverable was put into effect.
    pub execution_status: ExecutionStatus,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
}

/// Details of a review.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct Review {
    /// Reason for the decision.
    #[schema(example = "Good tone", max_length = 10_000)]
    pub notes: Option<String>,
}

/// Approves or rejects a deliverable; each deliverable can be reviewed once.
///
/// # Errors
/// [`Error::Validation`], [`Error::NotFound`], or [`Error::Conflict`] when it has been reviewed
/// already.
pub async fn record_review(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    ids: (HireId, DeliverableId),
    decision: ReviewStatus,
    review: Review,
) -> Result<Deliverable> {
    let mut checks = Checks::default();
    checks.optional_text("notes", review.notes.as_deref());
    checks.into_result()?;
    let customer_filter = caller.customer_filter();
    let record = sql::ReviewRecord {
        decision,
        notes: review.notes.as_deref(),
        decided_by: caller.actor(),
        decided_at: clock.now(),
    };
    let recorded = sql::insert_review(&mut *connection, ids, customer_filter, &record).await?;
    let found = sql::find(&mut *connection, ids, customer_filter).await?;
    match found {
        Some(deliverable) if recorded => Ok(deliverable),
        Some(_) => Err(Error::Conflict("this deliverable has already been reviewed".into())),
        None => {
            hires::ensure_exists(connection, ids.0, caller).await?;
            Err(Error::no_such("deliverable of this hired agent"))
        }
    }
}
