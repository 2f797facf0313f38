//! What was answered to writers, and what readers saw.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

/// The latest answered version of each agent.
pub struct Ledger {
    places: HashMap<String, usize>,
    versions: Vec<AtomicU64>,
}

/// What one client did and saw.
#[derive(Default)]
pub struct Tally {
    pub writes: u64,
    pub failed_writes: u64,
    pub reads: u64,
    pub failed_reads: u64,
    /// Agents seen in answers.
    pub states: u64,
    pub stale: u64,
    pub examples: Vec<String>,
    pub waits: Vec<Duration>,
}

/// Enough to see what went wrong.
const EXAMPLES: usize = 5;

impl Tally {
    /// Adds another client's.
    pub fn add(&mut self, other: Self) {
        self.writes += other.writes;
        self.failed_writes += other.failed_writes;
        self.reads += other.reads;
        self.failed_reads += other.failed_reads;
        self.states += other.states;
        self.stale += other.stale;
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES);
        self.waits.extend(other.waits);
    }
}

impl Ledger {
    /// Every agent at version 0.
    pub fn of(agents: &[String]) -> Self {
        Self {
            places: agents.iter().cloned().enumerate().map(|(place, id)| (id, place)).collect(),
            versions: agents.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// A writer has its answer.
    pub fn answered(&self, writer: usize, version: u64) {
        self.versions[writer].store(version, Ordering::SeqCst);
    }

    /// What has been answered so far.
    pub fn now(&self) -> Vec<u64> {
        self.versions.iter().map(|version| version.load(Ordering::SeqCst)).collect()
    }

    /// Notes an agent as it was read, and whether it is older than `before` knew it.
    pub fn compare(&self, agent: &Value, before: &[u64], path: &str, tally: &mut Tally) {
        let Some(place) = agent["id"].as_str().and_then(|id| self.places.get(id)) else { return };
        let name = agent["name"].as_str().unwrap_or_default();
        let version = name.rsplit(' ').next().and_then(|number| number.parse::<u64>().ok());
        tally.states += 1;
        if version.is_none_or(|version| version < before[*place]) {
            tally.stale += 1;
            if tally.examples.len() < EXAMPLES {
                tally.examples.push(format!("{path}: `{name}` after {}", before[*place]));
            }
        }
    }
}
