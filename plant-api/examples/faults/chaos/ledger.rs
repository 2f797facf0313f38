//! What writers were told.

use uuid::Uuid;

/// Acknowledged writes.
#[derive(Default)]
pub struct Ledger {
    /// Generation tasks, with the prompt that nobody else sent.
    pub generations: Vec<(Uuid, String)>,
    /// Goals, with the title that nobody else gave.
    pub goals: Vec<(Uuid, String)>,
    /// Deliverables that were approved.
    pub approvals: Vec<Uuid>,
    /// Requests that got no answer or a 503, and were sent again.
    pub unanswered: u64,
    /// Answers that nothing explains.
    pub refused: u64,
}

impl Ledger {
    /// Adds another writer's.
    pub fn add(&mut self, other: Self) {
        self.generations.extend(other.generations);
        self.goals.extend(other.goals);
        self.approvals.extend(other.approvals);
        self.unanswered += other.unanswered;
        self.refused += other.refused;
    }

    /// How many writes were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.generations.len() + self.goals.len() + self.approvals.len()
    }
}
