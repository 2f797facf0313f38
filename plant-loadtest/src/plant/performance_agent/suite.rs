//! The load tests of seed 002 as a suite.

use std::time::Duration;

use crate::harness::Suite;

/// The suite `agent`.
pub(in crate::plant) const AGENT: Suite = Suite {
    name: "agent",
    description: "the load tests of seed 002",
    profiles: &[
        "agent-load",
        "agent-stress",
        "agent-resources",
        "agent-throughput",
        "agent-ladder",
    ],
    cool_down: Duration::from_secs(10),
    prepare: None,
};
