//! Subscription plans of accounts.

use serde::{Deserialize, Serialize};

/// Subscription plan of an account.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum SubscriptionPlan {
    /// The smallest plan.
    Starter,
    /// The medium plan.
    Pro,
    /// The largest plan.
    Enterprise,
}
