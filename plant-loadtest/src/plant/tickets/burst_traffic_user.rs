//! Ticket load tests, bursts: a user that posts tickets.

use std::time::Duration;

use super::desk::{self, Task};
use crate::scenario::UserClass;

/// User class `BurstTrafficUser`.
pub(in crate::plant) static CLASS: UserClass = UserClass {
    description: "posts tickets in quick succession, checks the health now and then",
    wait: (Duration::from_secs(1), Duration::from_secs(2)),
    endpoints: &[Task::PostTicket.endpoint(), Task::CheckHealth.endpoint()],
    ..desk::class("BurstTrafficUser", &|| desk::scenario(&CLASS, &TASKS))
};

const TASKS: [(Task, usize); 2] = [(Task::PostTicket, 20), (Task::CheckHealth, 1)];
