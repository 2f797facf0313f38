//! The user classes, one file each.
//!
//! A class is a Goose scenario. Its tasks (Goose: transactions) take everything they need from the
//! [`Session`] of the user that runs them, so that the same scenario runs in both engines.

mod agent_list_user;
mod agent_search_user;
mod auth_user;
mod generation_user;
mod genesis_user;
mod health_check_user;
mod own_account;
mod payment_user;
mod plant_backend_user;
mod plant_user;
mod selftest_user;

use std::{collections::BTreeMap, time::Duration};

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, TransactionError},
};
use serde::Deserialize;

use crate::{
    access::TEST_CUSTOMERS,
    client::{Client, Endpoint, Shape},
    load::Stage,
    sla::AllowedNames,
    work::WorkKind,
};

pub use own_account::OwnAccount;

/// All user classes.
pub static ALL: [&UserClass; 10] = [
    &plant_backend_user::CLASS,
    &health_check_user::CLASS,
    &plant_user::CLASS,
    &genesis_user::CLASS,
    &agent_list_user::CLASS,
    &agent_search_user::CLASS,
    &auth_user::CLASS,
    &generation_user::CLASS,
    &payment_user::CLASS,
    &selftest_user::CLASS,
];

/// A kind of virtual user: its tasks, its think time and the data it requires.
#[derive(Debug)]
pub struct UserClass {
    /// Name in profiles and reports.
    pub name: &'static str,
    /// One-line description, printed by `list`.
    pub description: &'static str,
    /// Minimum and maximum think time between two tasks; closed model only.
    pub wait: (Duration, Duration),
    /// Every endpoint that the tasks request. SLA files can only name these.
    pub endpoints: &'static [&'static Endpoint],
    /// Account that its users act as.
    pub identity: Identity,
    /// Data that must be seeded before a run.
    pub seed_data: &'static [SeedData],
    /// Kinds of work that the service accepts from the tasks and completes later. The run waits until
    /// it has ended.
    pub work_kinds: &'static [&'static WorkKind],
    /// Builds the Goose scenario: tasks and weights.
    pub scenario: fn() -> Result<Scenario, GooseError>,
}

/// Account that the users of a class act as. Its token is sent if the service requires
/// authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// No account: public endpoints only.
    Anonymous,
    /// The account of one of the seeded test customers, shared with other users.
    Customer,
    /// An account that the user registers as part of its tasks.
    OwnAccount,
}

/// Seeded data that a class requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeedData {
    /// Agents in the catalogue.
    Agents,
    /// Hired agents of `test-customer-001`.
    HiredAgents,
}

/// Returns the class with this `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static UserClass> {
    ALL.into_iter().find(|class| class.name == name)
}

/// Returns the names that an SLA of a run with these `classes` and `stages` may contain.
#[must_use]
pub fn allowed_names<'s>(classes: &[&'static UserClass], stages: &'s [Stage]) -> AllowedNames<'s> {
    let endpoints = classes.iter().flat_map(|class| class.endpoints);
    AllowedNames {
        endpoints: endpoints.map(|endpoint| endpoint.name).collect(),
        work: classes.iter().flat_map(|class| class.work_kinds).map(|work| work.name).collect(),
        stages: stages.iter().map(|stage| stage.name.as_str()).collect(),
    }
}

/// Session data (Goose's term) of one virtual user, shared by its tasks.
#[derive(Clone, Debug)]
pub struct Session {
    /// HTTP client of this user.
    pub client: Client,
    /// Customer id of [`Identity::Customer`] users; empty for all others.
    pub customer: &'static str,
    /// Ids of agents found so far, hired or of the catalogue, depending on the class.
    pub agent_ids: Vec<String>,
    /// Account of [`Identity::OwnAccount`] users, once registered.
    pub account: Option<OwnAccount>,
    /// Further values that the tasks of the class keep, by key.
    pub values: BTreeMap<&'static str, String>,
}

impl Session {
    /// Returns the session data of a new user. Picks a random customer for [`Identity::Customer`].
    #[must_use]
    pub fn new(identity: Identity, client: Client) -> Self {
        let (client, customer) = match identity {
            Identity::Customer => {
                let index = fastrand::usize(..TEST_CUSTOMERS.len());
                (client.for_customer(index), TEST_CUSTOMERS[index])
            }
            Identity::Anonymous | Identity::OwnAccount => (client, ""),
        };
        Self { client, customer, agent_ids: Vec::new(), account: None, values: BTreeMap::new() }
    }

    /// Returns the session data of `user`.
    ///
    /// # Errors
    /// When the engine has not set any.
    pub fn get(user: &mut GooseUser) -> Result<&mut Self, Box<TransactionError>> {
        user.get_session_data_mut()
            .ok_or_else(|| "the engine has set no session for this user".into())
    }

    /// Returns the id of a random agent of [`Session::agent_ids`].
    #[must_use]
    pub fn random_agent_id(&self) -> Option<String> {
        fastrand::choice(&self.agent_ids).cloned()
    }
}

/// `GET /health`, requested by several classes.
static HEALTH: Endpoint = Endpoint {
    name: "GET /health",
    expected_statuses: &[200],
    shape: Shape::Object(&["status", "timestamp"]),
};

/// `GET /api/v1/agents`, requested by several classes.
static LIST_AGENTS: Endpoint = Endpoint {
    name: "GET /api/v1/agents",
    expected_statuses: &[200],
    shape: Shape::NonEmptyArray(&["id", "name", "industry", "status"]),
};

/// `POST /api/v1/skills`, requested by several classes.
static CREATE_SKILL: Endpoint = Endpoint {
    name: "POST /api/v1/skills",
    // 200: the skill exists already, which is common because `PlantUser` picks one of 1000 names.
    expected_statuses: &[200, 201],
    shape: Shape::Object(&["id", "name", "category"]),
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
        for class in ALL {
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
