//! Stops a run once a threshold with `abort_on_fail` is violated.
//!
//! About once a second the thresholds are judged by what was recorded so far, like those of a run that
//! was cut short: at the confidence of the SLA, and not where the load generator may be the cause.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use crate::{
    outcome::{Aborted, EndpointCell, Outcome, ResourceSample, RunStart},
    recorder::Recorder,
    sla::Threshold,
    verdict,
};

/// Shortest time from one judgement to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many times longer than a judgement the time until the next one is at least, so that long runs
/// do not spend more than a twentieth of a CPU on it.
const PAUSE_FACTOR: u32 = 20;

/// Judges a run in progress in a background task.
#[derive(Debug)]
pub struct AbortMonitor {
    task: Option<JoinHandle<Option<Aborted>>>,
    stop: watch::Sender<bool>,
}

impl AbortMonitor {
    /// Starts to judge the thresholds with [`Threshold::abort_after_s`], if there are any. If one is
    /// violated, the run is stopped by Goose's killswitch.
    #[must_use]
    pub fn start(
        start: RunStart,
        recorder: Arc<Recorder>,
        samples: Arc<Mutex<Vec<ResourceSample>>>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let users = start.load.users;
        let aborting = |one: &&Threshold| one.abort_after_s.is_some() && one.users.contains(users);
        let thresholds: Vec<Threshold> =
            start.sla.thresholds.iter().filter(aborting).cloned().collect();
        let task = (!thresholds.is_empty()).then(|| {
            let snapshot = Snapshot::new(start.into_outcome(), recorder, samples);
            tokio::spawn(monitor(snapshot, thresholds, stopped))
        });
        Self { task, stop }
    }

    /// Ends the monitoring. Returns the threshold that aborted the run; `None` if none did.
    pub async fn stop(self) -> Option<Aborted> {
        let _ = self.stop.send(true);
        self.task?.await.ok()?
    }
}

async fn monitor(
    mut snapshot: Snapshot,
    thresholds: Vec<Threshold>,
    mut stopped: watch::Receiver<bool>,
) -> Option<Aborted> {
    let thresholds = Arc::new(thresholds);
    let mut pause = INTERVAL;
    // The wait ends early when the run has ended.
    while timeout(pause, stopped.wait_for(|stopped| *stopped)).await.is_err() {
        let began = Instant::now();
        let thresholds = Arc::clone(&thresholds);
        let judged = spawn_blocking(move || {
            let aborted = snapshot.judge(&thresholds);
            (snapshot, aborted)
        });
        let aborted;
        (snapshot, aborted) = judged.await.ok()?;
        if aborted.is_some() {
            goose::trigger_killswitch("a threshold was violated");
            return aborted;
        }
        pause = INTERVAL.max(began.elapsed() * PAUSE_FACTOR);
    }
    None
}

/// The outcome of a run in progress.
struct Snapshot {
    outcome: Outcome,
    recorder: Arc<Recorder>,
    samples: Arc<Mutex<Vec<ResourceSample>>>,
    /// Time of the last update, in seconds from the start.
    updated_at: u32,
}

impl Snapshot {
    fn new(
        outcome: Outcome,
        recorder: Arc<Recorder>,
        samples: Arc<Mutex<Vec<ResourceSample>>>,
    ) -> Self {
        Self { outcome, recorder, samples, updated_at: 0 }
    }

    /// Returns the first of `thresholds` that is violated by now; `None` before the first user.
    fn judge(&mut self, thresholds: &[Threshold]) -> Option<Aborted> {
        let elapsed = self.recorder.started_at()?.elapsed();
        self.judge_at(thresholds, elapsed)
    }

    /// Returns the first of `thresholds` that is violated `elapsed` after the start.
    fn judge_at(&mut self, thresholds: &[Threshold], elapsed: Duration) -> Option<Aborted> {
        let after_s = u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX);
        let scale = self.outcome.load.time_scale;
        let is_due = |threshold: &&Threshold| {
            let delay_s = threshold.abort_after_s.map_or(f64::INFINITY, f64::from);
            f64::from(after_s) >= delay_s * scale
        };
        self.update(after_s, elapsed);
        let judging = self.outcome.sla.judging;
        let mut due = thresholds.iter().filter(is_due);
        let violated = due.find(|threshold| verdict::is_failed(&self.outcome, threshold, judging));
        violated.map(|threshold| Aborted { after_s, threshold: threshold.clone() })
    }

    /// Adds what was recorded since the last update, with all cells that have changed since.
    fn update(&mut self, now_s: u32, elapsed: Duration) {
        let from = self.updated_at.saturating_sub(self.outcome.load.max_request_s());
        self.updated_at = now_s;
        let outcome = &mut self.outcome;
        let (endpoints, _, arrivals) = self.recorder.merge_since(from);
        for newer in endpoints {
            let known = outcome.endpoints.iter_mut().find(|known| known.name == newer.name);
            let Some(known) = known else { continue };
            let mut cells = newer.cells;
            cells.iter_mut().for_each(assume_success);
            replace_since(&mut known.cells, cells, |cell| cell.second);
        }
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

/// Counts the requests in progress as successes without latency. Only what has ended can violate a
/// threshold: failures end sooner than slow successes, so that without this a run would be aborted for
/// a share of failures that it does not have.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        failure::FailureKind,
        outcome::Ended,
        recorder::RequestSample,
        report::example,
        sla::{During, Limit, Metric, Sla, Subject, UserRange},
    };

    const NAME: &str = "GET /health";

    /// Returns a run that started `ago` seconds ago and has recorded nothing.
    fn started(ago: u64) -> (Snapshot, Arc<Recorder>) {
        let recorder = Arc::new(Recorder::new(1));
        recorder.start(Instant::now().checked_sub(Duration::from_secs(ago)).unwrap());
        let mut outcome = Outcome { ended: Ended::Killed, ..example::outcome() };
        outcome.endpoints.retain(|endpoint| endpoint.name == NAME);
        outcome.endpoints[0].cells.clear();
        outcome.samples.clear();
        (Snapshot::new(outcome, Arc::clone(&recorder), Arc::default()), recorder)
    }

    fn errors_below(percent: f64, abort_after_s: u32) -> Threshold {
        let limit = Limit::below(percent);
        Threshold {
            subject: Subject::Endpoint(NAME.into()),
            metric: Metric::all_errors(),
            limit,
            fail_limit: Some(limit),
            during: During::Run,
            abort_after_s: Some(abort_after_s),
            ..example::outcome().sla.thresholds[0].clone()
        }
    }

    fn send(recorder: &Recorder, second: u64, count: u32) -> Instant {
        let start = recorder.started_at().unwrap() + Duration::from_secs(second);
        for _ in 0..count {
            recorder.record_sent(recorder.assign_shard(), NAME, start);
        }
        start
    }

    fn finish(recorder: &Recorder, start: Instant, count: u32, failure: Option<FailureKind>) {
        for _ in 0..count {
            let sample = RequestSample {
                endpoint: NAME,
                intended_start: start,
                sent_at: start,
                first_byte: None,
                last_byte: start + Duration::from_millis(5),
                status: failure.is_none().then_some(200),
                bytes: 0,
                failure: failure.map(|kind| (kind, "reason".into())),
                trace: None,
                request_id: None,
            };
            recorder.record_finished(recorder.assign_shard(), sample);
        }
    }

    fn judge(snapshot: &mut Snapshot, threshold: &Threshold, second: u64) -> Option<u32> {
        let elapsed = Duration::from_secs(second);
        let aborted = snapshot.judge_at(std::slice::from_ref(threshold), elapsed);
        aborted.map(|aborted| aborted.after_s)
    }

    #[test]
    fn a_violation_aborts_once_it_is_decided_and_the_delay_is_over() {
        let (mut snapshot, recorder) = started(20);
        let limit = errors_below(10.0, 6);
        assert_eq!(judge(&mut snapshot, &limit, 9), None, "nothing was requested");
        let start = send(&recorder, 3, 1);
        finish(&recorder, start, 1, Some(FailureKind::ServerError));
        let one_of_one = judge(&mut snapshot, &errors_below(10.0, 0), 5);
        assert_eq!(one_of_one, None, "one failure does not decide it");
        let start = send(&recorder, 4, 20);
        finish(&recorder, start, 20, Some(FailureKind::ServerError));
        assert_eq!(judge(&mut snapshot, &limit, 5), None, "before the delay");
        assert_eq!(judge(&mut snapshot, &limit, 6), Some(6));
        assert_eq!(judge(&mut snapshot, &errors_below(100.0, 0), 7), None, "all did fail");
    }

    #[test]
    fn requests_in_progress_count_as_successes() {
        let (mut snapshot, recorder) = started(20);
        let limit = errors_below(10.0, 0);
        let start = send(&recorder, 2, 500);
        finish(&recorder, start, 20, Some(FailureKind::ServerError));
        assert_eq!(judge(&mut snapshot, &limit, 4), None, "20 of 500");
        finish(&recorder, start, 180, Some(FailureKind::ServerError));
        assert_eq!(judge(&mut snapshot, &limit, 5), Some(5), "200 of 500");
        finish(&recorder, start, 300, None);
        judge(&mut snapshot, &limit, 6);
        let counts = snapshot.outcome.endpoints[0].counts_in(&(0..9));
        assert_eq!((counts.sent, counts.succeeded, counts.server_errors), (500, 300, 200));
    }

    #[test]
    fn a_scaled_run_has_a_scaled_delay() {
        let (mut snapshot, recorder) = started(20);
        snapshot.outcome.load.time_scale = 0.1;
        let start = send(&recorder, 1, 50);
        finish(&recorder, start, 50, Some(FailureKind::TimedOut));
        let limit = errors_below(10.0, 60);
        assert_eq!(judge(&mut snapshot, &limit, 5), None);
        assert_eq!(judge(&mut snapshot, &limit, 6), Some(6));
    }

    /// Returns whether a run of 50 users with these `thresholds` is monitored.
    async fn is_monitored(thresholds: Vec<Threshold>) -> bool {
        let (snapshot, recorder) = started(1);
        let outcome = snapshot.outcome;
        let start = RunStart {
            load: outcome.load,
            target: outcome.target,
            generator: outcome.generator,
            started_at: outcome.started_at,
            endpoints: outcome.endpoints,
            counters: Vec::new(),
            sla: Sla { thresholds, ..outcome.sla },
        };
        let monitor = AbortMonitor::start(start, recorder, Arc::default());
        let is_monitored = monitor.task.is_some();
        assert_eq!(monitor.stop().await, None);
        is_monitored
    }

    #[tokio::test]
    async fn only_a_run_with_such_thresholds_for_its_users_is_monitored() {
        let of =
            |from, to| vec![Threshold { users: UserRange { from, to }, ..errors_below(1.0, 0) }];
        assert!(is_monitored(of(50, 50)).await);
        assert!(!is_monitored(of(51, 100)).await);
        let thresholds = example::outcome().sla.thresholds;
        assert!(!is_monitored(thresholds).await, "none of them aborts a run");
    }
}
