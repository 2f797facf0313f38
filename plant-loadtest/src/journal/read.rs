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
    let first_line = lines.next().unwrap_or_default();
    let header = serde_json::from_str::<Header>(first_line);
    let mut entries = Vec::new();
    while let Some(line) = lines.next() {
        if line == first_line {
            // Sent twice.
            continue;
        }
        match serde_json::from_str::<Entry>(line) {
            Ok(entry) => entries.push(entry),
            Err(_) if lines.clone().next().is_none() && !text.ends_with('\n') => {}
            Err(error) => return Some(Err(error)),
        }
    }
    Some(header.and_then(|header| {
        let entries = in_order(entries).map_err(serde::de::Error::custom)?;
        Ok(merge_entries(header.outcome, entries))
    }))
}

/// Returns the entries without those that were sent twice.
///
/// # Errors
/// When one is missing.
fn in_order(entries: Vec<Entry>) -> Result<Vec<Entry>, String> {
    let mut last = 0;
    let mut ordered = Vec::new();
    for entry in entries {
        match entry.number {
            Some(number) if number <= last => continue,
            Some(number) if number > last + 1 => {
                return Err(format!("entry {} of the journal is missing", last + 1));
            }
            Some(number) => last = number,
            None => {}
        }
        ordered.push(entry);
    }
    Ok(ordered)
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
            number: _,
            stages,
            ended,
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
        outcome.load.stages = stages.unwrap_or(outcome.load.stages);
        outcome.ended = ended.unwrap_or(outcome.ended);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    /// Returns the header, and one entry for each number, each with a sample of its own.
    fn journal(numbers: &[u8]) -> String {
        let samples = example::outcome().samples;
        let outcome = Outcome { samples: Vec::new(), ..example::outcome() };
        let header = Header { version: outcome.version, partial: true, outcome };
        let mut text = serde_json::to_string(&header).unwrap() + "\n";
        for number in numbers {
            let samples = vec![samples[usize::from(*number)].clone()];
            let (duration_s, number) = (f64::from(*number), Some(u64::from(*number)));
            let entry = Entry { number, duration_s, samples, ..Entry::default() };
            text += &(serde_json::to_string(&entry).unwrap() + "\n");
        }
        text
    }

    #[test]
    fn what_was_sent_twice_counts_once() {
        let once = read_outcome(&journal(&[1, 2, 3])).unwrap().unwrap();
        assert_eq!(once.samples.len(), 3);
        assert_eq!(read_outcome(&journal(&[1, 2, 1, 2, 3, 3])).unwrap().unwrap(), once);
        let text = journal(&[1, 2, 3]);
        let (header, entries) = text.split_once('\n').unwrap();
        let again = format!("{header}\n{header}\n{entries}{header}\n");
        assert_eq!(read_outcome(&again).unwrap().unwrap(), once);
    }

    #[test]
    fn a_missing_entry_is_an_error() {
        let error = read_outcome(&journal(&[1, 3])).unwrap().unwrap_err().to_string();
        assert!(error.contains("entry 2 of the journal is missing"), "{error}");
    }
}
