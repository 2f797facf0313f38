//! Result of a run, printed as one line.

use std::fmt;
use std::time::Duration;

/// Result of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Summary {
    /// Result of seeding.
    Seeded(Seeded),
    /// Result of `--clean`.
    Removed(Removed),
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seeded(seeded) => seeded.fmt(f),
            Self::Removed(removed) => removed.fmt(f),
        }
    }
}

/// Numbers of deleted rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Accounts whose email starts with `loadtest`.
    pub accounts: u64,
    /// Customers registered with those accounts.
    pub customers: u64,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accounts, customers } = self;
        write!(f, "deleted {accounts} load-test accounts and {customers} load-test customers")
    }
}

/// Numbers of inserted rows and the duration of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seeded {
    pub industries: u64,
    pub skills: u64,
    pub job_roles: u64,
    pub teams: u64,
    pub agents: u64,
    pub customers: u64,
    pub accounts: u64,
    pub hired_agents: u64,
    pub goals: u64,
    pub deliverables: u64,
    pub tenants: u64,
    pub resolved_tickets: u64,
    pub articles: u64,
    pub systems: u64,
    pub duration: Duration,
}

impl fmt::Display for Seeded {
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
            (self.tenants, "tenants"),
            (self.resolved_tickets, "resolved tickets"),
            (self.articles, "articles"),
            (self.systems, "systems"),
        ];
        let seconds = self.duration.as_secs_f64();
        if counts.iter().all(|(rows, _)| *rows == 0) {
            return write!(f, "nothing to seed: all rows already exist ({seconds:.2} s)");
        }
        write!(f, "seeded in {seconds:.2} s")?;
        let mut separator = ": ";
        for (rows, what) in counts.iter().filter(|(rows, _)| *rows > 0) {
            write!(f, "{separator}{rows} {what}")?;
            separator = ", ";
        }
        Ok(())
    }
}
