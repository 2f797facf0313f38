//! Ticket load tests: a service desk that posts signed tickets, which the service enhances later.

mod burst_traffic_user;
mod desk;
mod endurance_test_user;
mod options;
mod peak_load_user;
mod signature;
mod suite;
mod tenant;
mod ticket;
mod ticket_enhancement_user;

pub(super) use burst_traffic_user::CLASS as BURST_TRAFFIC_USER;
pub(super) use endurance_test_user::CLASS as ENDURANCE_TEST_USER;
pub(super) use options::{TENANT, WEBHOOK_SECRET};
pub(super) use peak_load_user::CLASS as PEAK_LOAD_USER;
pub(super) use suite::TICKETS as SUITE;
pub(super) use ticket_enhancement_user::CLASS as TICKET_ENHANCEMENT_USER;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::UserClass;

    /// Returns the wait in seconds, and the endpoints with the weights of their tasks.
    fn describe(class: &UserClass) -> (u64, u64, Vec<(String, usize)>) {
        let scenario = (class.scenario)().unwrap();
        let tasks = scenario.transactions.iter().map(|task| {
            let name = task.name.name_for_transaction();
            (name.to_owned(), task.weight)
        });
        (class.wait.0.as_secs(), class.wait.1.as_secs(), tasks.collect())
    }

    #[test]
    fn waits_and_weights_are_those_of_the_contract() {
        const POST: &str = "POST /webhooks/servicedesk/{tenant_id}";
        const HISTORY: &str = "GET /enhancements/history";
        const FIND: &str = "GET /enhancements/{ticket_id}";
        const METRICS: &str = "GET /metrics";
        const HEALTH: &str = "GET /health";
        let tasks = |tasks: &[(&str, usize)]| -> Vec<(String, usize)> {
            tasks.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect()
        };
        for (class, wait, expected) in [
            (&TICKET_ENHANCEMENT_USER, (3, 7), tasks(&[(POST, 10), (HISTORY, 3), (METRICS, 1)])),
            (
                &PEAK_LOAD_USER,
                (2, 5),
                tasks(&[(POST, 15), (HISTORY, 5), (METRICS, 2), (HEALTH, 1)]),
            ),
            (&BURST_TRAFFIC_USER, (1, 2), tasks(&[(POST, 20), (HEALTH, 1)])),
            (
                &ENDURANCE_TEST_USER,
                (4, 8),
                tasks(&[(POST, 10), (HISTORY, 5), (FIND, 3), (METRICS, 2), (HEALTH, 1)]),
            ),
        ] {
            assert_eq!(describe(class), (wait.0, wait.1, expected), "{}", class.name);
        }
    }

    #[test]
    fn the_suite_names_built_in_profiles() {
        for profile in SUITE.profiles {
            assert!(crate::plant::harness().profiles.iter().any(|file| file.name == *profile));
        }
    }
}
