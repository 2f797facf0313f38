//! Reads the journal of a killed run as an outcome.

use std::collections::BTreeMap;

use super::{END, Entry, Journal};
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
    let parsed = serde_json::from_str::<Journal>(text);
    let journal = parsed.or_else(|error| {
        let lines = text.trim_end().trim_end_matches(']').trim_end();
        let Some((complete, _)) = lines.rsplit_once('\n') else { return Err(error) };
        serde_json::from_str(&format!("{}{END}", complete.trim_end_matches(',')))
    });
    Some(journal.map(merge_entries))
}

fn merge_entries(journal: Journal) -> Outcome {
    let mut outcome = journal.header;
    let mut endpoints: BTreeMap<String, (EndpointResults, BTreeMap<u32, EndpointCell>)> = outcome
        .endpoints
        .drain(..)
        .map(|endpoint| (endpoint.name.clone(), (endpoint, BTreeMap::new())))
        .collect();
    let mut arrivals = BTreeMap::new();
    for entry in journal.entries {
        let Entry { duration_s, classes, endpoints: updates, failures, samples, arrivals: newer } =
            entry;
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
