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
    /// Writes that the service rejected with 503 and `Retry-After`.
    pub rejected_writes: u64,
    /// Reads that it rejected in the same way.
    pub rejected_reads: u64,
    /// Requests without one of these responses.
    pub failed: u64,
    /// Agents in the responses.
    pub agents_read: u64,
    /// Agents that were older than an acknowledged write.
    pub stale: u64,
    /// Some of the stale agents.
    pub stale_examples: Vec<String>,
    /// Some of the failures.
    pub failures: Vec<String>,
    pub latencies: Vec<Duration>,
}

/// Maximum number of examples that are printed.
const MAX_EXAMPLES: usize = 5;

impl Tally {
    /// Adds the counts of another client.
    pub fn add(&mut self, other: Self) {
        self.writes += other.writes;
        self.reads += other.reads;
        self.rejected_writes += other.rejected_writes;
        self.rejected_reads += other.rejected_reads;
        self.failed += other.failed;
        self.agents_read += other.agents_read;
        self.stale += other.stale;
        for (ours, theirs) in
            [(&mut self.stale_examples, other.stale_examples), (&mut self.failures, other.failures)]
        {
            ours.extend(theirs);
            ours.truncate(MAX_EXAMPLES);
        }
        self.latencies.extend(other.latencies);
    }

    /// Counts a response to a write that is not the expected one.
    pub fn add_write(&mut self, path: &str, response: anyhow::Result<Response>) {
        match response {
            Ok(response) if response.is_rejection() => self.rejected_writes += 1,
            other => self.add_failure(&format!("PATCH {path}"), other),
        }
    }

    /// Counts a response to a read that is not the expected one.
    pub fn add_read(&mut self, path: &str, response: anyhow::Result<Response>) {
        match response {
            Ok(response) if response.is_rejection() => self.rejected_reads += 1,
            other => self.add_failure(path, other),
        }
    }

    fn add_failure(&mut self, request: &str, response: anyhow::Result<Response>) {
        self.failed += 1;
        if self.failures.len() < MAX_EXAMPLES {
            self.failures.push(match response {
                Ok(response) => format!("{request}: {}", response.status),
                Err(error) => format!("{request}: {error:#}"),
            });
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
            if tally.stale_examples.len() < MAX_EXAMPLES {
                let example = format!("{path}: `{name}`, expected version {expected} or later");
                tally.stale_examples.push(example);
            }
        }
    }
}
