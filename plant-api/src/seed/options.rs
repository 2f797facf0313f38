//! What is to be planted, and where.

use clap::Parser;

use crate::config::{DatabaseConfig, DatabaseOptions, Problems};

const AGENTS_MAX: u32 = 1_000_000;
const SKILLS_MAX: u32 = 10_000;
const CUSTOMERS_MAX: u32 = 100_000;

/// Plants test data: industries, certified skills, job roles, teams, agents, customers
/// and what they have hired.
///
/// The same arguments give the same rows on every machine, ids and times included. What is there
/// already stays as it is, so running it again changes nothing, and a larger number adds what is
/// missing. Either all of it is planted or nothing. While it plants thousands of agents nobody
/// can read agents.
#[derive(Debug, Clone, Parser)]
#[command(name = "seed_test_data", version)]
pub struct Options {
    /// Agents in the catalogue, 1 to 1000000.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub agents: u32,

    /// Skills, each certified, 1 to 10000.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub skills: u32,

    /// Customers test-customer-001 and so on, each with three hired agents; 0 to 100000.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub customers: u32,

    /// Accounts loadtest_1@test.local and so on, of customers test-customer-001 and so on, which
    /// are planted as well; 0 to 100000, one for each customer if absent. Their password is
    /// load-test-password.
    #[arg(long, value_name = "N")]
    pub users: Option<u32>,

    /// Another seed gives other ids and makes other choices.
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,

    /// Empty Plant's tables first: everything in them is lost.
    #[arg(long)]
    pub reset: bool,

    /// Plant nothing; remove all accounts loadtest… with what is theirs, planted or registered.
    #[arg(long, conflicts_with = "reset")]
    pub clean: bool,

    /// PostgreSQL, as the owner of the database; `plant-api migrate` has made its tables.
    #[arg(
        long,
        value_name = "URL",
        env = "DATABASE_URL",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub database_url: String,

    /// A database for load tests; where given it is used instead of the other.
    #[arg(
        long,
        value_name = "URL",
        env = "LOAD_TEST_DATABASE_URL",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub load_test_database_url: String,
}

/// What is to be planted, checked.
#[derive(Debug, Clone)]
pub struct Order {
    /// Where.
    pub database: DatabaseConfig,
    /// What.
    pub action: Action,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Rows are to be planted.
    Plant {
        /// Which.
        plan: Plan,
        /// Whether everything else goes first.
        reset: bool,
    },
    /// What load tests left is to be removed.
    Clean,
}

/// How much of everything there is to be; the rows follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Agents, at least one.
    pub agents: u32,
    /// Skills, at least one.
    pub skills: u32,
    /// Customers, at least as many as users.
    pub customers: u32,
    /// Accounts.
    pub users: u32,
    /// What choices and ids are drawn from.
    pub seed: u64,
}

impl Options {
    /// Checks the arguments.
    ///
    /// # Errors
    /// All problems at once, each naming its argument.
    pub fn check(&self) -> Result<Order, Problems> {
        let mut found = Vec::new();
        within("agents", self.agents, 1, AGENTS_MAX, &mut found);
        within("skills", self.skills, 1, SKILLS_MAX, &mut found);
        within("customers", self.customers, 0, CUSTOMERS_MAX, &mut found);
        let users = self.users.unwrap_or(self.customers);
        within("users", users, 0, CUSTOMERS_MAX, &mut found);
        let plan = Plan {
            agents: self.agents,
            skills: self.skills,
            customers: self.customers.max(users),
            users,
            seed: self.seed,
        };
        let action =
            if self.clean { Action::Clean } else { Action::Plant { plan, reset: self.reset } };
        match self.database().check() {
            Ok(database) if found.is_empty() => Ok(Order { database, action }),
            Ok(_) => Err(Problems(found)),
            Err(Problems(more)) => {
                found.extend(more.into_iter().map(|problem| self.naming_its_variable(problem)));
                Err(Problems(found))
            }
        }
    }

    fn database(&self) -> DatabaseOptions {
        let load_test = &self.load_test_database_url;
        let url = if load_test.is_empty() { &self.database_url } else { load_test };
        DatabaseOptions { database_url: url.clone(), database_pool_size: "1".into() }
    }

    fn naming_its_variable(&self, problem: String) -> String {
        if self.load_test_database_url.is_empty() {
            problem
        } else {
            problem.replacen("DATABASE_URL", "LOAD_TEST_DATABASE_URL", 1)
        }
    }
}

fn within(name: &str, value: u32, least: u32, most: u32, found: &mut Vec<String>) {
    if !(least..=most).contains(&value) {
        found.push(format!("--{name}: `{value}` is not within {least} and {most}"));
    }
}
