//! Text generation: an account creates a task, and a background job generates the text.
//!
//! The task and its job share an id and are inserted together. The worker runs the job against the
//! [`model`] and writes the text in the transaction that finishes the job. Until then the task's
//! status is derived from the job's state.

pub mod job;
pub mod model;
pub(crate) mod routes;
pub(crate) mod sql;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::AuthenticatedAccount;
use crate::check::Checks;
use crate::clock::Clock;
use crate::error::{Error, OnConstraint, Result};
use crate::jobs::{self, NewJob};
use model::{Model, ModelRequest};

/// Maximum length of a prompt, in characters.
pub const MAX_PROMPT_CHARS: usize = 8000;
pub const MAX_TOKENS: i32 = 4096;

/// Status of a generation task.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = TaskStatus)]
pub enum Status {
    /// Waiting for its first or next attempt.
    Queued,
    /// The model is generating the text.
    Processing,
    /// The text is available in `result`.
    Completed,
    /// Failed permanently or at the last attempt; `error` says why.
    Failed,
}

impl Status {
    /// Returns the name used in JSON and SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// A generation task.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Generation {
    /// Id of the task.
    pub id: Uuid,
    /// Same as `id`, for clients that expect this name.
    pub task_id: Uuid,
    /// Status of the task.
    pub status: Status,
    /// Prompt for the model.
    #[schema(example = "A haiku on the monsoon")]
    pub prompt: String,
    /// Model that generates the text.
    pub model: Model,
    /// Sampling temperature, 0 to 2.
    #[schema(example = 0.7)]
    pub temperature: f64,
    /// Maximum length of the text, in tokens.
    #[schema(example = 256)]
    pub max_tokens: i32,
    /// The generated text; null until the task is completed.
    #[schema(example = "Rain upon the leaves …")]
    pub result: Option<String>,
    /// Reason of the failure; null unless the task has failed.
    pub error: Option<String>,
    /// Number of attempts so far.
    #[schema(example = 1)]
    pub attempts: i32,
    /// When the task was accepted.
    pub created_at: DateTime<Utc>,
    /// When the last attempt started.
    pub started_at: Option<DateTime<Utc>>,
    /// When the task was completed or failed.
    pub completed_at: Option<DateTime<Utc>>,
}

/// A generation task in a list, without prompt and result.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = TaskSummary)]
pub struct Summary {
    /// Id of the task.
    pub id: Uuid,
    /// Same as `id`, for clients that expect this name.
    pub task_id: Uuid,
    /// Status of the task.
    pub status: Status,
    /// Model that generates the text.
    pub model: Model,
    /// Reason of the failure; null unless the task has failed.
    pub error: Option<String>,
    /// Number of attempts so far.
    #[schema(example = 1)]
    pub attempts: i32,
    /// When the task was accepted.
    pub created_at: DateTime<Utc>,
    /// When the task was completed or failed.
    pub completed_at: Option<DateTime<Utc>>,
}

/// Response to a new generation task.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Accepted {
    /// Id of the task.
    pub id: Uuid,
    /// Same as `id`, for clients that expect this name.
    pub task_id: Uuid,
    /// Status of the task.
    #[schema(example = "queued")]
    pub status: Status,
    /// When the task was accepted.
    pub created_at: DateTime<Utc>,
}

/// Request for a generated text.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NewGeneration {
    /// Prompt for the model.
    #[schema(example = "A haiku on the monsoon", min_length = 1, max_length = 8000)]
    pub prompt: String,
    /// Model to use.
    pub model: Model,
    /// Sampling temperature.
    #[serde(default = "default_temperature")]
    #[schema(example = 0.7, minimum = 0, maximum = 2)]
    pub temperature: f64,
    /// Maximum length of the text, in tokens.
    #[serde(default = "default_max_tokens")]
    #[schema(example = 256, minimum = 1, maximum = 4096)]
    pub max_tokens: i32,
}

fn default_temperature() -> f64 {
    0.7
}

fn default_max_tokens() -> i32 {
    256
}

impl NewGeneration {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.require(!self.prompt.is_empty(), "prompt", "min-length", "must not be empty");
        checks.max_chars("prompt", &self.prompt, MAX_PROMPT_CHARS);
        let (temperature, tokens) = (self.temperature, self.max_tokens);
        let in_range = (0.0..=2.0).contains(&temperature);
        checks.require(in_range, "temperature", "range", "must be 0 to 2");
        let in_range = (1..=MAX_TOKENS).contains(&tokens);
        checks.require(in_range, "max_tokens", "range", "must be 1 to 4096");
        checks.into_result()
    }

    fn into_model_request(self) -> ModelRequest {
        ModelRequest {
            prompt: self.prompt,
            model: self.model,
            temperature: self.temperature,
            max_tokens: self.max_tokens,
        }
    }
}

/// Inserts a task and its job. `connection` must have an open transaction.
///
/// # Errors
/// [`Error::Validation`]; [`Error::Unauthenticated`] when the account has been deleted; database
/// errors.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    account: &AuthenticatedAccount,
    new: NewGeneration,
) -> Result<Accepted> {
    new.check()?;
    let job = NewJob::new::<job::GenerationHandler>(clock, account.actor().to_owned(), &())?;
    let created_at = clock.now();
    sql::insert(&mut *connection, job.id, account.id, &new.into_model_request(), created_at)
        .await
        .on_constraint("generation_account_id_fkey", || {
            Error::Unauthenticated("the account of this token has been deleted")
        })?;
    jobs::enqueue(connection, &job).await?;
    Ok(Accepted { id: job.id, task_id: job.id, status: Status::Queued, created_at })
}
