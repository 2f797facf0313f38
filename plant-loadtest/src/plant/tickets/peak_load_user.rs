//! Ticket load tests, peak load: a user that posts tickets.

use std::time::Duration;

use super::desk::{self, Task};
use crate::scenario::UserClass;

/// User class `PeakLoadUser`.
pub(in crate::plant) static CLASS: UserClass = UserClass {
    description: "posts many tickets, reads the history, the metrics and the health",
    wait: (Duration::from_secs(2), Duration::from_secs(5)),
    endpoints: &[
        Task::PostTicket.endpoint(),
        Task::ReadHistory.endpoint(),
        Task::ReadMetrics.endpoint(),
        Task::CheckHealth.endpoint(),
    ],
    ..desk::class("PeakLoadUser", &|| desk::scenario(&CLASS, &TASKS))
};

const TASKS: [(Task, usize); 4] = [
    (Task::PostTicket, 15),
    (Task::ReadHistory, 5),
    (Task::ReadMetrics, 2),
    (Task::CheckHealth, 1),
];
