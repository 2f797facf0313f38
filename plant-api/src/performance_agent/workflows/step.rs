//! The next step of a workflow in each of its states.

use std::time::Duration;

use chrono::TimeDelta;

use super::transition::live;
use super::{Status, Transition, TunableAction, Workflow};
use crate::error::{Error, Result};
use crate::performance_agent::agent::Agent;
use crate::performance_agent::analysis::{self, Analysis};
use crate::performance_agent::collect::collect;
use crate::performance_agent::optimization::{self, PlannedChange};
use crate::performance_agent::sql as agent_sql;
use crate::performance_agent::target::Target;
use crate::state::AppState;
use crate::tunables::Share;

/// Time for which a step is repeated after an outage. Then the workflow ends.
const APPLY_TIMEOUT: TimeDelta = TimeDelta::seconds(30);

/// Longest delay before a workflow that waits is looked at again.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Delay before a step is repeated.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What happens next.
#[derive(Debug)]
pub(super) enum Step {
    /// A transition.
    Go(Box<Transition>),
    /// The workflow waits.
    Wait { after: Duration, reason: &'static str },
}

impl Step {
    fn go(transition: Transition) -> Self {
        Self::Go(Box::new(transition))
    }
}

/// Returns the next step of a workflow that has not ended and does not await approval.
///
/// # Errors
/// Outages after which the step can be repeated for a while; see [`after_error`].
pub(super) async fn next(state: &AppState, agent: &Agent, workflow: &Workflow) -> Result<Step> {
    let to = |status| Transition { status, ..Transition::of(workflow) };
    let transition = match workflow.status {
        Status::Pending => to(Status::Collecting),
        Status::Collecting => {
            let snapshot = collect_target(state, agent, workflow).await?;
            Transition { snapshot_id: Some(snapshot.id), ..to(Status::Analyzing) }
        }
        Status::Analyzing => {
            let mut connection = state.db.acquire_monitor().await?;
            let id = workflow.snapshot_id.unwrap_or_default();
            let snapshot = agent_sql::find_snapshot(&mut *connection, id).await?;
            drop(connection);
            let snapshot = snapshot.ok_or_else(|| Error::no_such("snapshot"))?;
            let analysis = analysis::analyze(state, agent, &snapshot, &[]).await?;
            with_analysis(to(Status::Optimizing), &analysis)
        }
        Status::Optimizing => {
            let analysis = analysis::find(state, workflow.analysis_id.unwrap_or_default()).await?;
            after_plan(workflow, optimization::plan(state, agent, &analysis).await?.changes)
        }
        Status::Approved => {
            let rolling_out = to(Status::RollingOut);
            if workflow.stage > 0 {
                set_share(rolling_out, next_share(workflow.stage))
            } else {
                // The approval may have taken long.
                let analysis = analyze_target(state, agent, workflow).await?;
                let transition = with_analysis(rolling_out, &analysis);
                let baseline_score = Some(analysis.health_score);
                set_share(Transition { baseline_score, ..transition }, Share::Tenth)
            }
        }
        Status::RollingOut => {
            let mut connection = state.db.acquire_monitor().await?;
            let version = workflow.tunables_version;
            if !state.tunables.is_in_force_everywhere(&mut connection, version).await? {
                if state.clock.now() - workflow.status_since > APPLY_TIMEOUT {
                    let reason = "a process did not apply the new values in time";
                    return Ok(Step::go(Transition::abandon(workflow, reason)));
                }
                let reason = "waiting until all processes apply the new values";
                return Ok(Step::Wait { after: RETRY_DELAY, reason });
            }
            to(Status::Monitoring)
        }
        Status::Monitoring => {
            let elapsed = (state.clock.now() - workflow.status_since).to_std().unwrap_or_default();
            let remaining = monitoring(workflow).saturating_sub(elapsed);
            if !remaining.is_zero() {
                return Ok(Step::Wait { after: remaining.min(MAX_WAIT), reason: "monitoring" });
            }
            after_monitoring(workflow, &analyze_target(state, agent, workflow).await?)
        }
        Status::AwaitingApproval
        | Status::Rejected
        | Status::Completed
        | Status::RolledBack
        | Status::Failed => {
            return Err(Error::Internal("a workflow without a next step".into()));
        }
    };
    Ok(Step::go(transition))
}

/// Returns what follows after a step has failed: another attempt after an outage, for a while; otherwise the
/// end of the workflow.
pub(super) fn after_error(state: &AppState, workflow: &Workflow, error: &Error) -> Step {
    let mut limit = APPLY_TIMEOUT;
    if workflow.status == Status::Monitoring {
        limit += TimeDelta::from_std(monitoring(workflow)).unwrap_or_default();
    }
    if error.is_outage() && state.clock.now() - workflow.status_since <= limit {
        return Step::Wait { after: RETRY_DELAY, reason: "repeating a step after an outage" };
    }
    Step::go(Transition::abandon(workflow, format!("a step failed: {error}")))
}

fn monitoring(workflow: &Workflow) -> Duration {
    Duration::from_secs(u64::try_from(workflow.monitoring_duration_seconds).unwrap_or_default())
}

async fn collect_target(
    state: &AppState,
    agent: &Agent,
    workflow: &Workflow,
) -> Result<crate::performance_agent::snapshot::Snapshot> {
    let target = Target::check(agent, &workflow.target)?;
    let rules = agent.settings().rules.find(&workflow.rules);
    let rules = rules.ok_or_else(|| Error::no_such("rule set"))?;
    collect(state, agent, &target, rules).await
}

async fn analyze_target(state: &AppState, agent: &Agent, workflow: &Workflow) -> Result<Analysis> {
    let snapshot = collect_target(state, agent, workflow).await?;
    analysis::analyze(state, agent, &snapshot, &[]).await
}

fn with_analysis(transition: Transition, analysis: &Analysis) -> Transition {
    Transition {
        snapshot_id: Some(analysis.snapshot_id),
        analysis_id: Some(analysis.id),
        health_score: Some(analysis.health_score),
        ..transition
    }
}

fn set_share(transition: Transition, share: Share) -> Transition {
    Transition { action: TunableAction::SetShare(share), ..transition }
}

/// Returns the share of the stage after one of this many percent.
fn next_share(percent: i16) -> Share {
    if percent < Share::Half.percent() { Share::Half } else { Share::All }
}

/// Ends a workflow whose plan has nothing that the service can change, such as that of another target.
fn after_plan(workflow: &Workflow, changes: Vec<PlannedChange>) -> Transition {
    let base = Transition { changes, ..Transition::of(workflow) };
    if live(&base.changes).next().is_none() {
        let reason = Some("there is nothing to change while the service runs".to_owned());
        return Transition { status: Status::Completed, reason, ..base };
    }
    let status =
        if workflow.requires_approval { Status::AwaitingApproval } else { Status::Approved };
    Transition { status, ..base }
}

/// Compares the health after a stage with the threshold and with that before the rollout. A score that
/// was below the threshold before must not fall further.
pub(super) fn after_monitoring(workflow: &Workflow, analysis: &Analysis) -> Transition {
    let base = with_analysis(Transition::of(workflow), analysis);
    let (score, baseline) = (analysis.health_score, workflow.baseline_score.unwrap_or(100.0));
    if score < workflow.health_threshold && score < baseline {
        let reason = format!(
            "the health score fell from {baseline:.1} to {score:.1} at {} %; the threshold is {:.1}",
            workflow.stage, workflow.health_threshold
        );
        let abandoned = Transition::abandon(workflow, reason);
        return with_analysis(abandoned, analysis);
    }
    if workflow.stage >= Share::All.percent() {
        return Transition { status: Status::Completed, action: TunableAction::Finish, ..base };
    }
    if workflow.auto_rollout {
        let next = Transition { status: Status::RollingOut, ..base };
        return set_share(next, next_share(workflow.stage));
    }
    Transition { status: Status::AwaitingApproval, ..base }
}
