//! The user classes, one file each. This list is the only one.
//!
//! A class is a Goose scenario whose tasks take their tools from the [`Session`] of the user that
//! runs them, so the same scenario can run under any engine.

mod account;
mod agent_list_user;
mod agent_search_user;
mod auth_user;
mod generation_user;
mod genesis_user;
mod health_check_user;
mod plant_backend_user;
mod plant_user;

use std::{collections::BTreeMap, time::Duration};

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, TransactionError},
};
use serde::Deserialize;

use crate::{
    access::CUSTOMERS,
    client::{Client, Endpoint, Shape},
    completion::Work,
};

pub use account::Account;

/// Every user class there is.
pub static ALL: [&UserClass; 8] = [
    &plant_backend_user::CLASS,
    &health_check_user::CLASS,
    &plant_user::CLASS,
    &genesis_user::CLASS,
    &agent_list_user::CLASS,
    &agent_search_user::CLASS,
    &auth_user::CLASS,
    &generation_user::CLASS,
];

/// A kind of user: what it does, how long it thinks, what it needs from the service.
#[derive(Debug)]
pub struct UserClass {
    /// As profiles and reports call it.
    pub name: &'static str,
    /// One sentence for `list`.
    pub about: &'static str,
    /// The shortest and the longest wait between two tasks.
    pub wait: (Duration, Duration),
    /// Every endpoint that its tasks request; rules can name these and no others.
    pub endpoints: &'static [&'static Endpoint],
    /// Whose things its users ask for, and so whose token they send where the service demands one.
    pub acts_for: ActsFor,
    /// What must be in the service's database before a run makes sense.
    pub needs: &'static [Need],
    /// Work that its users have accepted and that is done later, which the run follows to its end.
    pub work: &'static [&'static Work],
    /// Its tasks with their weights.
    pub scenario: fn() -> Result<Scenario, GooseError>,
}

/// Whose things the users of a class ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActsFor {
    /// Nobody's: what everybody may see.
    Nobody,
    /// Those of one of the customers that every seeding plants, whose account it shares with other
    /// users.
    Customer,
    /// Those of an account that it registers by itself, as a part of its journey.
    Itself,
}

/// Data that a class cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The catalogue has agents.
    Agents,
    /// `test-customer-001` has hired agents.
    HiredAgents,
}

/// The class called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static UserClass> {
    ALL.into_iter().find(|class| class.name == name)
}

/// What one user carries from task to task.
#[derive(Clone, Debug)]
pub struct Session {
    /// Sends its requests.
    pub client: Client,
    /// The customer it acts for, in classes that act for one; else nobody, in no letters.
    pub customer: &'static str,
    /// The agents it learnt of when it started: hired or catalogue ones, as its class works with.
    pub agents: Vec<String>,
    /// The account that it has logged in to, in classes that need one.
    pub account: Option<Account>,
    /// What its class remembers beside, by a name of the class's choice.
    pub notes: BTreeMap<&'static str, String>,
}

impl Session {
    /// A user of a class that `acts_for` whom; it knows nothing yet.
    #[must_use]
    pub fn new(acts_for: ActsFor, client: Client) -> Self {
        let (client, customer) = match acts_for {
            ActsFor::Customer => {
                let place = fastrand::usize(..CUSTOMERS.len());
                (client.of_customer(place), CUSTOMERS[place])
            }
            ActsFor::Nobody | ActsFor::Itself => (client, ""),
        };
        Self { client, customer, agents: Vec::new(), account: None, notes: BTreeMap::new() }
    }

    /// The session that the engine gave to `user`.
    ///
    /// # Errors
    /// When the engine forgot to.
    pub fn of(user: &mut GooseUser) -> Result<&mut Self, Box<TransactionError>> {
        user.get_session_data_mut().ok_or_else(|| "the engine gave this user no session".into())
    }

    /// One of the agents it knows, by chance.
    #[must_use]
    pub fn any_agent(&self) -> Option<String> {
        fastrand::choice(&self.agents).cloned()
    }
}

/// `GET /health`, which several classes request.
static HEALTH: Endpoint = Endpoint {
    name: "GET /health",
    success: &[200],
    shape: Shape::Object(&["status", "timestamp"]),
};

/// `GET /api/v1/agents`, which several classes request.
static LIST_AGENTS: Endpoint = Endpoint {
    name: "GET /api/v1/agents",
    success: &[200],
    shape: Shape::FilledArray(&["id", "name", "industry", "status"]),
};

/// `POST /api/v1/skills`, which several classes request.
static CREATE_SKILL: Endpoint = Endpoint {
    name: "POST /api/v1/skills",
    // 200: the very same skill was there already, which a thousand names at random soon meet.
    success: &[200, 201],
    shape: Shape::Object(&["id", "name", "category"]),
};

#[derive(Deserialize)]
struct Item {
    id: String,
}

/// The `id` of every item of a list.
fn ids(list: &[u8]) -> Vec<String> {
    let items: Vec<Item> = serde_json::from_slice(list).unwrap_or_default();
    items.into_iter().map(|item| item.id).collect()
}

/// The `id` of an object.
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
    fn ids_are_read_from_a_list() {
        assert_eq!(ids(br#"[{"id":"a","x":1},{"id":"b"}]"#), ["a", "b"]);
        assert!(ids(b"{}").is_empty());
    }
}
