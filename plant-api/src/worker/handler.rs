//! Type erasure of job handlers, so that one worker runs jobs of all kinds. A result stays typed: it
//! is returned together with the code that writes it.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use sqlx::PgConnection;

use crate::cache::Scope;
use crate::error::Result;
use crate::jobs::{Failure, Job, JobHandler, JobKind};

/// A type-erased [`JobHandler`].
pub struct AnyJobHandler(Box<dyn ErasedHandler>);

impl AnyJobHandler {
    pub fn new(handler: impl JobHandler) -> Self {
        Self(Box::new(SharedHandler(Arc::new(handler))))
    }

    pub fn kind(&self) -> JobKind {
        self.0.kind()
    }

    /// Enqueues the kind's scheduled jobs; see [`JobHandler::enqueue_due`].
    ///
    /// # Errors
    /// Errors of the handler.
    pub async fn enqueue_due(&self) -> Result<usize> {
        self.0.enqueue_due().await
    }

    /// Runs one attempt at `job`.
    ///
    /// # Errors
    /// [`Failure::Permanent`] when the payload is invalid; failures of the handler.
    pub(super) async fn run(&self, job: &Job) -> Result<Box<dyn Unwritten>, Failure> {
        self.0.run(job).await
    }

    pub(super) async fn on_dead_letter(
        &self,
        connection: &mut PgConnection,
        job: &Job,
        reason: &str,
    ) -> Result<()> {
        self.0.on_dead_letter(connection, job, reason).await
    }
}

/// Result of an attempt that has not been written.
pub(super) trait Unwritten: Send + Sync {
    /// Writes the result with [`JobHandler::persist`].
    fn persist<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        job: &'a Job,
    ) -> BoxFuture<'a, Result<Vec<Scope>>>;
}

/// [`JobHandler`] without its associated types.
trait ErasedHandler: Send + Sync {
    fn kind(&self) -> JobKind;

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Box<dyn Unwritten>, Failure>>;

    fn on_dead_letter<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        job: &'a Job,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<()>>;

    fn enqueue_due(&self) -> BoxFuture<'_, Result<usize>>;
}

struct SharedHandler<H>(Arc<H>);

impl<H: JobHandler> ErasedHandler for SharedHandler<H> {
    fn kind(&self) -> JobKind {
        JobKind { max_concurrency: self.0.max_concurrency(), ..H::KIND }
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Box<dyn Unwritten>, Failure>> {
        async {
            // Another attempt would fail in the same way.
            let payload = H::Payload::deserialize(&job.payload)
                .map_err(|e| Failure::Permanent(format!("invalid job payload: {e}")))?;
            let output = self.0.run(job, payload).await?;
            let result: Box<dyn Unwritten> = Box::new(Output { handler: self.0.clone(), output });
            Ok(result)
        }
        .boxed()
    }

    fn on_dead_letter<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        job: &'a Job,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        self.0.on_dead_letter(connection, job, reason).boxed()
    }

    fn enqueue_due(&self) -> BoxFuture<'_, Result<usize>> {
        self.0.enqueue_due().boxed()
    }
}

struct Output<H: JobHandler> {
    handler: Arc<H>,
    output: H::Output,
}

impl<H: JobHandler> Unwritten for Output<H> {
    fn persist<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        job: &'a Job,
    ) -> BoxFuture<'a, Result<Vec<Scope>>> {
        self.handler.persist(connection, job, &self.output).boxed()
    }
}
