//! Number of requests of a user that were sent and have no complete response yet.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Number of requests in flight, which the clones of a client share.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<AtomicUsize>);

/// A request in flight, until it is dropped.
pub(super) struct RequestInFlight<'c>(&'c InFlight);

impl InFlight {
    /// Returns whether no request is in flight.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    /// Counts a request until the returned value is dropped.
    pub(super) fn start(&self) -> RequestInFlight<'_> {
        self.0.fetch_add(1, Relaxed);
        RequestInFlight(self)
    }
}

impl Drop for RequestInFlight<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}
