//! Detects that requests arrive faster than the pool's connections serve them.
//!
//! The criterion is that of CoDel (RFC 8289): a queue that is worked off within an interval absorbs a
//! burst; one in which everybody waits longer than a target for an interval only adds its length to
//! each latency. While that lasts, requests wait at most for the target, so that those which are
//! served are served soon and the others can be retried elsewhere or later.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Duration for which nobody must have waited less than the target before it counts as congestion.
const INTERVAL: Duration = Duration::from_millis(500);

/// State of the queue for connections. All times are durations since the creation of the pool.
#[derive(Debug)]
pub(super) struct Congestion {
    target: Duration,
    /// Time of the last acquire that waited less than the target, in microseconds.
    last_short_wait: AtomicU64,
    is_congested: AtomicBool,
}

impl Congestion {
    pub(super) fn new(target: Duration) -> Self {
        Self { target, last_short_wait: AtomicU64::new(0), is_congested: AtomicBool::new(false) }
    }

    /// Returns the longest wait of a request for a connection during congestion.
    pub(super) fn target(&self) -> Duration {
        self.target
    }

    /// Records that a connection was acquired at `now` after waiting for it. Congestion ends when the queue is
    /// empty.
    pub(super) fn record(&self, now: Duration, wait: Duration, is_queue_empty: bool) {
        if wait < self.target {
            self.last_short_wait.store(micros(now), Ordering::Relaxed);
        }
        if is_queue_empty {
            self.is_congested.store(false, Ordering::Relaxed);
        }
    }

    /// Returns whether a request that has waited until `now` for the target should be rejected.
    pub(super) fn is_congested(&self, now: Duration) -> bool {
        let last = self.last_short_wait.load(Ordering::Relaxed);
        if micros(now).saturating_sub(last) > micros(INTERVAL) {
            self.is_congested.store(true, Ordering::Relaxed);
        }
        self.is_congested.load(Ordering::Relaxed)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_burst_is_absorbed() {
        let congestion = Congestion::new(50 * MS);
        congestion.record(1000 * MS, Duration::ZERO, true);
        assert!(!congestion.is_congested(1500 * MS));
        congestion.record(1490 * MS, 49 * MS, false);
        assert!(!congestion.is_congested(1990 * MS));
    }

    #[test]
    fn a_queue_in_which_everybody_waits_is_congestion_until_it_is_empty() {
        let congestion = Congestion::new(50 * MS);
        congestion.record(1000 * MS, Duration::ZERO, true);
        congestion.record(1480 * MS, 50 * MS, false);
        assert!(congestion.is_congested(1501 * MS));
        // Short waits are then the effect of rejecting others.
        congestion.record(1502 * MS, 10 * MS, false);
        assert!(congestion.is_congested(1503 * MS));
        congestion.record(1504 * MS, 10 * MS, true);
        assert!(!congestion.is_congested(1505 * MS));
    }
}
