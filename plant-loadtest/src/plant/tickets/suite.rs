//! The ticket load tests as a suite.

use std::time::Duration;

use super::tenant;
use crate::harness::Suite;

/// The suite `tickets`.
pub(in crate::plant) const TICKETS: Suite = Suite {
    name: "tickets",
    description: "the ticket load tests",
    profiles: &["tickets-baseline", "tickets-peak", "tickets-burst", "tickets-endurance"],
    cool_down: Duration::from_secs(30),
    prepare: Some(&tenant::RESET),
};
