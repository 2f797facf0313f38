//! Background job that calls the model and stores the generated text.

use std::time::Duration;

use sqlx::PgConnection;

use super::model::SimulatedModel;
use super::sql;
use crate::cache::Scope;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::jobs::{Failure, Job, JobHandler, JobKind};

/// Jobs that generate a text. They spend nearly all of their time waiting, hence the high
/// concurrency.
pub const KIND: JobKind = JobKind {
    name: "generation",
    queue: "generation_queue",
    max_concurrency: 256,
    prefetches: false,
    timeout: Duration::from_secs(60),
};

pub struct GenerationHandler {
    pub db: Db,
    /// Clock for `completed_at`.
    pub clock: Clock,
    pub model: SimulatedModel,
}

impl JobHandler for GenerationHandler {
    const KIND: JobKind = KIND;
    /// The request is stored in `generation`, under the id of the job.
    type Payload = ();
    /// The text; `None` if the account and its tasks were deleted.
    type Output = Option<String>;

    async fn run(&self, job: &Job, (): ()) -> Result<Option<String>, Failure> {
        let mut connection = self.db.acquire().await?;
        let request = sql::find_request(&mut *connection, job.id).await.map_err(Error::from)?;
        drop(connection);
        let Some(request) = request else { return Ok(None) };
        let response = self.model.respond(&request, job.attempts);
        tokio::time::sleep(response.latency).await;
        response.text.map(Some).map_err(Failure::retry)
    }

    async fn persist(
        &self,
        connection: &mut PgConnection,
        job: &Job,
        text: &Option<String>,
    ) -> Result<Vec<Scope>> {
        if let Some(text) = text {
            sql::complete(connection, job, text, self.clock.now()).await?;
        }
        Ok(Vec::new())
    }

    async fn on_dead_letter(
        &self,
        connection: &mut PgConnection,
        job: &Job,
        reason: &str,
    ) -> Result<()> {
        Ok(sql::fail(connection, job, reason, self.clock.now()).await?)
    }
}
