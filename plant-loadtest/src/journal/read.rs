//! Reads the journal of a killed run as an outcome.

use std::collections::BTreeMap;

use super::{Entry, Header};
use crate::outcome::{EndpointCell, EndpointResults, Outcome};

/// Returns the outcome in the journal `text`, or `None` if it is not a journal. A truncated last
/// entry is dropped.
///
/// # Errors
/// Returns an error if the journal has an unknown format.
#[must_use]
pub fn read_outcome(text: &str) -> Option<Result<Outcome, serde_json::Error>> {
    // `partial` is among the first keys, so a finished outcome need not be parsed.
    if !text.get(..64).unwrap_or(text).contains("\"partial\":true") {
        return None;
    }
    let mut lines = text.lines();
    let header = serde_json::from_str::<Header>(lines.next().unwrap_or_default());
    let mut entries = Vec::new();
    while let Some(line) = lines.next() {
        match serde_json::from_str::<Entry>(line) {
            Ok(entry) => entries.push(entry),
            Err(_) if lines.clone().next().is_none() && !text.ends_with('\n') => {}
            Err(error) => return Some(Err(error)),
        }
    }
    Some(header.map(|header| merge_entries(header.outcome, entries)))
}

fn merge_entries(mut outcome: Outcome, entries: Vec<Entry>) -> Outcome {
    let mut endpoints: BTreeMap<String, (EndpointResults, BTreeMap<u32, EndpointCell>)> = outcome
        .endpoints
        .drain(..)
        .map(|endpoint| (endpoint.name.clone(), (endpoint, BTreeMap::new())))
        .collect();
    let mut arrivals = BTreeMap::new();
    for entry in entries {
        let Entry {
            duration_s,
            classes,
            endpoints: updates,
            failures,
            samples,
            arrivals: newer,
            counters,
        } = entry;
        for newer in counters {
            match outcome.counters.iter_mut().find(|counter| counter.name == newer.name) {
                Some(counter) => counter.replace_since(newer),
                None => outcome.counters.push(newer),
            }
        }
        arrivals.extend(newer.into_iter().map(|cell| (cell.second, cell)));
        outcome.duration_s = duration_s;
        outcome.load.classes = classes;
        outcome.samples.extend(samples);
        if let Some(failures) = failures {
            outcome.failures = failures;
        }
        for mut endpoint in updates {
            let (latest, cells) = endpoints.entry(endpoint.name.clone()).or_default();
            let later = endpoint.cells.drain(..).map(|cell| (cell.second, cell));
            cells.extend(later);
            *latest = endpoint;
        }
    }
    let merged = endpoints.into_values().map(|(mut endpoint, cells)| {
        endpoint.cells = cells.into_values().collect();
        endpoint
    });
    outcome.endpoints = merged.collect();
    outcome.arrivals = arrivals.into_values().collect();
    outcome
}
