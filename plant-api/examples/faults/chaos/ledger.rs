//! Writes that were acknowledged to the writers.

use uuid::Uuid;

/// Acknowledged writes, and counts of the other requests.
#[derive(Default)]
pub struct Ledger {
    /// Generations with their unique prompts.
    pub generations: Vec<(Uuid, String)>,
    /// Goals with their unique titles.
    pub goals: Vec<(Uuid, String)>,
    /// Payments with their unique requested amounts, in minor units.
    pub payments: Vec<(Uuid, i64)>,
    /// Tickets: the ids of their jobs, and their unique ids at the service desk.
    pub tickets: Vec<(Uuid, String)>,
    /// Approved deliverables.
    pub approvals: Vec<Uuid>,
    /// Requests without a response or with a retryable status (409, 502, 503).
    pub retried: u64,
    /// Responses with an unexpected status.
    pub unexpected: u64,
}

impl Ledger {
    /// Adds the writes of another writer.
    pub fn add(&mut self, other: Self) {
        self.generations.extend(other.generations);
        self.goals.extend(other.goals);
        self.payments.extend(other.payments);
        self.tickets.extend(other.tickets);
        self.approvals.extend(other.approvals);
        self.retried += other.retried;
        self.unexpected += other.unexpected;
    }

    /// Returns the number of acknowledged writes.
    pub fn acknowledged(&self) -> usize {
        let tasks = self.generations.len() + self.goals.len() + self.tickets.len();
        tasks + self.payments.len() + self.approvals.len()
    }
}
