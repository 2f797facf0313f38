//! The load generators of a merged outcome.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Ended, Generator, ResourceSample};

/// A load generator whose outcome is part of a merged one: a worker of Locust's master, or an independent
/// process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Worker {
    /// Its name: that of the file of its outcome.
    pub name: String,
    /// Machine and program; `None` if it sent no results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,
    /// Second of the merged run at which it started.
    pub from_s: u32,
    /// Seconds from its first user until its last one ended, or until its last results.
    pub duration_s: f64,
    /// How its part of the run ended; `Killed` if it was lost.
    pub ended: Ended,
    /// Number of requests that it sent.
    pub sent: u64,
    /// Number of requests that were given up; those of a lost worker were in flight at its last results.
    pub lost: u64,
    /// Its users, CPU, memory and timer lag, once per second of the merged run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<ResourceSample>,
}
