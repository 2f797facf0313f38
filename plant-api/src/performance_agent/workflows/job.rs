//! Background job that takes a workflow from state to state, until it ends, or awaits approval; an
//! approval creates another job.
//!
//! While a workflow waits, its job is postponed, so that no process is needed for it. The transition with which
//! the job ends is made in the transaction that finishes the job: an approval never finds its job still running.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::step::{self, Step};
use super::{Status, Transition, Workflow, apply, sql};
use crate::cache::Scope;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::jobs::{Failure, Job, JobHandler, JobKind, NewJob, Priority};
use crate::performance_agent::agent::Agent;
use crate::state::AppState;

/// Jobs of workflows. They run only in processes that serve requests, whose metrics they collect.
pub const KIND: JobKind = JobKind {
    name: "workflow",
    queue: "workflow_queue",
    max_concurrency: 2,
    prefetches: false,
    timeout: Duration::from_secs(60),
};

/// Input of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payload {
    pub workflow_id: Uuid,
}

/// Creates the job of a workflow.
///
/// # Errors
/// When the payload cannot be serialized as JSON.
pub fn new(clock: &Clock, workflow: Uuid) -> Result<NewJob> {
    let payload = Payload { workflow_id: workflow };
    let job = NewJob::new::<WorkflowHandler>(clock, "performance-agent".to_owned(), &payload)?;
    // It must go on when other jobs are too many.
    Ok(NewJob { priority: Priority::High, dedupe_key: Some(workflow.to_string()), ..job })
}

/// Handler of the jobs.
#[derive(Clone)]
pub struct WorkflowHandler {
    pub state: AppState,
    pub agent: Agent,
}

impl JobHandler for WorkflowHandler {
    const KIND: JobKind = KIND;
    type Payload = Payload;
    /// The last transition; `None`: there is nothing to do.
    type Output = Option<Transition>;

    async fn run(&self, _: &Job, payload: Payload) -> Result<Option<Transition>, Failure> {
        loop {
            let Some(workflow) = self.find(payload.workflow_id).await? else { return Ok(None) };
            if workflow.status.is_ended() || workflow.status == Status::AwaitingApproval {
                return Ok(None);
            }
            let next = step::next(&self.state, &self.agent, &workflow).await;
            let next =
                next.unwrap_or_else(|error| step::after_error(&self.state, &workflow, &error));
            match next {
                Step::Wait { after, reason } => {
                    return Err(Failure::Postponed { reason: reason.to_owned(), after });
                }
                Step::Go(transition) if ends_job(transition.status) => {
                    return Ok(Some(*transition));
                }
                Step::Go(transition) => {
                    if let Some(last) = self.make(&workflow, &transition).await? {
                        return Ok(Some(last));
                    }
                }
            }
        }
    }

    async fn persist(
        &self,
        connection: &mut PgConnection,
        _: &Job,
        output: &Option<Transition>,
    ) -> Result<Vec<Scope>> {
        if let Some(transition) = output {
            let (tunables, clock) = (&self.state.tunables, &self.state.clock);
            apply(connection, tunables, clock, transition).await?;
        }
        Ok(Vec::new())
    }

    /// Takes back what the workflow has rolled out.
    async fn on_dead_letter(
        &self,
        connection: &mut PgConnection,
        job: &Job,
        reason: &str,
    ) -> Result<()> {
        let Ok(payload) = Payload::deserialize(&job.payload) else { return Ok(()) };
        let found = sql::lock(&mut *connection, payload.workflow_id).await?;
        let Some(workflow) = found.filter(|workflow| !workflow.status.is_ended()) else {
            return Ok(());
        };
        let transition = Transition::abandon(&workflow, format!("the job failed: {reason}"));
        let (tunables, clock) = (&self.state.tunables, &self.state.clock);
        apply(connection, tunables, clock, &transition).await?;
        Ok(())
    }
}

impl WorkflowHandler {
    async fn find(&self, id: Uuid) -> Result<Option<Workflow>, Failure> {
        let find = async {
            let mut connection = self.state.db.acquire_monitor().await?;
            Ok(sql::find(&mut *connection, id).await?)
        };
        find.await.map_err(|error: Error| postponed(&error))
    }

    /// Makes a transition after which the job goes on. If it is impossible, returns the one that ends
    /// the workflow.
    async fn make(
        &self,
        workflow: &Workflow,
        transition: &Transition,
    ) -> Result<Option<Transition>, Failure> {
        let made = async {
            let mut tx = self.state.db.begin().await?;
            apply(&mut tx, &self.state.tunables, &self.state.clock, transition).await?;
            Ok::<_, Error>(tx.commit().await?)
        };
        match made.await {
            Ok(()) => Ok(None),
            Err(error) if error.is_outage() => Err(postponed(&error)),
            Err(error) => {
                Ok(Some(Transition::abandon(workflow, format!("a step failed: {error}"))))
            }
        }
    }
}

/// Returns whether the job ends with a transition to this status.
fn ends_job(status: Status) -> bool {
    status.is_ended() || status == Status::AwaitingApproval
}

/// Lets the job wait for the end of an outage: without the database nothing else can be done.
fn postponed(error: &Error) -> Failure {
    Failure::Postponed { reason: error.to_string(), after: Duration::from_secs(1) }
}
