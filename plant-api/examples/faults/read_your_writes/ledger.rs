//! Acknowledged writes, and the counts of what readers received.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::client::Response;

/// The last acknowledged version of each agent.
pub struct Ledger {
    /// Index in `versions` by agent id.
    indexes: HashMap<String, usize>,
    versions: Vec<AtomicU64>,
}

/// Counts and latencies of one client.
#[derive(Default)]
pub struct Tally {
    /// Writes that were acknowledged.
    pub writes: u64,
    pub reads: u64,
    /// Requests that the service rejected with 503 and `Retry-After`.
    pub rejected: u64,
    /// Requests without one of these responses.
    pub failed: u64,
    /// Agents in the responses.
    pub agents_read: u64,
    /// Agents that were older than an acknowledged write.
    pub stale: u64,
    /// Some of the stale agents and of the failures.
    pub examples: Vec<String>,
    pub latencies: Vec<Duration>,
}

/// Maximum number of examples that are printed.
const MAX_EXAMPLES: usize = 5;

impl Tally {
    /// Adds the counts of another client.
    pub fn add(&mut self, other: Self) {
        self.writes += other.writes;
        self.reads += other.reads;
        self.rejected += other.rejected;
        self.failed += other.failed;
        self.agents_read += other.agents_read;
        self.stale += other.stale;
        self.examples.extend(other.examples);
        self.examples.truncate(MAX_EXAMPLES);
        self.latencies.extend(other.latencies);
    }

    /// Counts a response that is not the expected one.
    pub fn add_unexpected(&mut self, request: &str, response: anyhow::Result<Response>) {
        match response {
            Ok(Response { status, retry_after: true, .. }) if status == 503 => self.rejected += 1,
            Ok(Response { status, .. }) => self.add_failure(format!("{request}: {status}")),
            Err(error) => self.add_failure(format!("{request}: {error:#}")),
        }
    }

    fn add_failure(&mut self, example: String) {
        self.failed += 1;
        self.add_example(example);
    }

    fn add_example(&mut self, example: String) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(example);
        }
    }
}

impl Ledger {
    /// Creates a ledger with every agent at version 0.
    pub fn new(agents: &[String]) -> Self {
        Self {
            indexes: agents.iter().cloned().enumerate().map(|(index, id)| (id, index)).collect(),
            versions: agents.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Records an acknowledged write.
    pub fn acknowledge(&self, writer: usize, version: u64) {
        self.versions[writer].store(version, Ordering::SeqCst);
    }

    /// Returns the last acknowledged versions.
    pub fn snapshot(&self) -> Vec<u64> {
        self.versions.iter().map(|version| version.load(Ordering::SeqCst)).collect()
    }

    /// Counts an agent that was read, as stale if its version is older than in `acknowledged`.
    pub fn compare(&self, agent: &Value, acknowledged: &[u64], path: &str, tally: &mut Tally) {
        let Some(index) = agent["id"].as_str().and_then(|id| self.indexes.get(id)) else { return };
        let name = agent["name"].as_str().unwrap_or_default();
        let version = name.rsplit(' ').next().and_then(|number| number.parse::<u64>().ok());
        let expected = acknowledged[*index];
        tally.agents_read += 1;
        if version.is_none_or(|version| version < expected) {
            tally.stale += 1;
            let expected = format!("expected version {expected} or later");
            tally.add_example(format!("{path}: stale: `{name}`, {expected}"));
        }
    }
}
