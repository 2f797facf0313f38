//! Limits how many different failures are kept: messages of a service may differ in every response.

use std::collections::BTreeMap;

use crate::failure::FailureKind;

/// Number of distinct failures from which on further messages are counted together.
pub(super) const MAX_DISTINCT_FAILURES: usize = 1000;

/// Message under which they are counted.
const OTHER_MESSAGES: &str = "other messages";

/// Endpoint, kind and message of a failure.
pub(super) type FailureKey = (&'static str, FailureKind, String);

/// Returns the key under which a `failure` is counted.
pub(super) fn limited<T>(known: &BTreeMap<FailureKey, T>, failure: FailureKey) -> FailureKey {
    let is_new = !known.contains_key(&failure);
    match is_new && known.len() >= MAX_DISTINCT_FAILURES {
        true => (failure.0, failure.1, OTHER_MESSAGES.to_owned()),
        false => failure,
    }
}
