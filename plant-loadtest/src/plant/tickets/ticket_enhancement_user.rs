//! Ticket load tests, baseline: normal operation: a user that posts tickets.

use std::time::Duration;

use super::desk::{self, Task};
use crate::scenario::UserClass;

/// User class `TicketEnhancementUser`.
pub(in crate::plant) static CLASS: UserClass = UserClass {
    description: "posts tickets, reads the history and the metrics",
    wait: (Duration::from_secs(3), Duration::from_secs(7)),
    endpoints: &[
        Task::PostTicket.endpoint(),
        Task::ReadHistory.endpoint(),
        Task::ReadMetrics.endpoint(),
    ],
    ..desk::class("TicketEnhancementUser", &|| desk::scenario(&CLASS, &TASKS))
};

const TASKS: [(Task, usize); 3] =
    [(Task::PostTicket, 10), (Task::ReadHistory, 3), (Task::ReadMetrics, 1)];
