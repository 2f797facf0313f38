//! Acknowledged writes, and the counts of what readers received.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

/// The last acknowledged version of each agent.
pub struct Ledger {
    /// Index in `versions` by agent id.
    indexes: HashMap<String, usize>,
    versions: Vec<AtomicU64>,
}

/// Counts and latencies of one client.
#[derive(Default)]
pub struct Tally {
    pub writes: u64,
    pub failed_writes: u64,
    pub reads: u64,
    pub failed_reads: u64,
    /// Reads that the service rejected with 503 and `Retry-After`.
    pub rejected_reads: u64,
    /// Agents in the responses.
    pub agents_read: u64,
    /// Agents that were older than an acknowledged write.
    pub stale: u64,
    pub examples: Vec<String>,
    pub latencies: Vec<Duration>,
}

/// Maximum number of stale reads that are printed.
const MAX_EXAMPLES: usize = 5;

impl Tally {
    /// Adds the counts of another client.
    pub fn add(&mut self, other: Self) {
        self.writes += other.writes;
        self.failed_writes += other.failed_writes;
        self.reads += other.reads;
        self.failed_reads += other.failed_reads;
        self.rejected_reads += other.rejected_reads;
        self.agents_read += other.agents_read;
        self.stale += other.stale;
        self.examples.extend(other.examples);
        self.examples.truncate(MAX_EXAMPLES);
        self.latencies.extend(other.latencies);
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
            if tally.examples.len() < MAX_EXAMPLES {
                tally
                    .examples
                    .push(format!("{path}: `{name}`, expected version {expected} or later"));
            }
        }
    }
}
