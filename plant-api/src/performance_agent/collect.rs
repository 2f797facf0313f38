//! Collects a snapshot and stores it.

use std::future::Future;
use std::time::{Duration, Instant};

use super::agent::{Agent, CollectionPermit};
use super::database;
use super::exposition::interval::Interval;
use super::readings;
use super::rules::RuleSet;
use super::snapshot::Snapshot;
use super::sql;
use super::target::Target;
use crate::error::Result;
use crate::state::AppState;

/// Timeout for reading the metrics of the database.
const DATABASE_TIMEOUT: Duration = Duration::from_millis(1200);

/// Reads a target twice, the interval of the settings apart, and stores the snapshot. Takes at most
/// 3 s with the default interval.
///
/// # Errors
/// [`Error::Unavailable`](crate::error::Error::Unavailable) if the target does not answer, or if the
/// snapshot cannot be stored because the database is unavailable.
pub async fn collect(
    state: &AppState,
    agent: &Agent,
    target: &Target,
    rules: &RuleSet,
    _permit: CollectionPermit,
) -> Result<Snapshot> {
    let wait = tokio::time::sleep(agent.settings().interval);
    collect_during(state, agent, target, rules, wait).await
}

/// Like [`collect`], with the readings before and after `wait`.
pub(super) async fn collect_during(
    state: &AppState,
    agent: &Agent,
    target: &Target,
    rules: &RuleSet,
    wait: impl Future<Output = ()>,
) -> Result<Snapshot> {
    let (before, started) = (target.read(state, agent).await?, Instant::now());
    wait.await;
    let after = target.read(state, agent).await?;
    let interval = Interval { before, after, seconds: started.elapsed().as_secs_f64() };
    complete(state, target, rules, interval).await
}

/// Computes the snapshot of an interval, adds the metrics of the database, and stores it.
///
/// # Errors
/// Database errors.
pub(super) async fn complete(
    state: &AppState,
    target: &Target,
    rules: &RuleSet,
    interval: Interval,
) -> Result<Snapshot> {
    let identity = (state.clock.new_id(), state.clock.now());
    let mut snapshot = readings::snapshot(identity, target.to_string(), rules, interval).await?;
    if *target == Target::OwnService {
        snapshot.process.id = Some(state.tunables.process());
        let mut notes = Vec::new();
        let read = database::read(&state.db, &mut notes);
        match tokio::time::timeout(DATABASE_TIMEOUT, read).await {
            Ok(Ok(metrics)) => snapshot.database = Some(metrics),
            Ok(Err(error)) => notes.push(format!("the database could not be read: {error}")),
            Err(_) => {
                notes.push(format!("the database could not be read within {DATABASE_TIMEOUT:?}"));
            }
        }
        snapshot.notes.extend(notes);
    }
    let mut connection = state.db.acquire_monitor().await?;
    sql::insert_snapshot(&mut *connection, &snapshot).await?;
    Ok(snapshot)
}
