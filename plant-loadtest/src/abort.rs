//! Stops a run once a threshold with `abort_on_fail` is violated.
//!
//! About once a second the thresholds are judged by what was recorded so far, like those of a run that
//! was cut short: at the confidence of the SLA, and not where the load generator may be the cause.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use crate::{
    live::{InProgress, LiveOutcome},
    outcome::{Aborted, ResourceSample, RunStart},
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
            let outcome = start.into_outcome();
            let live = LiveOutcome::new(outcome, recorder, samples, InProgress::Success);
            tokio::spawn(monitor(live, thresholds, stopped))
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
    mut live: LiveOutcome,
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
            // `None` before the first user.
            let elapsed = live.elapsed();
            let aborted = elapsed.and_then(|elapsed| judge_at(&mut live, &thresholds, elapsed));
            (live, aborted)
        });
        let aborted;
        (live, aborted) = judged.await.ok()?;
        if aborted.is_some() {
            goose::trigger_killswitch("a threshold was violated");
            return aborted;
        }
        pause = INTERVAL.max(began.elapsed() * PAUSE_FACTOR);
    }
    None
}

/// Returns the first of `thresholds` that is violated `elapsed` after the start.
fn judge_at(
    live: &mut LiveOutcome,
    thresholds: &[Threshold],
    elapsed: Duration,
) -> Option<Aborted> {
    let after_s = u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX);
    live.update(elapsed);
    let outcome = live.outcome();
    let is_due = |threshold: &&Threshold| {
        let delay_s = threshold.abort_after_s.map_or(f64::INFINITY, f64::from);
        f64::from(after_s) >= delay_s * outcome.load.time_scale
    };
    let judging = outcome.sla.judging;
    let mut due = thresholds.iter().filter(is_due);
    let violated = due.find(|threshold| verdict::is_failed(outcome, threshold, judging));
    violated.map(|threshold| Aborted { after_s, threshold: threshold.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        failure::FailureKind,
        outcome::{Ended, Outcome},
        recorder::RequestSample,
        report::example,
        sla::{During, Limit, Metric, Sla, Subject, UserRange},
    };

    const NAME: &str = "GET /health";

    /// Returns a run that started `ago` seconds ago and has recorded nothing.
    fn started(ago: u64) -> (LiveOutcome, Arc<Recorder>) {
        started_with_scale(ago, 1.0)
    }

    /// Returns the same of a run whose durations are scaled.
    fn started_with_scale(ago: u64, time_scale: f64) -> (LiveOutcome, Arc<Recorder>) {
        let recorder = Arc::new(Recorder::new(1));
        recorder.start(Instant::now().checked_sub(Duration::from_secs(ago)).unwrap());
        let mut outcome = Outcome { ended: Ended::Killed, ..example::outcome() };
        outcome.endpoints.retain(|endpoint| endpoint.name == NAME);
        outcome.endpoints[0].cells.clear();
        outcome.samples.clear();
        outcome.load.time_scale = time_scale;
        let recorder_of_run = Arc::clone(&recorder);
        let live = LiveOutcome::new(outcome, recorder_of_run, Arc::default(), InProgress::Success);
        (live, recorder)
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

    fn judge(live: &mut LiveOutcome, threshold: &Threshold, second: u64) -> Option<u32> {
        let elapsed = Duration::from_secs(second);
        let aborted = judge_at(live, std::slice::from_ref(threshold), elapsed);
        aborted.map(|aborted| aborted.after_s)
    }

    #[test]
    fn a_violation_aborts_once_it_is_decided_and_the_delay_is_over() {
        let (mut live, recorder) = started(20);
        let limit = errors_below(10.0, 6);
        assert_eq!(judge(&mut live, &limit, 9), None, "nothing was requested");
        let start = send(&recorder, 3, 1);
        finish(&recorder, start, 1, Some(FailureKind::ServerError));
        let one_of_one = judge(&mut live, &errors_below(10.0, 0), 5);
        assert_eq!(one_of_one, None, "one failure does not decide it");
        let start = send(&recorder, 4, 20);
        finish(&recorder, start, 20, Some(FailureKind::ServerError));
        assert_eq!(judge(&mut live, &limit, 5), None, "before the delay");
        assert_eq!(judge(&mut live, &limit, 6), Some(6));
        assert_eq!(judge(&mut live, &errors_below(100.0, 0), 7), None, "all did fail");
    }

    #[test]
    fn requests_in_progress_count_as_successes() {
        let (mut live, recorder) = started(20);
        let limit = errors_below(10.0, 0);
        let start = send(&recorder, 2, 500);
        finish(&recorder, start, 20, Some(FailureKind::ServerError));
        assert_eq!(judge(&mut live, &limit, 4), None, "20 of 500");
        finish(&recorder, start, 180, Some(FailureKind::ServerError));
        assert_eq!(judge(&mut live, &limit, 5), Some(5), "200 of 500");
        finish(&recorder, start, 300, None);
        judge(&mut live, &limit, 6);
        let counts = live.outcome().endpoints[0].counts_in(&(0..9));
        assert_eq!((counts.sent, counts.succeeded, counts.server_errors), (500, 300, 200));
    }

    #[test]
    fn a_scaled_run_has_a_scaled_delay() {
        let (mut live, recorder) = started_with_scale(20, 0.1);
        let start = send(&recorder, 1, 50);
        finish(&recorder, start, 50, Some(FailureKind::TimedOut));
        let limit = errors_below(10.0, 60);
        assert_eq!(judge(&mut live, &limit, 5), None);
        assert_eq!(judge(&mut live, &limit, 6), Some(6));
    }

    /// Returns whether a run of 50 users with these `thresholds` is monitored.
    async fn is_monitored(thresholds: Vec<Threshold>) -> bool {
        let (live, recorder) = started(1);
        let outcome = live.outcome().clone();
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
