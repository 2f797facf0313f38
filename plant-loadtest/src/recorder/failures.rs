//! Counts of distinct failures. How many are kept is limited: messages of a service may differ in every
//! response.

use std::collections::BTreeMap;

use crate::{failure::FailureKind, outcome::Failure};

/// Number of distinct failures of a load generator from which on further messages are counted together.
const MAX_DISTINCT_FAILURES: usize = 1000;

/// Message under which they are counted.
const OTHER_MESSAGES: &str = "other messages";

/// Distinct failures with their counts; `T` is the unit of their times.
#[derive(Clone, Debug)]
pub struct Failures<'a, T> {
    known: BTreeMap<(&'a str, FailureKind, String), Occurrences<T>>,
    /// Number of those that have a message of their own.
    distinct: usize,
    /// Number of them from which on further messages are counted together.
    limit: usize,
}

/// How often and when a failure occurred.
#[derive(Clone, Copy, Debug)]
pub struct Occurrences<T> {
    /// Number of occurrences.
    pub count: u64,
    /// Time of the first one.
    pub first: T,
    /// Time of the last one.
    pub last: T,
}

impl<T: Copy> Occurrences<T> {
    /// Returns one occurrence.
    pub(super) fn once(at: T) -> Self {
        Self { count: 1, first: at, last: at }
    }
}

impl<T> Default for Failures<'_, T> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), distinct: 0, limit: MAX_DISTINCT_FAILURES }
    }
}

impl<'a, T: Copy + Ord> Failures<'a, T> {
    /// Returns a collection for failures whose number is limited already.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { limit: usize::MAX, ..Self::default() }
    }

    /// Adds occurrences of one failure.
    pub fn add(
        &mut self,
        endpoint: &'a str,
        kind: FailureKind,
        message: String,
        added: Occurrences<T>,
    ) {
        let mut failure = (endpoint, kind, message);
        if failure.2 != OTHER_MESSAGES && !self.known.contains_key(&failure) {
            if self.distinct < self.limit {
                self.distinct += 1;
            } else {
                failure.2 = OTHER_MESSAGES.to_owned();
            }
        }
        self.known
            .entry(failure)
            .and_modify(|known| {
                known.count += added.count;
                known.first = known.first.min(added.first);
                known.last = known.last.max(added.last);
            })
            .or_insert(added);
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        for (endpoint, kind, message, added) in other.iter() {
            self.add(endpoint, kind, message.to_owned(), *added);
        }
    }

    /// Returns endpoint, kind and message of each failure, in this order, and its occurrences.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, FailureKind, &str, &Occurrences<T>)> {
        let failures = self.known.iter();
        failures.map(|((endpoint, kind, message), known)| (*endpoint, *kind, &**message, known))
    }
}

impl Failures<'_, u32> {
    /// Returns the failures as they are in an outcome; their times are seconds.
    pub fn to_outcome(&self) -> Vec<Failure> {
        let failures = self.iter().map(|(endpoint, kind, message, occurrences)| Failure {
            endpoint: endpoint.into(),
            kind,
            message: message.into(),
            count: occurrences.count,
            first_second: occurrences.first,
            last_second: occurrences.last,
        });
        failures.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_messages_are_counted_together_and_known_ones_on_their_own() {
        let mut failures = Failures::default();
        let mut fail = |number: usize| {
            let message = format!("500 item {number}");
            failures.add("GET /items", FailureKind::ServerError, message, Occurrences::once(3));
        };
        (0..MAX_DISTINCT_FAILURES + 5).for_each(&mut fail);
        fail(0);
        let failures = failures.to_outcome();
        assert_eq!(failures.len(), MAX_DISTINCT_FAILURES + 1);
        let count = |message: &str| {
            let mut found = failures.iter().filter(|failure| failure.message == message);
            found.next().unwrap().count
        };
        assert_eq!((count("500 item 0"), count("500 item 1"), count("other messages")), (2, 1, 5));
    }

    #[test]
    fn failures_beyond_the_limit_are_the_same_after_they_were_added_up() {
        let mut failures = Failures::default();
        // After "other messages" in their order.
        for number in 0..MAX_DISTINCT_FAILURES + 5 {
            let message = format!("status {number}");
            failures.add("GET /items", FailureKind::ServerError, message, Occurrences::once(3));
        }
        let mut sum = Failures::default();
        sum.add_all(&failures);
        assert_eq!(sum.to_outcome(), failures.to_outcome());
        failures.add("GET /", FailureKind::ServerError, "500".into(), Occurrences::once(3));
        let mut merged = Failures::unlimited();
        merged.add_all(&failures);
        merged.add("GET /", FailureKind::ServerError, "500".into(), Occurrences::once(3));
        assert_eq!(merged.to_outcome().len(), MAX_DISTINCT_FAILURES + 3);
    }

    #[test]
    fn the_first_and_the_last_second_of_a_failure_are_kept() {
        let mut failures = Failures::default();
        for second in [7, 3, 5] {
            let message = "500".to_owned();
            failures.add("GET /", FailureKind::ServerError, message, Occurrences::once(second));
        }
        let [failure] = &failures.to_outcome()[..] else { panic!("one failure") };
        assert_eq!((failure.first_second, failure.last_second, failure.count), (3, 7, 3));
    }
}
