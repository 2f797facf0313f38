//! Rejects requests while the process gets more than it can handle.
//!
//! The measure is the delay with which tasks run: how much later than intended a periodic task is woken,
//! because the requests that arrived before are handled first. A queue that is worked off soon absorbs a
//! burst; if the delay stays above a target, requests are rejected whenever it is above it. The queue
//! then has about the length of the target, and the process is never idle because of rejections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Interval of the measurements.
const INTERVAL: Duration = Duration::from_millis(10);

/// The delay above which requests are rejected.
const TARGET: Duration = Duration::from_millis(50);

/// Duration for which the delay must be above the target before requests are rejected: a burst that is
/// worked off in this time is not overload.
const TOLERANCE: Duration = Duration::from_millis(200);

/// Duration for which the delay must be below the target before a burst is absorbed again.
const CALM: Duration = Duration::from_secs(1);

/// Maximum time that one measurement counts for: a process that was stopped has no queue because of that.
const MAX_STEP: Duration = Duration::from_millis(100);

/// One of so many requests is always accepted, so that the delay is that of real work.
const ACCEPTED: u64 = 20;

/// Whether requests are rejected. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Overload(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_rejecting: AtomicBool,
    /// Number of requests that arrived while requests were rejected.
    requests: AtomicU64,
}

impl Overload {
    /// Measures the delay and decides on rejections until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut detector = Detector::default();
        while !shutdown.is_cancelled() {
            let started = Instant::now();
            tokio::time::sleep(INTERVAL).await;
            let elapsed = started.elapsed();
            let is_rejecting = detector.step(elapsed, elapsed.saturating_sub(INTERVAL));
            self.0.is_rejecting.store(is_rejecting, Ordering::Relaxed);
        }
    }

    /// Returns whether to reject a request.
    pub fn rejects(&self) -> bool {
        self.0.is_rejecting.load(Ordering::Relaxed)
            && !self.0.requests.fetch_add(1, Ordering::Relaxed).is_multiple_of(ACCEPTED)
    }
}

/// Distinguishes overload from bursts.
#[derive(Debug, Default)]
struct Detector {
    is_overloaded: bool,
    /// For how long the delay has been above the target.
    late: Duration,
    /// For how long the delay has been below the target.
    in_time: Duration,
}

impl Detector {
    /// Returns whether to reject requests after a measurement, `elapsed` after the one before.
    fn step(&mut self, elapsed: Duration, delay: Duration) -> bool {
        let is_late = delay > TARGET;
        let (grows, ends) = match is_late {
            true => (&mut self.late, &mut self.in_time),
            false => (&mut self.in_time, &mut self.late),
        };
        *grows += elapsed.min(MAX_STEP);
        *ends = Duration::ZERO;
        self.is_overloaded = self.late >= TOLERANCE || self.is_overloaded && self.in_time < CALM;
        self.is_overloaded && is_late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const LATE: Duration = Duration::from_millis(70);

    /// Returns the last decision after measurements of this delay for this time.
    fn run(detector: &mut Detector, time: Duration, delay: Duration) -> bool {
        let elapsed = INTERVAL + delay;
        (0..time.as_millis() / elapsed.as_millis())
            .fold(false, |_, _| detector.step(elapsed, delay))
    }

    #[test]
    fn a_burst_that_is_soon_worked_off_is_accepted() {
        let mut detector = Detector::default();
        for _ in 0..10 {
            assert!(!run(&mut detector, 160 * MS, LATE));
            assert!(!run(&mut detector, 20 * MS, Duration::ZERO));
        }
    }

    #[test]
    fn requests_are_rejected_whenever_tasks_are_late_under_overload() {
        let mut detector = Detector::default();
        assert!(run(&mut detector, 240 * MS, LATE));
        // Until the queue is short, and again as soon as it is not.
        assert!(!run(&mut detector, 60 * MS, TARGET));
        assert!(detector.step(80 * MS, LATE));
    }

    #[test]
    fn bursts_are_absorbed_again_after_a_calm_second() {
        let mut detector = Detector::default();
        assert!(run(&mut detector, 240 * MS, LATE));
        assert!(!run(&mut detector, 990 * MS, Duration::ZERO));
        assert!(detector.step(80 * MS, LATE));
        assert!(!run(&mut detector, 1000 * MS, Duration::ZERO));
        assert!(!run(&mut detector, 160 * MS, LATE));
    }

    #[test]
    fn one_late_measurement_is_no_overload() {
        let mut detector = Detector::default();
        assert!(!detector.step(2000 * MS, 1990 * MS));
        assert!(!detector.step(10 * MS, Duration::ZERO));
    }

    #[test]
    fn one_of_twenty_requests_is_accepted_under_overload() {
        let overload = Overload::default();
        assert!((0..100).all(|_| !overload.rejects()));
        overload.0.is_rejecting.store(true, Ordering::Relaxed);
        let rejected = (0..1000).filter(|_| overload.rejects()).count();
        assert_eq!(rejected, 950);
    }
}
