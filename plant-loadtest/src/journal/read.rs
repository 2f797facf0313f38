//! Makes an outcome of what a killed run left.

use std::collections::BTreeMap;

use super::{END, Entry, Journal};
use crate::outcome::{Endpoint, Outcome, Second};

/// The outcome in a journal's `text`; `None` when it is no journal. A torn last entry is dropped.
///
/// # Errors
/// When it is a journal of another layout.
#[must_use]
pub fn outcome(text: &str) -> Option<Result<Outcome, serde_json::Error>> {
    // The head is written first, so that a glance tells.
    if !text.get(..64).unwrap_or(text).contains("\"partial\":true") {
        return None;
    }
    let whole = serde_json::from_str::<Journal>(text);
    let journal = whole.or_else(|error| {
        let lines = text.trim_end().trim_end_matches(']').trim_end();
        let Some((kept, _)) = lines.rsplit_once('\n') else { return Err(error) };
        serde_json::from_str(&format!("{}{END}", kept.trim_end_matches(',')))
    });
    Some(journal.map(fold))
}

fn fold(journal: Journal) -> Outcome {
    let mut outcome = journal.head;
    let mut endpoints: BTreeMap<String, (Endpoint, BTreeMap<u32, Second>)> = outcome
        .endpoints
        .drain(..)
        .map(|endpoint| (endpoint.name.clone(), (endpoint, BTreeMap::new())))
        .collect();
    let mut arrivals = BTreeMap::new();
    for entry in journal.entries {
        let Entry { duration_s, classes, endpoints: news, failures, samples, arrivals: arrived } =
            entry;
        arrivals.extend(arrived.into_iter().map(|second| (second.second, second)));
        outcome.duration_s = duration_s;
        outcome.load.classes = classes;
        outcome.samples.extend(samples);
        if let Some(failures) = failures {
            outcome.failures = failures;
        }
        for mut endpoint in news {
            let (known, seconds) = endpoints.entry(endpoint.name.clone()).or_default();
            let later = endpoint.seconds.drain(..).map(|second| (second.second, second));
            seconds.extend(later);
            *known = endpoint;
        }
    }
    let whole = endpoints.into_values().map(|(mut endpoint, seconds)| {
        endpoint.seconds = seconds.into_values().collect();
        endpoint
    });
    outcome.endpoints = whole.collect();
    outcome.arrivals = arrivals.into_values().collect();
    outcome
}
