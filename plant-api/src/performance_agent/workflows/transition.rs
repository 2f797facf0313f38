//! A transition of a workflow from one state to the next, with the change of the tunables that
//! belongs to it.

use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Status, Workflow, sql};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::performance_agent::optimization::PlannedChange;
use crate::tunables::{Change, Rollout, Share, Tunables};

/// Actor of the transitions that a workflow makes itself.
const ACTOR: &str = "workflow";

/// What a transition does to the tunables of the planned changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunableAction {
    None,
    /// Puts this share of the new values into force; begins the rollouts if there are none.
    SetShare(Share),
    /// Makes the new values the current ones.
    Finish,
    /// Puts the old values into force again.
    RollBack,
}

/// A transition from a version of a workflow.
#[derive(Debug, Clone)]
pub struct Transition {
    pub workflow: Uuid,
    /// The version that it starts from.
    pub version: i64,
    pub status: Status,
    pub action: TunableAction,
    pub changes: Vec<PlannedChange>,
    pub snapshot_id: Option<Uuid>,
    pub baseline_snapshot_id: Option<Uuid>,
    pub analysis_id: Option<Uuid>,
    pub baseline_score: Option<f64>,
    pub health_score: Option<f64>,
    pub reason: Option<String>,
    pub actor: String,
}

impl Transition {
    /// Returns a transition of a workflow that changes nothing.
    pub fn of(workflow: &Workflow) -> Self {
        Self {
            workflow: workflow.id,
            version: workflow.version,
            status: workflow.status,
            action: TunableAction::None,
            changes: workflow.changes.0.clone(),
            snapshot_id: workflow.snapshot_id,
            baseline_snapshot_id: workflow.baseline_snapshot_id,
            analysis_id: workflow.analysis_id,
            baseline_score: workflow.baseline_score,
            health_score: workflow.health_score,
            reason: None,
            actor: ACTOR.to_owned(),
        }
    }

    /// Returns a transition to the end of a workflow that cannot go on. What it has rolled out is taken
    /// back.
    pub fn abandon(workflow: &Workflow, reason: impl Into<String>) -> Self {
        let begun = workflow.stage > 0;
        Self {
            status: if begun { Status::RolledBack } else { Status::Failed },
            action: if begun { TunableAction::RollBack } else { TunableAction::None },
            reason: Some(reason.into()),
            ..Self::of(workflow)
        }
    }
}

/// A planned change that the service makes while it runs.
pub struct LiveChange<'a> {
    tunable: &'a str,
    from: i64,
    to: i64,
}

/// Returns the changes that the service makes.
pub fn live(changes: &[PlannedChange]) -> impl Iterator<Item = LiveChange<'_>> {
    changes.iter().filter_map(|change| {
        Some(LiveChange { tunable: change.tunable.as_deref()?, from: change.from?, to: change.to? })
    })
}

/// Makes a transition in the caller's transaction and returns the workflow after it; `None` if the workflow has
/// another version, or was deleted: then another process, or an operator, was faster.
///
/// # Errors
/// [`Error::Conflict`] if a tunable is in another rollout, or has changed since the plan; [`Error::Validation`] and [`Error::NotFound`] if a
/// change is not possible; database errors.
pub async fn apply(
    connection: &mut PgConnection,
    tunables: &Tunables,
    clock: &Clock,
    transition: &Transition,
) -> Result<Option<Workflow>> {
    let Some(before) = sql::lock(&mut *connection, transition.workflow).await? else {
        return Ok(None);
    };
    if before.version != transition.version {
        return Ok(None);
    }
    let now = clock.now();
    let (mut stage, mut tunables_version) = (before.stage, before.tunables_version);
    for LiveChange { tunable, from, to } in live(&transition.changes) {
        let change = Change { name: tunable, actor: ACTOR, at: now };
        let id = transition.workflow;
        let state = match transition.action {
            TunableAction::None => break,
            TunableAction::SetShare(share) if before.stage == 0 => {
                let current = tunables.lock(&mut *connection, tunable).await?;
                if current.value != from && current.rollout.is_none() {
                    let message = format!("`{tunable}` has changed since the plan was made");
                    return Err(Error::Conflict(message));
                }
                let rollout = Rollout { id, value: to, share };
                tunables.begin_rollout(&mut *connection, change, rollout).await?
            }
            TunableAction::SetShare(share) => {
                tunables.set_share(&mut *connection, change, id, share).await?
            }
            TunableAction::Finish => tunables.finish(&mut *connection, change, id).await?,
            TunableAction::RollBack => {
                match tunables.roll_back(&mut *connection, change, id).await {
                    // It is not a tunable of this version of the service any more.
                    Err(Error::NotFound(_)) => continue,
                    rolled_back => rolled_back?,
                }
            }
        };
        tunables_version = tunables_version.max(state.version);
    }
    match transition.action {
        TunableAction::SetShare(share) => stage = share.percent(),
        TunableAction::RollBack => stage = Share::Zero.percent(),
        TunableAction::None | TunableAction::Finish => {}
    }
    let after = Workflow {
        status: transition.status,
        stage,
        tunables_version,
        changes: Json(transition.changes.clone()),
        snapshot_id: transition.snapshot_id,
        baseline_snapshot_id: transition.baseline_snapshot_id,
        analysis_id: transition.analysis_id,
        baseline_score: transition.baseline_score,
        health_score: transition.health_score,
        reason: transition.reason.clone(),
        updated_at: now,
        status_since: now,
        ended_at: transition.status.is_ended().then_some(now),
        version: before.version + 1,
        ..before
    };
    if !sql::update(&mut *connection, &after).await? {
        return Err(Error::Internal("a locked workflow has changed".into()));
    }
    sql::delete_readings(&mut *connection, after.id).await?;
    sql::insert_event(connection, &after, &transition.actor).await?;
    Ok(Some(after))
}
