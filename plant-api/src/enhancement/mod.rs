//! Ticket enhancement: a service desk posts a signed ticket, and a background job adds a note to it
//! that helps to resolve it.
//!
//! ```text
//! pending ─┬─▶ completed
//!          └─▶ failed ── requeued ──▶ pending
//! ```
//!
//! A service desk is a [tenant](tenants). Its rows are visible only in transactions that have entered
//! the tenant ([`db::enter`](crate::db::enter)): row-level security hides those of all others. The
//! ticket and its job share an id and are inserted together; the job writes what became of the
//! ticket in the transaction that finishes it. A job whose ticket was deleted ends without a note.

mod accept;
pub mod circuits;
pub mod context;
mod deliveries;
pub mod desk;
pub mod job;
mod queue;
mod routes;
pub mod signature;
pub(crate) mod sql;
pub mod tenants;
#[cfg(test)]
mod tests;
pub mod writer;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::db::TenantId;
use crate::jobs::{self, JobKind};
use crate::state::AppState;

/// Returns the routes of tickets, tenants and the queue.
pub fn router() -> OpenApiRouter<AppState> {
    routes::router().merge(tenants::routes::router()).merge(queue::routes::router())
}

/// Jobs that enhance tickets. The setting `PLANT_ENHANCEMENT_WORKERS` replaces the concurrency.
pub const KIND: JobKind = JobKind {
    name: "enhancement",
    queue: "enhancement_queue",
    max_concurrency: 16,
    prefetches: true,
    timeout: Duration::from_secs(120),
};

/// Priority of a ticket.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = TicketPriority)]
pub enum Priority {
    Low,
    Medium,
    High,
    Critical,
}

impl Priority {
    /// Returns the name used in JSON and SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Returns the priority of the ticket's job.
    pub fn of_job(self) -> jobs::Priority {
        match self {
            Self::Low => jobs::Priority::Low,
            Self::Medium => jobs::Priority::Normal,
            Self::High => jobs::Priority::High,
            Self::Critical => jobs::Priority::Critical,
        }
    }
}

/// What became of a ticket.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = EnhancementStatus)]
pub enum Status {
    /// The job has not ended.
    Pending,
    /// The note was posted to the service desk.
    Completed,
    /// The job was dead-lettered; `error` says why.
    Failed,
}

impl Status {
    /// Returns the name used in JSON and SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// Key of a delivery: the signed `webhook-id`, or else the SHA-256 of the body. A ticket that is
/// delivered again is processed once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryId(String);

impl DeliveryId {
    fn of_webhook_id(id: &str) -> Self {
        Self(format!("id:{id}"))
    }

    fn of_body(sha256: [u8; 32]) -> Self {
        Self(format!("sha256:{}", hex::encode(sha256)))
    }

    fn is_webhook_id(&self) -> bool {
        self.0.starts_with("id:")
    }
}

/// A ticket that a service desk posts. Unknown fields are ignored.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct NewTicket {
    /// What happened to the ticket.
    #[schema(
        example = "ticket_created",
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00]*$"
    )]
    pub event: String,
    /// Id of the ticket at the service desk.
    #[schema(example = "TKT-1042", pattern = "^[A-Z0-9-]{1,100}$")]
    pub ticket_id: String,
    /// Id of the tenant; if present, the one in the path.
    #[schema(example = "load-test-tenant")]
    pub tenant_id: Option<String>,
    /// Text of the ticket.
    #[schema(
        example = "The mail server at 10.0.0.12 is slow",
        min_length = 1,
        max_length = 10_000
    )]
    pub description: String,
    /// Priority of the ticket.
    pub priority: Priority,
    /// When the ticket was created, with a time zone.
    #[schema(example = "2026-01-02T03:04:05Z")]
    pub created_at: DateTime<Utc>,
    /// Id of the sender's choice, at most 200 characters.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\x00]*$")]
    pub correlation_id: Option<String>,
}

/// A ticket, and what became of it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Enhancement)]
pub struct Ticket {
    /// Id of the job, and of this entry of the history.
    pub job_id: Uuid,
    /// Id of the tenant.
    pub tenant_id: TenantId,
    /// Id of the ticket at the service desk.
    #[schema(example = "TKT-1042")]
    pub ticket_id: String,
    /// What happened to the ticket.
    pub event: String,
    /// Priority of the ticket.
    pub priority: Priority,
    /// What became of the ticket.
    pub status: Status,
    /// Text of the ticket.
    pub description: String,
    /// What the writer was given, and which sources failed; null before.
    #[schema(value_type = Option<Object>)]
    pub context: Option<Value>,
    /// Text of the note; null until it is written.
    pub enhancement: Option<String>,
    /// Reason of the failure; null unless the ticket has failed.
    pub error: Option<String>,
    /// Number of attempts when the job ended.
    pub attempts: i32,
    /// Duration of the last attempt in milliseconds; null until the job has ended.
    pub processing_time_ms: Option<i32>,
    /// Id of the sender's choice.
    pub correlation_id: Option<String>,
    /// When the ticket was created, by the service desk.
    pub created_at: DateTime<Utc>,
    /// When the ticket was accepted.
    pub accepted_at: DateTime<Utc>,
    /// When the job ended; null before.
    pub completed_at: Option<DateTime<Utc>>,
}

/// A ticket in the history, without its texts.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = EnhancementSummary)]
pub struct Summary {
    /// Id of the job, and of this entry of the history.
    pub job_id: Uuid,
    /// Id of the tenant.
    pub tenant_id: TenantId,
    /// Id of the ticket at the service desk.
    #[schema(example = "TKT-1042")]
    pub ticket_id: String,
    /// Priority of the ticket.
    pub priority: Priority,
    /// What became of the ticket.
    pub status: Status,
    /// Reason of the failure; null unless the ticket has failed.
    pub error: Option<String>,
    /// Number of attempts when the job ended.
    pub attempts: i32,
    /// Duration of the last attempt in milliseconds; null until the job has ended.
    pub processing_time_ms: Option<i32>,
    /// When the ticket was accepted.
    pub accepted_at: DateTime<Utc>,
    /// When the job ended; null before.
    pub completed_at: Option<DateTime<Utc>>,
}
