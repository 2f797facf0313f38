//! One fixed outcome for tests.

use crate::outcome::Outcome;

/// A run of 50 users for 30 seconds that kept every promise.
pub(crate) fn outcome() -> Outcome {
    serde_json::from_str(include_str!("../../tests/golden/outcome.json"))
        .expect("the example is an outcome")
}
