//! The outcome of a run in progress.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    outcome::{EndpointCell, Outcome, ResourceSample},
    recorder::Recorder,
};

/// What counts of requests that have not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InProgress {
    /// They are sent, and neither succeeded nor failed.
    Open,
    /// They are successes without latency, so that only what has ended can violate a threshold:
    /// failures end sooner than slow successes.
    Success,
}

/// The outcome of a run so far, which is updated with what was recorded since.
pub struct LiveOutcome {
    outcome: Outcome,
    recorder: Arc<Recorder>,
    samples: Arc<Mutex<Vec<ResourceSample>>>,
    in_progress: InProgress,
    /// Time of the last update, in seconds from the start.
    updated_at: u32,
}

impl LiveOutcome {
    /// Returns the outcome of a run that has measured nothing yet.
    #[must_use]
    pub fn new(
        outcome: Outcome,
        recorder: Arc<Recorder>,
        samples: Arc<Mutex<Vec<ResourceSample>>>,
        in_progress: InProgress,
    ) -> Self {
        Self { outcome, recorder, samples, in_progress, updated_at: 0 }
    }

    /// Returns the outcome as of the last update.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Returns the time since the first user started; `None` before that.
    #[must_use]
    pub fn elapsed(&self) -> Option<Duration> {
        self.recorder.started_at().map(|started| started.elapsed())
    }

    /// Returns the number of active users.
    #[must_use]
    pub fn users(&self) -> u32 {
        self.recorder.users()
    }

    /// Adds what was recorded since the last update, with all cells that have changed since.
    pub fn update(&mut self, elapsed: Duration) {
        let now_s = u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX);
        let from = self.updated_at.saturating_sub(self.outcome.load.max_request_s());
        self.updated_at = now_s;
        let outcome = &mut self.outcome;
        let (endpoints, failures, arrivals) = self.recorder.merge_since(from);
        for newer in endpoints {
            let known = outcome.endpoints.iter_mut().find(|known| known.name == newer.name);
            let Some(known) = known else { continue };
            let mut cells = newer.cells;
            if self.in_progress == InProgress::Success {
                cells.iter_mut().for_each(assume_success);
            }
            replace_since(&mut known.cells, cells, |cell| cell.second);
        }
        outcome.failures = failures;
        replace_since(&mut outcome.arrivals, arrivals, |cell| cell.second);
        for newer in self.recorder.counters_since(from) {
            let known = outcome.counters.iter_mut().find(|known| known.name == newer.name);
            if let Some(known) = known {
                known.replace_since(newer);
            }
        }
        let known = outcome.samples.len();
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.samples.extend(samples.iter().skip(known).cloned());
        drop(samples);
        outcome.duration_s = elapsed.as_secs_f64();
    }
}

/// Replaces all `cells` from the first of the `newer` ones on.
fn replace_since<T>(cells: &mut Vec<T>, newer: Vec<T>, second: impl Fn(&T) -> u32) {
    let Some(from) = newer.first().map(&second) else { return };
    cells.truncate(cells.partition_point(|cell| second(cell) < from));
    cells.extend(newer);
}

/// Counts the requests in progress as successes without latency.
fn assume_success(cell: &mut EndpointCell) {
    let in_progress = cell.counts.sent.saturating_sub(cell.counts.finished());
    if in_progress == 0 {
        return;
    }
    cell.counts.succeeded += in_progress;
    cell.throughput_count += in_progress;
    cell.latency.record_times(Duration::ZERO, in_progress);
    *cell.statuses.entry(200).or_default() += in_progress;
}
