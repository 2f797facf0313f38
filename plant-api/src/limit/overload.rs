//! Rejects a share of the requests while the process gets more than it can handle.
//!
//! The measure is the delay with which tasks run: how much later than intended a periodic task is woken,
//! because the requests that arrived before are handled first. If it stays above a target, a share
//! of the requests is rejected, and the share follows the delay: it rises while the delay is above the
//! target and falls below it. This is the principle of PIE (RFC 8033), a proportional controller of a
//! queue's delay.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Interval of the measurements.
const INTERVAL: Duration = Duration::from_millis(20);

/// The delay that the share is controlled for.
const TARGET: Duration = Duration::from_millis(50);

/// Duration for which the delay must be above the target before requests are rejected: a burst that is
/// worked off in this time is not overload.
const TOLERANCE: Duration = Duration::from_millis(500);

/// Maximum time that one measurement counts for: a process that was stopped has no queue because of that.
const MAX_STEP: Duration = Duration::from_millis(100);

/// Change of the share per second and per target that the delay is away from the target.
const GAIN: f64 = 1.0;

/// Maximum deviation of the delay, in targets, that changes the share.
const MAX_DEVIATION: f64 = 4.0;

/// Maximum share: some requests are always accepted, so that the delay is that of real work.
const MAX_SHARE: f64 = 0.95;

/// Share of the requests that are rejected. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Overload(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// The share in thousandths.
    share: AtomicU64,
    /// Number of requests while the share was not zero.
    requests: AtomicU64,
}

impl Overload {
    /// Measures the delay and sets the share until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut controller = Controller::default();
        while !shutdown.is_cancelled() {
            let started = Instant::now();
            tokio::time::sleep(INTERVAL).await;
            let elapsed = started.elapsed();
            let share = controller.step(elapsed, elapsed.saturating_sub(INTERVAL));
            self.0.share.store((share * 1000.0).round() as u64, Ordering::Relaxed);
        }
    }

    /// Returns whether to reject a request. The rejected ones are spread evenly.
    pub fn rejects(&self) -> bool {
        let share = self.0.share.load(Ordering::Relaxed);
        if share == 0 {
            return false;
        }
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed) % 1000;
        // Coprime to 1000, so that each remainder occurs once; no pattern of a client meets the same decision.
        number * 617 % 1000 < share
    }
}

/// The controller of the share.
#[derive(Debug, Default)]
struct Controller {
    /// For how long the delay has been above the target.
    excess_time: Duration,
    share: f64,
}

impl Controller {
    /// Returns the share after a measurement, `elapsed` after the one before.
    fn step(&mut self, elapsed: Duration, delay: Duration) -> f64 {
        let elapsed = elapsed.min(MAX_STEP);
        let deviation = delay.as_secs_f64() / TARGET.as_secs_f64() - 1.0;
        self.excess_time =
            if deviation > 0.0 { self.excess_time + elapsed } else { Duration::ZERO };
        if self.share > 0.0 || self.excess_time > TOLERANCE {
            let change = GAIN * deviation.min(MAX_DEVIATION) * elapsed.as_secs_f64();
            self.share = (self.share + change).clamp(0.0, MAX_SHARE);
        }
        self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const LATE: Duration = Duration::from_millis(75);

    /// Returns the share after measurements of this delay for this time.
    fn run(controller: &mut Controller, time: Duration, delay: Duration) -> f64 {
        let elapsed = INTERVAL + delay;
        (0..time.as_millis() / elapsed.as_millis())
            .fold(0.0, |_, _| controller.step(elapsed, delay))
    }

    #[test]
    fn a_burst_that_is_soon_worked_off_is_accepted() {
        let mut controller = Controller::default();
        for _ in 0..10 {
            assert_eq!(run(&mut controller, 480 * MS, LATE), 0.0);
            assert_eq!(run(&mut controller, 40 * MS, Duration::ZERO), 0.0);
        }
    }

    #[test]
    fn the_share_follows_the_delay() {
        let mut controller = Controller::default();
        let rising = run(&mut controller, 800 * MS, LATE);
        assert!((0.1..0.3).contains(&rising), "{rising}");
        let higher = run(&mut controller, 5000 * MS, LATE);
        assert_eq!(higher, MAX_SHARE);
        let falling = run(&mut controller, 500 * MS, Duration::ZERO);
        assert!((0.4..0.5).contains(&falling), "{falling}");
        assert_eq!(run(&mut controller, 500 * MS, Duration::ZERO), 0.0);
    }

    #[test]
    fn one_late_measurement_is_no_overload() {
        let mut controller = Controller::default();
        assert_eq!(controller.step(2000 * MS, 1980 * MS), 0.0);
        assert_eq!(controller.step(20 * MS, Duration::ZERO), 0.0);
    }

    #[test]
    fn at_the_target_the_share_stays() {
        let mut controller = Controller { excess_time: Duration::ZERO, share: 0.5 };
        assert_eq!(run(&mut controller, 1000 * MS, TARGET), 0.5);
    }

    #[test]
    fn the_share_of_the_requests_is_rejected_evenly() {
        for (share, expected) in [(0, 0), (250, 25), (500, 50), (950, 95)] {
            let overload = Overload::default();
            overload.0.share.store(share, Ordering::Relaxed);
            let rejected: Vec<bool> = (0..1000).map(|_| overload.rejects()).collect();
            let count = |requests: &[bool]| requests.iter().filter(|rejected| **rejected).count();
            assert_eq!(count(&rejected), 10 * expected, "{share}");
            assert!(count(&rejected[..100]).abs_diff(expected) <= 2, "{share}");
        }
    }
}
