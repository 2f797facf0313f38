//! Background job that calls the model and stores the generated text.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use sqlx::PgConnection;

use super::model::SimulatedModel;
use super::sql;
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
    timeout: Duration::from_secs(60),
};

pub struct GenerationHandler {
    pub db: Db,
    /// Clock for `completed_at`.
    pub clock: Clock,
    pub model: SimulatedModel,
}

impl GenerationHandler {
    async fn generate(&self, job: &Job) -> Result<Value, Failure> {
        let mut connection = self.db.acquire().await?;
        let request = sql::find_request(&mut *connection, job.id).await.map_err(Error::from)?;
        drop(connection);
        // The account and its tasks may have been deleted meanwhile.
        let Some(request) = request else { return Ok(Value::Null) };
        let response = self.model.respond(&request, job.attempts);
        tokio::time::sleep(response.latency).await;
        response.text.map(Value::from).map_err(Failure::retry)
    }
}

impl JobHandler for GenerationHandler {
    fn kind(&self) -> JobKind {
        KIND
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Value, Failure>> {
        self.generate(job).boxed()
    }

    fn persist_result<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        job: &'a Job,
        result: &'a Value,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            if let Value::String(text) = result {
                sql::complete(connection, job, text, self.clock.now()).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn on_dead_letter<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        job: &'a Job,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        async move { Ok(sql::fail(connection, job, reason, self.clock.now()).await?) }.boxed()
    }
}
