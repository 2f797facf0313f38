//! Circuit breakers, one for each host: after several consecutive failures of a host, its circuit
//! opens, and no call is made until some time has passed. Then one call, the probe, decides whether
//! the circuit closes or opens again, for twice as long.
//!
//! ```text
//! closed ── MAX_FAILURES in a row, or "too many requests" ──▶ open ── time passed ──▶ half-open
//!    ▲                                                         ▲                         │
//!    └───────────────── probe succeeded ───────────────────────┼── probe failed ─────────┘
//! ```
//!
//! Hosts without failures have no entry, so the map is as small as the number of failing hosts. Each
//! process has its own circuits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus::IntGauge;

use crate::clock::Clock;

/// Consecutive failures that open a circuit.
const MAX_FAILURES: u32 = 5;

/// Time for which a circuit opens first; it doubles with each failed probe.
const OPEN_DURATION: Duration = Duration::from_secs(5);
const MAX_OPEN_DURATION: Duration = Duration::from_secs(60);

/// Delay for the calls that are not the probe while the probe is running.
const PROBE_DELAY: Duration = Duration::from_secs(1);

/// Circuits by host. Clones share the state.
#[derive(Clone)]
pub struct Circuits(Arc<Inner>);

struct Inner {
    clock: Clock,
    circuits: Mutex<HashMap<String, Circuit>>,
    /// Number of circuits that are open or half-open.
    open: IntGauge,
}

enum Circuit {
    Closed { failures: u32 },
    Open { until: DateTime<Utc>, last_duration: Duration, probing: bool },
}

/// Permission for one call. Dropped without a result, such as at a canceled call, it changes nothing
/// and allows another probe.
#[must_use]
pub struct Permit {
    circuits: Circuits,
    host: String,
    is_probe: bool,
}

impl Circuits {
    /// Creates closed circuits; `open` is the gauge of those that are open.
    pub fn new(clock: Clock, open: IntGauge) -> Self {
        Self(Arc::new(Inner { clock, circuits: Mutex::default(), open }))
    }

    /// Allows a call to `host`.
    ///
    /// # Errors
    /// When the circuit is open; returns the delay until it makes sense to try again.
    pub fn permit(&self, host: &str) -> Result<Permit, Duration> {
        let now = self.0.clock.now();
        let mut circuits = self.lock();
        let is_probe = match circuits.get_mut(host) {
            Some(Circuit::Open { until, .. }) if *until > now => {
                return Err((*until - now).to_std().unwrap_or(PROBE_DELAY));
            }
            Some(Circuit::Open { probing: true, .. }) => return Err(PROBE_DELAY),
            Some(Circuit::Open { probing, .. }) => {
                *probing = true;
                true
            }
            Some(Circuit::Closed { .. }) | None => false,
        };
        drop(circuits);
        Ok(Permit { circuits: self.clone(), host: host.to_owned(), is_probe })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Circuit>> {
        self.0.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_gauge(&self, circuits: &HashMap<String, Circuit>) {
        let open = circuits.values().filter(|c| matches!(c, Circuit::Open { .. })).count();
        self.0.open.set(i64::try_from(open).unwrap_or(i64::MAX));
    }
}

impl Permit {
    /// Closes the circuit. The late success of a call from before the circuit opened does not.
    pub fn succeeded(self) {
        let mut circuits = self.circuits.lock();
        if self.is_probe || matches!(circuits.get(&self.host), Some(Circuit::Closed { .. })) {
            circuits.remove(&self.host);
        }
        self.circuits.set_gauge(&circuits);
    }

    /// Counts a failure of the host. The late failure of a call from before the circuit opened does
    /// not keep it open for longer.
    pub fn failed(self) {
        let mut circuits = self.circuits.lock();
        let circuit = circuits.entry(self.host.clone()).or_insert(Circuit::Closed { failures: 0 });
        let duration = match circuit {
            Circuit::Closed { failures } => {
                *failures += 1;
                (*failures >= MAX_FAILURES).then_some(OPEN_DURATION)
            }
            Circuit::Open { last_duration, .. } => {
                self.is_probe.then_some((*last_duration * 2).min(MAX_OPEN_DURATION))
            }
        };
        if let Some(duration) = duration {
            tracing::warn!(host = self.host, ?duration, "circuit opened: no calls to this host");
            *circuit = self.circuits.open_for(duration, duration);
        }
        self.circuits.set_gauge(&circuits);
    }

    /// Opens the circuit for a time that the host has asked for.
    pub fn deferred(self, delay: Duration) {
        let mut circuits = self.circuits.lock();
        circuits.insert(self.host.clone(), self.circuits.open_for(delay, OPEN_DURATION));
        self.circuits.set_gauge(&circuits);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.is_probe
            && let Some(Circuit::Open { probing, .. }) = self.circuits.lock().get_mut(&self.host)
        {
            *probing = false;
        }
    }
}

impl Circuits {
    fn open_for(&self, duration: Duration, last_duration: Duration) -> Circuit {
        Circuit::Open { until: self.0.clock.now() + duration, last_duration, probing: false }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const HOST: &str = "desk.example.com";

    fn circuits() -> (Circuits, Clock, IntGauge) {
        let clock = Clock::fixed("2026-01-02T03:04:05Z".parse().unwrap());
        let gauge = IntGauge::new("open", "open").unwrap();
        (Circuits::new(clock.clone(), gauge.clone()), clock, gauge)
    }

    fn fail(circuits: &Circuits, times: u32) {
        for _ in 0..times {
            circuits.permit(HOST).ok().unwrap().failed();
        }
    }

    #[test]
    fn consecutive_failures_open_the_circuit_of_their_host_only() {
        let (circuits, _, gauge) = circuits();
        fail(&circuits, MAX_FAILURES - 1);
        circuits.permit(HOST).ok().unwrap().succeeded();
        fail(&circuits, MAX_FAILURES - 1);
        assert!(circuits.permit(HOST).is_ok() && gauge.get() == 0);
        fail(&circuits, 1);
        assert_eq!(circuits.permit(HOST).err(), Some(OPEN_DURATION));
        assert_eq!(gauge.get(), 1);
        assert!(circuits.permit("other.example.com").is_ok());
    }

    #[test]
    fn one_probe_closes_a_circuit_or_opens_it_for_twice_as_long() {
        let (circuits, clock, gauge) = circuits();
        fail(&circuits, MAX_FAILURES);
        let mut duration = OPEN_DURATION;
        for _ in 0..5 {
            clock.advance(TimeDelta::from_std(duration).unwrap() - TimeDelta::seconds(1));
            assert_eq!(circuits.permit(HOST).err(), Some(Duration::from_secs(1)));
            clock.advance(TimeDelta::seconds(1));
            let probe = circuits.permit(HOST).ok().unwrap();
            assert_eq!(circuits.permit(HOST).err(), Some(PROBE_DELAY));
            probe.failed();
            duration = (duration * 2).min(MAX_OPEN_DURATION);
            assert_eq!(circuits.permit(HOST).err(), Some(duration));
        }
        assert_eq!(duration, MAX_OPEN_DURATION);
        clock.advance(TimeDelta::seconds(60));
        circuits.permit(HOST).ok().unwrap().succeeded();
        assert_eq!(gauge.get(), 0);
        fail(&circuits, MAX_FAILURES - 1);
        assert!(circuits.permit(HOST).is_ok());
    }

    #[test]
    fn a_probe_without_a_result_allows_another() {
        let (circuits, clock, _) = circuits();
        fail(&circuits, MAX_FAILURES);
        clock.advance(TimeDelta::seconds(5));
        drop(circuits.permit(HOST).ok().unwrap());
        circuits.permit(HOST).ok().unwrap().succeeded();
        assert!(circuits.permit(HOST).is_ok());
    }

    #[test]
    fn late_results_do_not_change_an_open_circuit() {
        let (circuits, _, _) = circuits();
        let [late_success, late_failure] = [(); 2].map(|()| circuits.permit(HOST).ok().unwrap());
        fail(&circuits, MAX_FAILURES);
        late_success.succeeded();
        late_failure.failed();
        assert_eq!(circuits.permit(HOST).err(), Some(OPEN_DURATION));
    }

    #[test]
    fn a_host_that_asks_for_a_delay_gets_it() {
        let (circuits, clock, _) = circuits();
        circuits.permit(HOST).ok().unwrap().deferred(Duration::from_secs(7));
        assert_eq!(circuits.permit(HOST).err(), Some(Duration::from_secs(7)));
        clock.advance(TimeDelta::seconds(7));
        circuits.permit(HOST).ok().unwrap().succeeded();
        assert!(circuits.permit(HOST).is_ok());
    }
}
