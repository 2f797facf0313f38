//! The end of a run, for the tasks that run at that time: a request is finished, a sleeping task is
//! ended.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{client::InFlight, recorder::Recorder};

/// Interval at which the end of the run is checked for, and whether tasks sleep after it.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long an on-stop task may sleep after the end of the run.
const ON_STOP_SLEEP: Duration = Duration::from_millis(500);

/// Waits until the run is interrupted, by Ctrl-C or because it was aborted.
pub async fn interrupted() {
    while !goose::is_killswitch_triggered() {
        sleep(POLL_INTERVAL).await;
    }
}

/// Whether the run has ended.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

/// Ends the tasks that hold its [`Stop`].
pub(super) struct StopSender(watch::Sender<bool>);

impl StopSender {
    /// Ends the tasks.
    pub(super) fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Checks for the end of the run until it is dropped.
pub(super) struct StopWatch(JoinHandle<()>);

impl Drop for StopWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Stop {
    /// Starts to check for the end of the run: `length` after its start, or when Goose's killswitch is
    /// set. A run without a `length` ends only with the killswitch.
    pub(super) fn watch(recorder: Arc<Recorder>, length: Option<Duration>) -> (Self, StopWatch) {
        let (sender, receiver) = watch::channel(false);
        let task = tokio::spawn(async move {
            let is_over = || {
                let elapsed = recorder.started_at().map(|started| started.elapsed());
                goose::is_killswitch_triggered() || length.is_some_and(|end| elapsed >= Some(end))
            };
            while !is_over() {
                sleep(POLL_INTERVAL).await;
            }
            let _ = sender.send(true);
            // The value is sent once; the sender stays until the run is over.
            sender.closed().await;
        });
        (Self(receiver), StopWatch(task))
    }

    /// Returns a stop that the returned sender triggers.
    pub(super) fn ordered() -> (StopSender, Self) {
        let (sender, receiver) = watch::channel(false);
        (StopSender(sender), Self(receiver))
    }

    /// Waits for the end of the run.
    pub(super) async fn ended(&self) {
        let mut ended = self.0.clone();
        // Without a sender nothing can run any more.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Returns whether the run has ended.
    pub(super) fn has_ended(&self) -> bool {
        *self.0.borrow()
    }

    /// Runs `task` to its end. Once the run has ended, ends the task as soon as it has no request in
    /// flight: it only sleeps.
    pub(super) async fn run<T>(
        &self,
        in_flight: &InFlight,
        task: impl Future<Output = T>,
    ) -> Option<T> {
        self.run_with(in_flight, Duration::ZERO, task).await
    }

    /// Runs an on-stop task, which may sleep for a moment between its requests.
    pub(super) async fn run_on_stop<T>(
        &self,
        in_flight: &InFlight,
        task: impl Future<Output = T>,
    ) -> Option<T> {
        self.run_with(in_flight, ON_STOP_SLEEP, task).await
    }

    async fn run_with<T>(
        &self,
        in_flight: &InFlight,
        longest_sleep: Duration,
        task: impl Future<Output = T>,
    ) -> Option<T> {
        let mut task = pin!(task);
        let mut ended = self.0.clone();
        tokio::select! {
            biased;
            output = &mut task => return Some(output),
            _ = ended.wait_for(|ended| *ended) => {}
        }
        let mut sleeping_since = Instant::now();
        loop {
            tokio::select! {
                biased;
                output = &mut task => return Some(output),
                () = sleep(POLL_INTERVAL) => {}
            }
            if !in_flight.is_idle() {
                sleeping_since = Instant::now();
            } else if sleeping_since.elapsed() >= longest_sleep {
                return None;
            }
        }
    }
}
