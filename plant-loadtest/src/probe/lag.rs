//! How late this process wakes from a sleep: what any of its users may be late by.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time::sleep};

use crate::distribution::Distribution;

/// Short enough for dozens of samples a second, long enough to cost nothing.
const NAP: Duration = Duration::from_millis(20);

/// A sleeper that notes how late it woke, until it is dropped.
pub(super) struct Lag {
    seen: Arc<Mutex<Distribution>>,
    sleeper: JoinHandle<()>,
}

impl Lag {
    /// Starts to sleep and wake.
    pub(super) fn watch() -> Self {
        let seen = Arc::new(Mutex::new(Distribution::default()));
        let notes = Arc::clone(&seen);
        let sleeper = tokio::spawn(async move {
            loop {
                let slept = Instant::now();
                sleep(NAP).await;
                let late = slept.elapsed().saturating_sub(NAP);
                notes.lock().unwrap_or_else(PoisonError::into_inner).record(late);
            }
        });
        Self { seen, sleeper }
    }

    /// What was seen since the last call.
    pub(super) fn since_last(&self) -> Distribution {
        mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        self.sleeper.abort();
    }
}
