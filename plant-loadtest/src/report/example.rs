//! A fixed outcome for tests.

use crate::outcome::Outcome;

/// Returns the outcome of a run of 50 users for 35 seconds that met every threshold.
pub(crate) fn outcome() -> Outcome {
    serde_json::from_str(include_str!("../../tests/golden/outcome.json"))
        .expect("outcome.json is a valid outcome")
}
