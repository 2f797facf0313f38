//! The load tests of the performance agent plan as a suite.

use std::time::Duration;

use crate::harness::Suite;

/// The suite `agent`.
pub(in crate::plant) const AGENT: Suite = Suite {
    name: "agent",
    description: "the load tests of the performance agent plan",
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
