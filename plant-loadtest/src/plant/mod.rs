//! The Plant service as seen by the harness: its user classes, profiles, SLA files, accounts, checks
//! and metric names. The only module that knows it.

mod accounts;
mod admin_key;
mod agent_list_user;
mod agent_search_user;
mod auth_user;
mod files;
mod generation_user;
mod genesis_user;
mod health_check_user;
mod own_account;
mod payment_user;
mod performance_agent;
mod plant_backend_user;
mod plant_user;
mod service;
mod session;
pub mod stub_responses;
mod test_data;
mod tickets;

use serde::Deserialize;

use crate::{
    class_options::ClassOption,
    client::{Endpoint, Shape},
    harness::{Harness, Suite},
};
use session::Session;

/// Returns the harness for Plant.
#[must_use]
pub fn harness() -> Harness {
    Harness::new("plant-loadtest")
        .classes([
            &plant_backend_user::CLASS,
            &health_check_user::CLASS,
            &plant_user::CLASS,
            &genesis_user::CLASS,
            &agent_list_user::CLASS,
            &agent_search_user::CLASS,
            &auth_user::CLASS,
            &generation_user::CLASS,
            &payment_user::CLASS,
            &tickets::TICKET_ENHANCEMENT_USER,
            &tickets::PEAK_LOAD_USER,
            &tickets::BURST_TRAFFIC_USER,
            &tickets::ENDURANCE_TEST_USER,
            &performance_agent::PERFORMANCE_AGENT_USER,
            &performance_agent::HEALTH_USER,
            &performance_agent::CONFIG_USER,
            &performance_agent::CAPABILITIES_USER,
            &performance_agent::WORKFLOWS_USER,
            &performance_agent::BATCH_USER,
        ])
        .profiles(files::PROFILES)
        .slas(files::SLAS)
        .service(service::service())
        .options(OPTIONS)
        .suites(SUITES)
        .stub_responses(stub_responses::for_stub)
}

const SUITES: &[Suite] = &[tickets::SUITE, performance_agent::SUITE];

const OPTIONS: &[ClassOption] = &[tickets::WEBHOOK_SECRET, tickets::TENANT, admin_key::OPTION];

/// `GET /health`, requested by several classes.
static HEALTH: Endpoint = Endpoint {
    name: "GET /health",
    expected_statuses: &[200],
    shape: Shape::Object(&["status", "timestamp"]),
    tags: &[],
};

/// `GET /api/v1/agents`, requested by several classes.
static LIST_AGENTS: Endpoint = Endpoint {
    name: "GET /api/v1/agents",
    expected_statuses: &[200],
    shape: Shape::NonEmptyArray(&["id", "name", "industry", "status"]),
    tags: &["read"],
};

/// `POST /api/v1/skills`, requested by several classes.
static CREATE_SKILL: Endpoint = Endpoint {
    name: "POST /api/v1/skills",
    // 200: the skill exists already, which is common because `PlantUser` picks one of 1000 names.
    expected_statuses: &[200, 201],
    shape: Shape::Object(&["id", "name", "category"]),
    tags: &["write"],
};

#[derive(Deserialize)]
struct Item {
    id: String,
}

/// Returns the `id` of every item of a JSON array.
fn ids(list: &[u8]) -> Vec<String> {
    let items: Vec<Item> = serde_json::from_slice(list).unwrap_or_default();
    items.into_iter().map(|item| item.id).collect()
}

/// Returns the `id` of a JSON object.
fn id(object: &[u8]) -> Option<String> {
    serde_json::from_slice(object).ok().map(|item: Item| item.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_named_after_an_endpoint_that_its_class_declares() {
        for class in harness().classes {
            let scenario = (class.scenario)().unwrap();
            assert_eq!(&*scenario.name, class.name);
            assert_eq!(scenario.transaction_wait, Some(class.wait));
            for task in &scenario.transactions {
                let name = task.name.name_for_transaction();
                assert!(
                    class.endpoints.iter().any(|endpoint| endpoint.name == name),
                    "{}: {name}",
                    class.name
                );
            }
        }
    }

    #[test]
    fn ids_are_read_from_an_array() {
        assert_eq!(ids(br#"[{"id":"a","x":1},{"id":"b"}]"#), ["a", "b"]);
        assert!(ids(b"{}").is_empty());
    }
}
