//! Command-line options of `seed_test_data`.

use clap::Parser;

use crate::config::{DatabaseConfig, DatabaseOptions, InvalidSettings};

const MAX_AGENTS: u32 = 1_000_000;
const MAX_SKILLS: u32 = 10_000;
const MAX_CUSTOMERS: u32 = 100_000;

/// Seed a database with test data: industries, certified skills, job roles, teams, agents,
/// customers, hired agents, goals, deliverables, accounts, and the tenant `load-test-tenant` with
/// resolved tickets, articles and systems.
///
/// The same arguments give the same rows on every machine, including ids and times. Existing rows
/// stay unchanged, so a second run changes nothing, and a larger count adds the missing rows. All
/// rows are inserted in one transaction. From 2000 new agents on, the transaction blocks reads of
/// agents until it ends.
#[derive(Debug, Clone, Parser)]
#[command(name = "seed_test_data", version)]
pub struct Options {
    /// Number of agents in the catalogue, 1 to 1000000.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub agents: u32,

    /// Number of certified skills, 1 to 10000.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub skills: u32,

    /// Number of customers (test-customer-001, …), each with three hired agents; 0 to 100000.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub customers: u32,

    /// Number of accounts (loadtest_1@test.local, …; Locust calls them users), 0 to 100000; one per customer by default. The
    /// customers of the accounts (test-customer-001, …) are created too. Password:
    /// load-test-password.
    #[arg(long, value_name = "N")]
    pub users: Option<u32>,

    /// Seed of the ids and of all random choices.
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,

    /// Truncate Plant's tables first; deletes all their rows.
    #[arg(long)]
    pub reset: bool,

    /// Seed nothing; delete the accounts whose email starts with `loadtest`, with their data, and
    /// the customers that their registration created, unless they have another account or hired
    /// agents. Seeded customers (test-customer-001, …) are kept.
    #[arg(long, conflicts_with = "reset")]
    pub clean: bool,

    /// PostgreSQL URL, as the owner of the database; run `plant-api migrate` first.
    #[arg(
        long,
        value_name = "URL",
        env = "DATABASE_URL",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub database_url: String,

    /// Same as `--database-url`, which takes precedence.
    #[arg(
        long,
        value_name = "URL",
        env = "AI_AGENTS_DATABASE_URL",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub ai_agents_database_url: String,

    /// PostgreSQL URL of a load-test database; takes precedence over `--database-url`.
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

/// Validated options.
#[derive(Debug, Clone)]
pub struct CheckedOptions {
    /// Database to connect to.
    pub database: DatabaseConfig,
    /// Action to run.
    pub action: Action,
}

/// Action of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Insert the missing rows.
    Seed {
        /// Rows to seed.
        spec: SeedSpec,
        /// Whether to truncate the tables first.
        reset: bool,
    },
    /// Delete the accounts whose email starts with `loadtest`, with their data, and the customers
    /// that their registration created, unless they have another account or hired agents.
    Clean,
}

/// Row counts and random seed, from which all rows are derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedSpec {
    /// Number of agents, at least 1.
    pub agents: u32,
    /// Number of skills, at least 1.
    pub skills: u32,
    /// Number of customers, at least `users`.
    pub customers: u32,
    /// Number of accounts.
    pub users: u32,
    /// Seed of ids and random choices.
    pub seed: u64,
}

impl Options {
    /// Validates the options.
    ///
    /// # Errors
    /// All problems at once, each with the name of its option.
    pub fn check(&self) -> Result<CheckedOptions, InvalidSettings> {
        let mut problems = Vec::new();
        check_range("agents", self.agents, 1, MAX_AGENTS, &mut problems);
        check_range("skills", self.skills, 1, MAX_SKILLS, &mut problems);
        check_range("customers", self.customers, 0, MAX_CUSTOMERS, &mut problems);
        let users = self.users.unwrap_or(self.customers);
        check_range("users", users, 0, MAX_CUSTOMERS, &mut problems);
        let spec = SeedSpec {
            agents: self.agents,
            skills: self.skills,
            customers: self.customers.max(users),
            users,
            seed: self.seed,
        };
        let action =
            if self.clean { Action::Clean } else { Action::Seed { spec, reset: self.reset } };
        match self.database().check() {
            Ok(database) if problems.is_empty() => Ok(CheckedOptions { database, action }),
            Ok(_) => Err(InvalidSettings(problems)),
            Err(InvalidSettings(more)) => {
                problems.extend(more.into_iter().map(|problem| self.with_variable_name(problem)));
                Err(InvalidSettings(problems))
            }
        }
    }

    fn database(&self) -> DatabaseOptions {
        let load_test = &self.load_test_database_url;
        let url = if load_test.is_empty() { &self.database_url } else { load_test };
        DatabaseOptions {
            database_url: url.clone(),
            ai_agents_database_url: self.ai_agents_database_url.clone(),
            database_pool_size: "1".into(),
        }
    }

    /// Replaces the variable name in `problem` by that of the variable that was used.
    fn with_variable_name(&self, problem: String) -> String {
        if self.load_test_database_url.is_empty() {
            problem
        } else {
            problem.replacen("DATABASE_URL", "LOAD_TEST_DATABASE_URL", 1)
        }
    }
}

fn check_range(name: &str, value: u32, min: u32, max: u32, problems: &mut Vec<String>) {
    if !(min..=max).contains(&value) {
        problems.push(format!("--{name}: `{value}` is out of range; must be {min} to {max}"));
    }
}
