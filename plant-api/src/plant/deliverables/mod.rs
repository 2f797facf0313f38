//! Deliverables: what a hired agent has made. The customer approves or rejects each one once.
//! Goals that are due yield drafts by themselves ([`job`]).

pub mod job;
pub(crate) mod routes;
pub(crate) mod sql;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;

use crate::access::Caller;
use crate::check::Checks;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::plant::goals::GoalId;
use crate::plant::hires::{self, HireId};
use crate::plant::id::id;

id!(
    /// A deliverable's id.
    DeliverableId
);

/// What the customer has said of a deliverable.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ReviewStatus {
    /// Nothing yet.
    PendingReview,
    /// Good.
    Approved,
    /// Not good.
    Rejected,
}

/// Whether a deliverable was put into effect.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ExecutionStatus {
    /// Not yet.
    NotExecuted,
    /// It was.
    Executed,
    /// It was tried.
    Failed,
}

/// A deliverable.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Deliverable {
    /// Its id.
    pub id: DeliverableId,
    /// The goal it serves; none when the goal was deleted.
    pub goal_id: Option<GoalId>,
    /// The period of that goal for which it was drafted.
    #[schema(example = "weekly:2026-W03")]
    pub period: Option<String>,
    /// Its title.
    #[schema(example = "Article: planting in the monsoon")]
    pub title: String,
    /// What was made.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// What the customer has said of it.
    pub review_status: ReviewStatus,
    /// When the customer said so.
    pub reviewed_at: Option<DateTime<Utc>>,
    /// Whether it was put into effect.
    pub execution_status: ExecutionStatus,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What a reviewer adds to the decision.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct Review {
    /// Why.
    #[schema(example = "Good tone", max_length = 10_000)]
    pub notes: Option<String>,
}

/// Records the one decision about a deliverable.
///
/// # Errors
/// [`Error::Validation`], [`Error::NotFound`], or [`Error::Conflict`] when it was decided before.
pub async fn decide(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    place: (HireId, DeliverableId),
    decision: ReviewStatus,
    review: Review,
) -> Result<Deliverable> {
    let mut checks = Checks::default();
    checks.text("notes", review.notes.as_deref());
    checks.done()?;
    let owner = caller.customer();
    let record = sql::Decision {
        decision,
        notes: review.notes.as_deref(),
        by: caller.actor(),
        at: clock.now(),
    };
    let recorded = sql::decide(&mut *connection, place, owner, &record).await?;
    let found = sql::find(&mut *connection, place, owner).await?;
    match found {
        Some(deliverable) if recorded => Ok(deliverable),
        Some(_) => Err(Error::Conflict("this deliverable was reviewed before".into())),
        None => {
            hires::must_exist(connection, place.0, caller).await?;
            Err(Error::no_such("deliverable of this hired agent"))
        }
    }
}
