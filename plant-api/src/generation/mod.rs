//! Generation: an account asks for a text, gets a task at once, and the text when it is written.
//!
//! The task and its job, which share an id, are inserted together; the worker runs the job against
//! the [`model`], and writes the text with the job's end. In between, the task's status is what
//! the job's state says.

pub mod job;
pub mod model;
pub(crate) mod routes;
pub(crate) mod sql;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::access::Account;
use crate::check::Checks;
use crate::clock::Clock;
use crate::error::Result;
use crate::jobs::{self, NewJob};
use model::{Model, Request};

/// Longest prompt, in characters.
pub const PROMPT_MAX: usize = 8000;
/// Most tokens of a text.
pub const TOKENS_MAX: i32 = 4096;

/// Where a task is in its life.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = TaskStatus)]
pub enum Status {
    /// It waits for its turn, or for another attempt.
    Queued,
    /// The model is at it.
    Processing,
    /// The text is there.
    Completed,
    /// It was given up.
    Failed,
}

impl Status {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// A task.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Generation {
    /// Its id.
    pub id: Uuid,
    /// The same id.
    pub task_id: Uuid,
    /// Where it is.
    pub status: Status,
    /// What was asked.
    #[schema(example = "A haiku on the monsoon")]
    pub prompt: String,
    /// Who writes.
    pub model: Model,
    /// How freely, 0 to 2.
    #[schema(example = 0.7)]
    pub temperature: f64,
    /// Most tokens of the text.
    #[schema(example = 256)]
    pub max_tokens: i32,
    /// The text, once it is completed.
    #[schema(example = "Rain upon the leaves …")]
    pub result: Option<String>,
    /// Why it was given up, if it was.
    pub error: Option<String>,
    /// How often the model was asked so far.
    #[schema(example = 1)]
    pub attempts: i32,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When the last attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was completed or given up.
    pub completed_at: Option<DateTime<Utc>>,
}

/// A task in a list, without what was asked and what was written.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = TaskSummary)]
pub struct Summary {
    /// Its id.
    pub id: Uuid,
    /// The same id.
    pub task_id: Uuid,
    /// Where it is.
    pub status: Status,
    /// Who writes.
    pub model: Model,
    /// Why it was given up, if it was.
    pub error: Option<String>,
    /// How often the model was asked so far.
    #[schema(example = 1)]
    pub attempts: i32,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it was completed or given up.
    pub completed_at: Option<DateTime<Utc>>,
}

/// The answer to a new task.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Accepted {
    /// The task's id.
    pub id: Uuid,
    /// The same id.
    pub task_id: Uuid,
    /// Where it is.
    #[schema(example = "queued")]
    pub status: Status,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
}

/// A text that is wanted.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NewGeneration {
    /// What to write.
    #[schema(example = "A haiku on the monsoon", min_length = 1, max_length = 8000)]
    pub prompt: String,
    /// Who is to write.
    pub model: Model,
    /// How freely.
    #[serde(default = "usual_temperature")]
    #[schema(example = 0.7, minimum = 0, maximum = 2)]
    pub temperature: f64,
    /// Most tokens of the text.
    #[serde(default = "usual_tokens")]
    #[schema(example = 256, minimum = 1, maximum = 4096)]
    pub max_tokens: i32,
}

fn usual_temperature() -> f64 {
    0.7
}

fn usual_tokens() -> i32 {
    256
}

impl NewGeneration {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.that(!self.prompt.is_empty(), "prompt", "min-length", "must not be empty");
        checks.at_most("prompt", &self.prompt, PROMPT_MAX);
        let (temperature, tokens) = (self.temperature, self.max_tokens);
        let fits = (0.0..=2.0).contains(&temperature);
        checks.that(fits, "temperature", "range", "must be 0 to 2");
        let fits = (1..=TOKENS_MAX).contains(&tokens);
        checks.that(fits, "max_tokens", "range", "must be 1 to 4096");
        checks.done()
    }

    fn into_request(self) -> Request {
        Request {
            prompt: self.prompt,
            model: self.model,
            temperature: self.temperature,
            max_tokens: self.max_tokens,
        }
    }
}

/// Accepts a task: it and its job are there together, or neither.
///
/// # Errors
/// [`Error::Validation`](crate::error::Error::Validation), database errors.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    account: &Account,
    new: NewGeneration,
) -> Result<Accepted> {
    new.check()?;
    let job = NewJob::new(clock, job::KIND, account.actor().to_owned(), &())?;
    let created_at = clock.now();
    let mut tx = connection.begin().await?;
    sql::insert(&mut *tx, job.id, account.id, &new.into_request(), created_at).await?;
    jobs::enqueue(&mut tx, &job).await?;
    tx.commit().await?;
    Ok(Accepted { id: job.id, task_id: job.id, status: Status::Queued, created_at })
}
