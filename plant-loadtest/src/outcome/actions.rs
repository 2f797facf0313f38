//! Actions: programs that were run during the load.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Outcome;

/// What became of an action that was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionResult {
    /// Name of the action.
    pub name: String,
    /// Start, in seconds from the start of the run.
    pub started_s: f64,
    /// Seconds from its start until it ended.
    pub duration_s: f64,
    /// Its exit code; `None` if it could not be started, or was ended by a signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Why it failed; `None` if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The last lines of its output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
}

impl Outcome {
    /// Returns the number of actions that failed.
    #[must_use]
    pub fn failed_actions(&self) -> usize {
        self.actions.iter().filter(|action| action.problem.is_some()).count()
    }
}
