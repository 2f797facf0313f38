//! Measures how late timers of this process fire, which is how late any of its users may be.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time::sleep};

use crate::distribution::Distribution;

/// Length of one sleep: 50 samples per second at negligible cost.
const SLEEP_DURATION: Duration = Duration::from_millis(20);

/// A background task that records the lag of its timer until it is dropped.
pub(super) struct TimerLag {
    lags: Arc<Mutex<Distribution>>,
    task: JoinHandle<()>,
}

impl TimerLag {
    /// Starts the task.
    pub(super) fn start() -> Self {
        let lags = Arc::new(Mutex::new(Distribution::default()));
        let recorded = Arc::clone(&lags);
        let task = tokio::spawn(async move {
            loop {
                let started = Instant::now();
                sleep(SLEEP_DURATION).await;
                let lag = started.elapsed().saturating_sub(SLEEP_DURATION);
                recorded.lock().unwrap_or_else(PoisonError::into_inner).record(lag);
            }
        });
        Self { lags, task }
    }

    /// Returns the lags recorded since the last call.
    pub(super) fn take(&self) -> Distribution {
        mem::take(&mut *self.lags.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for TimerLag {
    fn drop(&mut self) {
        self.task.abort();
    }
}
