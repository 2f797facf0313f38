//! The next step of a workflow in each of its states.

use std::time::Duration;

use chrono::TimeDelta;

use super::comparison::{self, Comparison};
use super::transition::live;
use super::{Status, Transition, TunableAction, Workflow, window};
use crate::error::{Error, Result};
use crate::performance_agent::agent::Agent;
use crate::performance_agent::analysis::{self, Analysis};
use crate::performance_agent::collect::collect;
use crate::performance_agent::optimization::{self, FindingReference, PlannedChange};
use crate::performance_agent::snapshot::Snapshot;
use crate::performance_agent::sql as agent_sql;
use crate::performance_agent::target::Target;
use crate::state::AppState;
use crate::tunables::Share;

/// Time for which a step is repeated after an outage, and for which a stage waits for requests. Then the
/// workflow ends.
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
        Status::Approved if workflow.stage > 0 => {
            set_share(to(Status::RollingOut), next_share(workflow.stage))
        }
        Status::Approved => {
            let remaining = window::record(state, workflow).await?;
            if !remaining.is_zero() {
                let reason = "measuring the figures before the rollout";
                return Ok(Step::Wait { after: remaining.min(MAX_WAIT), reason });
            }
            let snapshot = window::snapshot(state, agent, workflow).await?;
            let analysis = analysis::analyze(state, agent, &snapshot, &[]).await?;
            let baseline = Transition {
                baseline_snapshot_id: Some(snapshot.id),
                baseline_score: Some(comparison::score(&analysis)),
                ..with_analysis(to(Status::RollingOut), &analysis)
            };
            set_share(baseline, Share::Tenth)
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
            let remaining = window::record(state, workflow).await?;
            if !remaining.is_zero() {
                return Ok(Step::Wait { after: remaining.min(MAX_WAIT), reason: "monitoring" });
            }
            let snapshot = window::snapshot(state, agent, workflow).await?;
            let comparison = compare_with_baseline(state, workflow, &snapshot).await?;
            if comparison == Comparison::Unknown && !is_overdue(state, workflow) {
                let reason = "waiting for requests to compare";
                return Ok(Step::Wait { after: RETRY_DELAY, reason });
            }
            let analysis = analysis::analyze(state, agent, &snapshot, &[]).await?;
            after_monitoring(workflow, &analysis, comparison)
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
    if error.is_outage() && !is_overdue(state, workflow) {
        return Step::Wait { after: RETRY_DELAY, reason: "repeating a step after an outage" };
    }
    Step::go(Transition::abandon(workflow, format!("a step failed: {error}")))
}

/// Returns whether a workflow should have left its state.
fn is_overdue(state: &AppState, workflow: &Workflow) -> bool {
    let mut limit = APPLY_TIMEOUT;
    if matches!(workflow.status, Status::Approved | Status::Monitoring) {
        limit += TimeDelta::from_std(window::monitoring(workflow)).unwrap_or_default();
    }
    state.clock.now() - workflow.status_since > limit
}

/// Compares a stage with the time before the rollout. A rollout that an earlier version of the service
/// has begun has nothing to compare with.
async fn compare_with_baseline(
    state: &AppState,
    workflow: &Workflow,
    snapshot: &Snapshot,
) -> Result<Comparison> {
    let Some(baseline) = workflow.baseline_snapshot_id else { return Ok(Comparison::NotWorse) };
    let mut connection = state.db.acquire_monitor().await?;
    let baseline = agent_sql::find_snapshot(&mut *connection, baseline).await?;
    // It was deleted while a stage awaited approval.
    Ok(baseline.map_or(Comparison::Unknown, |before| comparison::compare(&before, snapshot)))
}

async fn collect_target(state: &AppState, agent: &Agent, workflow: &Workflow) -> Result<Snapshot> {
    let target = Target::check(agent, &workflow.target)?;
    let rules = agent.settings().rules.find(&workflow.rules);
    let rules = rules.ok_or_else(|| Error::no_such("rule set"))?;
    collect(state, agent, &target, rules, agent.wait_for_collection().await?).await
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
    let base = Transition { changes: selected(changes), ..Transition::of(workflow) };
    if base.changes.is_empty() {
        let reason = Some("there is nothing to change while the service runs".to_owned());
        return Transition { status: Status::Completed, reason, ..base };
    }
    let status =
        if workflow.requires_approval { Status::AwaitingApproval } else { Status::Approved };
    Transition { status, ..base }
}

/// Returns the changes that the service makes: the first for each finding, because the others are
/// alternatives. Those of one name, such as all switches of the cache, are made together.
fn selected(changes: Vec<PlannedChange>) -> Vec<PlannedChange> {
    let mut made: Vec<(FindingReference, String)> = Vec::new();
    let mut selected = Vec::new();
    for change in changes {
        let is_first = |finding: &FindingReference| {
            made.iter().all(|(other, name)| other != finding || *name == change.name)
        };
        if live(std::slice::from_ref(&change)).next().is_some()
            && change.findings.iter().any(is_first)
        {
            made.extend(change.findings.iter().map(|found| (found.clone(), change.name.clone())));
            selected.push(change);
        }
    }
    selected
}

/// Takes a stage back that is worse than the time before the rollout, or about which nothing is known. A
/// score that was below the threshold before must not fall further.
pub(super) fn after_monitoring(
    workflow: &Workflow,
    analysis: &Analysis,
    comparison: Comparison,
) -> Transition {
    let (score, baseline) = (comparison::score(analysis), workflow.baseline_score.unwrap_or(100.0));
    let measured = |transition: Transition| Transition {
        health_score: Some(score),
        ..with_analysis(transition, analysis)
    };
    let worse = match comparison {
        Comparison::Worse(what) => Some(format!("worse than before: {what}")),
        Comparison::Unknown => Some("too few requests to compare with those before".to_owned()),
        Comparison::NotWorse => {
            (score < workflow.health_threshold && score < baseline).then(|| {
                let threshold = workflow.health_threshold;
                format!(
                    "the health score fell from {baseline:.1} to {score:.1}; the threshold is {threshold:.1}"
                )
            })
        }
    };
    if let Some(worse) = worse {
        let reason = format!("at {} %: {worse}", workflow.stage);
        return measured(Transition::abandon(workflow, reason));
    }
    let base = measured(Transition::of(workflow));
    if workflow.stage >= Share::All.percent() {
        return Transition { status: Status::Completed, action: TunableAction::Finish, ..base };
    }
    if workflow.auto_rollout {
        let next = Transition { status: Status::RollingOut, ..base };
        return set_share(next, next_share(workflow.stage));
    }
    Transition { status: Status::AwaitingApproval, ..base }
}
