//! Counts of distinct failures. How many are kept is limited: messages of a service may differ in every
//! response.

use std::collections::BTreeMap;

use crate::{failure::FailureKind, outcome::Failure};

/// Number of distinct failures from which on further messages are counted together.
const MAX_DISTINCT_FAILURES: usize = 1000;

/// Message under which they are counted.
const OTHER_MESSAGES: &str = "other messages";

/// Distinct failures with their counts; `T` is the unit of their times.
#[derive(Clone, Debug)]
pub struct Failures<'a, T>(BTreeMap<(&'a str, FailureKind, String), Occurrences<T>>);

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
        Self(BTreeMap::new())
    }
}

impl<'a, T: Copy + Ord> Failures<'a, T> {
    /// Adds occurrences of one failure.
    pub fn add(
        &mut self,
        endpoint: &'a str,
        kind: FailureKind,
        message: String,
        added: Occurrences<T>,
    ) {
        let failure = (endpoint, kind, message);
        let is_new = !self.0.contains_key(&failure);
        let failure = match is_new && self.0.len() >= MAX_DISTINCT_FAILURES {
            true => (endpoint, kind, OTHER_MESSAGES.to_owned()),
            false => failure,
        };
        self.0
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
        let failures = self.0.iter();
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
