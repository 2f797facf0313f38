//! What was planted or removed, in one line.

use std::fmt;
use std::time::Duration;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Rows were planted.
    Planted(Planted),
    /// What load tests left was removed.
    Removed(Removed),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planted(planted) => planted.fmt(f),
            Self::Removed(removed) => removed.fmt(f),
        }
    }
}

/// How many rows are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Accounts `loadtest%`.
    pub accounts: u64,
    /// Customers that were registered with them.
    pub customers: u64,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accounts, customers } = self;
        write!(f, "removed {accounts} accounts and {customers} customers of load tests")
    }
}

/// How many rows are new, and how long it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planted {
    /// Industries.
    pub industries: u64,
    /// Skills, each certified.
    pub skills: u64,
    /// Job roles.
    pub job_roles: u64,
    /// Teams.
    pub teams: u64,
    /// Agents.
    pub agents: u64,
    /// Customers.
    pub customers: u64,
    /// Accounts.
    pub accounts: u64,
    /// Hired agents.
    pub hired_agents: u64,
    /// Goals.
    pub goals: u64,
    /// Deliverables.
    pub deliverables: u64,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.industries, "industries"),
            (self.skills, "skills"),
            (self.job_roles, "job roles"),
            (self.teams, "teams"),
            (self.agents, "agents"),
            (self.customers, "customers"),
            (self.accounts, "accounts"),
            (self.hired_agents, "hired agents"),
            (self.goals, "goals"),
            (self.deliverables, "deliverables"),
        ];
        let seconds = self.took.as_secs_f64();
        if counts.iter().all(|(rows, _)| *rows == 0) {
            return write!(f, "nothing to plant, all of it is there ({seconds:.2} s)");
        }
        write!(f, "planted in {seconds:.2} s")?;
        let mut separator = ": ";
        for (rows, what) in counts.iter().filter(|(rows, _)| *rows > 0) {
            write!(f, "{separator}{rows} {what}")?;
            separator = ", ";
        }
        Ok(())
    }
}
