//! Workflows: collect, analyze, plan, and with approval roll out changes of
//! [tunables](crate::tunables) in stages, each of which is taken back if health gets worse.
//!
//! ```text
//! pending ─▶ collecting ─▶ analyzing ─▶ optimizing ─┬─▶ awaiting_approval ─┬─▶ approved
//!                                                   │                      └─▶ rejected
//!                                                   ├─▶ approved
//!                                                   └─▶ completed: nothing can be changed
//!
//! approved ─▶ rolling_out ─▶ monitoring ─┬─▶ rolling_out, the next stage
//!                                        ├─▶ awaiting_approval, before the next stage
//!                                        ├─▶ completed
//!                                        └─▶ rolled_back
//! ```
//!
//! Any state can end in `failed` before the rollout, and in `rolled_back` after it has begun.
//!
//! A [`job`] takes a workflow from state to state. Each [`Transition`] is one transaction, which also
//! changes the tunables, and which does nothing if the workflow is not in the expected version any more. So a
//! killed process loses nothing, and another one continues.

mod comparison;
pub mod job;
pub(super) mod routes;
mod sql;
mod step;
#[cfg(test)]
mod tests;
mod transition;
mod window;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::agent::Agent;
use super::optimization::PlannedChange;
use super::rules::DEFAULT;
use super::target::Target;
use crate::check::Checks;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::jobs;

pub use transition::{Transition, TunableAction, apply};

/// Time after its end for which a workflow is kept.
const RETENTION: TimeDelta = TimeDelta::days(90);

/// State of a workflow.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = WorkflowStatus)]
pub enum Status {
    Pending,
    Collecting,
    Analyzing,
    Optimizing,
    AwaitingApproval,
    Approved,
    Rejected,
    RollingOut,
    Monitoring,
    Completed,
    RolledBack,
    Failed,
}

impl Status {
    /// Returns whether the workflow has ended.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Rejected | Self::Completed | Self::RolledBack | Self::Failed)
    }
}

/// A workflow.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Workflow {
    /// Id of the workflow, and of its rollouts.
    pub id: Uuid,
    /// The same id.
    pub workflow_id: Uuid,
    /// `self`, or the URL of a Prometheus endpoint.
    #[schema(example = "self")]
    pub target: String,
    /// Name of the rule set.
    #[schema(example = "plant")]
    pub rules: String,
    /// Whether the rollout waits for an approval.
    pub requires_approval: bool,
    /// Whether the stages after the first follow without a further approval.
    pub auto_rollout: bool,
    /// Time that is measured before the rollout and after each stage, in seconds.
    #[schema(example = 60)]
    pub monitoring_duration_seconds: i32,
    /// Score below which, if it is also below that before the rollout, the changes are taken back.
    #[schema(example = 80.0)]
    pub health_threshold: f64,
    pub status: Status,
    /// Share of the new values that is in force, in percent.
    #[schema(example = 10)]
    pub stage: i16,
    /// Planned changes; those that are live are rolled out.
    #[schema(value_type = Vec<PlannedChange>)]
    pub changes: sqlx::types::Json<Vec<PlannedChange>>,
    /// The last snapshot.
    pub snapshot_id: Option<Uuid>,
    /// The snapshot before the rollout.
    pub baseline_snapshot_id: Option<Uuid>,
    /// The last analysis.
    pub analysis_id: Option<Uuid>,
    /// Score before the rollout, of the findings that are compared: those of the service, not of the
    /// database server.
    #[schema(example = 85.0)]
    pub baseline_score: Option<f64>,
    /// Score of the last analysis; in a rollout of the findings that are compared.
    #[schema(example = 90.0)]
    pub health_score: Option<f64>,
    /// Why the workflow ended.
    pub reason: Option<String>,
    /// Who created the workflow.
    #[schema(example = "anonymous")]
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    /// Number of changes of the workflow, from 1.
    #[schema(example = 1)]
    pub version: i64,
    /// Since when the workflow has its status.
    pub status_since: DateTime<Utc>,
    /// Version of the tunables that the stage has made.
    #[serde(skip)]
    tunables_version: i64,
}

/// A state that a workflow was in.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = WorkflowEvent)]
pub struct Event {
    /// Version of the workflow.
    #[schema(example = 2)]
    pub version: i64,
    pub status: Status,
    /// Share of the new values, in percent.
    #[schema(example = 0)]
    pub stage: i16,
    /// Score of the last analysis.
    pub health_score: Option<f64>,
    /// Who made the change; `workflow`: the workflow itself.
    #[schema(example = "workflow")]
    pub actor: String,
    pub reason: Option<String>,
    pub at: DateTime<Utc>,
}

/// A new workflow.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWorkflow {
    /// `self`, or the URL of a Prometheus endpoint whose host is in `PLANT_AGENT_TARGETS`.
    #[schema(example = "self", min_length = 1, max_length = 2000)]
    pub target: String,
    /// Rule set that names the metrics of the target; default `plant`.
    #[schema(example = "plant")]
    pub rules: Option<String>,
    /// Whether the rollout waits for an approval; default true.
    pub requires_approval: Option<bool>,
    /// Whether the stages after the first follow without a further approval; default true.
    pub auto_rollout: Option<bool>,
    /// Time that is measured before the rollout and after each stage, in seconds, 1 to 3600; default 60.
    #[schema(minimum = 1, maximum = 3600, example = 60)]
    pub monitoring_duration_seconds: Option<i32>,
    /// Score, 0 to 100, below which the changes are taken back; default 80.
    #[schema(minimum = 0, maximum = 100, example = 80.0)]
    pub health_threshold: Option<f64>,
}

impl NewWorkflow {
    /// Returns the workflow, with the defaults.
    ///
    /// # Errors
    /// [`Error::Validation`]; [`Error::Forbidden`] if the target is not allowed.
    fn into_workflow(self, clock: &Clock, agent: &Agent, actor: &str) -> Result<Workflow> {
        let (seconds, threshold) =
            (self.monitoring_duration_seconds.unwrap_or(60), self.health_threshold.unwrap_or(80.0));
        let mut checks = Checks::default();
        let in_range = (1..=3600).contains(&seconds);
        checks.require(in_range, "monitoring_duration_seconds", "range", "must be 1 to 3600");
        let in_range = (0.0..=100.0).contains(&threshold);
        checks.require(in_range, "health_threshold", "range", "must be 0 to 100");
        let rules = self.rules.unwrap_or_else(|| DEFAULT.to_owned());
        let is_known = agent.settings().rules.find(&rules).is_some();
        checks.require(is_known, "rules", "enum", "is not the name of a configured rule set");
        checks.into_result()?;
        let target = Target::check(agent, &self.target)?;
        let (id, now) = (clock.new_id(), clock.now());
        Ok(Workflow {
            id,
            workflow_id: id,
            target: target.to_string(),
            rules,
            requires_approval: self.requires_approval.unwrap_or(true),
            auto_rollout: self.auto_rollout.unwrap_or(true),
            monitoring_duration_seconds: seconds,
            health_threshold: threshold,
            status: Status::Pending,
            stage: 0,
            changes: sqlx::types::Json(Vec::new()),
            snapshot_id: None,
            baseline_snapshot_id: None,
            analysis_id: None,
            baseline_score: None,
            health_score: None,
            reason: None,
            created_by: actor.to_owned(),
            created_at: now,
            updated_at: now,
            ended_at: None,
            version: 1,
            status_since: now,
            tunables_version: 0,
        })
    }
}

/// Creates a workflow and its job.
///
/// # Errors
/// [`Error::Validation`]; [`Error::Forbidden`] if the target is not allowed; database errors.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    agent: &Agent,
    actor: &str,
    new: NewWorkflow,
) -> Result<(Workflow, Uuid)> {
    let workflow = new.into_workflow(clock, agent, actor)?;
    sql::insert(&mut *connection, &workflow).await?;
    sql::insert_event(&mut *connection, &workflow, actor).await?;
    let job = job::new(clock, workflow.id)?;
    jobs::enqueue(connection, &job).await?;
    Ok((workflow, job.id))
}

/// What an operator decides about a workflow that awaits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Approve,
    /// Values that are in force already are taken back.
    Reject,
    /// Like a rejection, at any time before the end.
    Cancel,
}

/// Approves, rejects or cancels a workflow. Returns it, and after an approval the id of its new job.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] unless it awaits approval, or if it has ended; database
/// errors.
pub async fn decide(
    connection: &mut PgConnection,
    state: &crate::state::AppState,
    actor: &str,
    id: Uuid,
    decision: Decision,
) -> Result<(Workflow, Option<Uuid>)> {
    let found = sql::lock(&mut *connection, id).await?;
    let workflow = found.ok_or_else(|| Error::no_such("workflow"))?;
    if workflow.status.is_ended() {
        return Err(Error::Conflict("the workflow has ended".into()));
    }
    if decision != Decision::Cancel && workflow.status != Status::AwaitingApproval {
        return Err(Error::Conflict("the workflow does not await approval".into()));
    }
    let decided = match decision {
        Decision::Approve => Transition { status: Status::Approved, ..Transition::of(&workflow) },
        Decision::Reject => Transition {
            status: Status::Rejected,
            ..Transition::abandon(&workflow, "rejected by an operator")
        },
        Decision::Cancel => Transition::abandon(&workflow, "canceled by an operator"),
    };
    let transition = Transition { actor: actor.to_owned(), ..decided };
    let applied = apply(&mut *connection, &state.tunables, &state.clock, &transition).await?;
    let decided = applied.ok_or_else(|| Error::Conflict("the workflow has changed".into()))?;
    if decision != Decision::Approve {
        return Ok((decided, None));
    }
    let job = job::new(&state.clock, id)?;
    jobs::enqueue(connection, &job).await?;
    Ok((decided, Some(job.id)))
}

/// Deletes up to `limit` workflows that ended long ago, with their events; returns how many.
///
/// # Errors
/// Database errors.
pub async fn delete_expired(
    connection: &mut PgConnection,
    clock: &Clock,
    limit: u32,
) -> Result<u64> {
    Ok(sql::delete_ended_before(connection, clock.now() - RETENTION, limit).await?)
}
