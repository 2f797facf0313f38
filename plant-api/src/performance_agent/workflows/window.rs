//! The time over which a workflow measures: before the rollout, and after each stage.
//!
//! The process that runs the job records its metrics whenever it looks at the workflow. If several
//! processes do, or one is killed and another goes on, the counters of all of them count.

use std::time::Duration;

use chrono::TimeDelta;

use super::Workflow;
use super::sql::{self, Readings};
use crate::error::{Error, Result};
use crate::performance_agent::agent::Agent;
use crate::performance_agent::collect::complete;
use crate::performance_agent::exposition::Exposition;
use crate::performance_agent::exposition::interval::Interval;
use crate::performance_agent::snapshot::Snapshot;
use crate::performance_agent::target::Target;
use crate::state::AppState;

/// Shortest time between two readings, in seconds.
const MIN_SECONDS: f64 = 0.001;

/// Records the metrics of this process and returns the time that is left to measure.
///
/// # Errors
/// Database errors.
pub(super) async fn record(state: &AppState, workflow: &Workflow) -> Result<Duration> {
    let text = state.encode_metrics()?;
    let (process, now) = (state.tunables.process(), state.clock.now());
    let mut connection = state.db.acquire_monitor().await?;
    sql::record_reading(&mut *connection, workflow.id, process, &text, now).await?;
    let elapsed = (now - workflow.status_since).to_std().unwrap_or_default();
    Ok(monitoring(workflow).saturating_sub(elapsed))
}

/// Returns how long a workflow measures.
pub(super) fn monitoring(workflow: &Workflow) -> Duration {
    Duration::from_secs(u64::try_from(workflow.monitoring_duration_seconds).unwrap_or_default())
}

/// Returns the snapshot of what the processes have recorded, and stores it.
///
/// # Errors
/// [`Error::Unavailable`] and database errors.
pub(super) async fn snapshot(
    state: &AppState,
    agent: &Agent,
    workflow: &Workflow,
) -> Result<Snapshot> {
    let rules = agent.settings().rules.find(&workflow.rules);
    let rules = rules.ok_or_else(|| Error::no_such("rule set"))?;
    let mut connection = state.db.acquire_monitor().await?;
    let readings = sql::list_readings(&mut *connection, workflow.id).await?;
    drop(connection);
    let interval = interval(&readings, state.tunables.process())?;
    complete(state, &Target::OwnService, rules, interval).await
}

/// Adds the counters of all processes; everything else is that of the process `own`.
fn interval(readings: &[Readings], own: uuid::Uuid) -> Result<Interval> {
    let (own, others): (Vec<_>, Vec<_>) = readings.iter().partition(|row| row.process == own);
    let parse =
        |text: &str| text.parse::<Exposition>().map_err(|error| Error::Internal(Box::new(error)));
    let [own] = own.as_slice() else {
        return Err(Error::Internal("a process has not recorded its metrics".into()));
    };
    let (mut before, mut after) = (parse(&own.first)?, parse(&own.last)?);
    let (mut from, mut to) = (own.first_at, own.last_at);
    for other in others {
        before.add_counters(&parse(&other.first)?);
        after.add_counters(&parse(&other.last)?);
        (from, to) = (from.min(other.first_at), to.max(other.last_at));
    }
    let seconds = (to - from).max(TimeDelta::zero()).as_seconds_f64().max(MIN_SECONDS);
    Ok(Interval { before, after, seconds })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::performance_agent::exposition::selector::Selector;

    fn readings(process: u128, (from, to): (i64, i64), (first, last): (u32, u32)) -> Readings {
        let text = |count: u32| {
            format!("requests_total {count}\nprocess_cpu_seconds_total {count}\nmemory {count}\n")
        };
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        Readings {
            process: Uuid::from_u128(process),
            first: text(first),
            first_at: at(from),
            last: text(last),
            last_at: at(to),
        }
    }

    #[test]
    fn counters_of_all_processes_are_added() {
        let all = [readings(1, (0, 20), (100, 150)), readings(2, (15, 60), (1000, 1007))];
        for (own, cpu, memory) in [(1, 50.0, 150.0), (2, 7.0, 1007.0)] {
            let interval = interval(&all, Uuid::from_u128(own)).unwrap();
            let increase = |name: &str| interval.increase(&Selector::parse(name).unwrap()).unwrap();
            assert_eq!(increase("requests_total"), 57.0);
            assert_eq!(increase("process_cpu_seconds_total"), cpu);
            assert_eq!(interval.after.value("memory", &Default::default()), Some(memory));
            assert_eq!(interval.seconds, 60.0);
        }
        assert!(interval(&all, Uuid::nil()).is_err());
    }
}
