//! Ticket load tests, endurance: a user that posts tickets.

use std::time::Duration;

use super::desk::{self, Task};
use crate::scenario::UserClass;

/// User class `EnduranceTestUser`.
pub(in crate::plant) static CLASS: UserClass = UserClass {
    description: "posts tickets steadily, looks some of them up, reads the history, the metrics and the health",
    wait: (Duration::from_secs(4), Duration::from_secs(8)),
    endpoints: &[
        Task::PostTicket.endpoint(),
        Task::ReadHistory.endpoint(),
        Task::FindTicket.endpoint(),
        Task::ReadMetrics.endpoint(),
        Task::CheckHealth.endpoint(),
    ],
    ..desk::class("EnduranceTestUser", &|| desk::scenario(&CLASS, &TASKS))
};

const TASKS: [(Task, usize); 5] = [
    (Task::PostTicket, 10),
    (Task::ReadHistory, 5),
    (Task::FindTicket, 3),
    (Task::ReadMetrics, 2),
    (Task::CheckHealth, 1),
];
