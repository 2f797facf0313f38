//! The log of a server of known truth.

use std::{collections::BTreeMap, fs, io, path::Path, time::Duration};

use crate::{
    distribution::Distribution,
    outcome::{Counts, Outcome},
};

/// Largest difference between P50 or P95 of the outcome and of the server's log, in milliseconds or
/// percent, whichever is more. The client cannot be faster than the server.
const LATENCY_TOLERANCE: f64 = 1.0;

/// Requests for logins are sent before the load, too, when they are not recorded.
const UNCOUNTED_PREFIX: &str = "POST /login";

/// What a server did with the requests to one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct EndpointTruth {
    received: u64,
    correct: u64,
}

/// What a server did during a load.
#[derive(Debug, Default)]
pub(super) struct Truth {
    endpoints: BTreeMap<String, EndpointTruth>,
    /// Processing times of correct responses.
    processing_times: Distribution,
}

impl Truth {
    /// Reads the log that a server has written to `path`.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let mut truth = Self::default();
        for line in fs::read_to_string(path)?.lines() {
            truth.add(line);
        }
        Ok(truth)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let (what, rest) = line.split_once(' ')?;
        if what == "received" {
            self.endpoint(rest).received += 1;
            return Some(());
        }
        let mut fields = rest.rsplitn(3, ' ');
        let (micros, result, endpoint) = (fields.next()?, fields.next()?, fields.next()?);
        if result == "correct" {
            self.endpoint(endpoint).correct += 1;
            self.processing_times.record(Duration::from_micros(micros.parse().ok()?));
        }
        Some(())
    }

    fn endpoint(&mut self, name: &str) -> &mut EndpointTruth {
        self.endpoints.entry(name.to_owned()).or_default()
    }

    /// Returns a sentence for each endpoint whose counts in `outcome` differ from the log.
    pub(super) fn compare_counts(&self, outcome: &Outcome) -> Vec<String> {
        let endpoints = outcome.endpoints.iter();
        let counted = endpoints.filter(|endpoint| !endpoint.name.starts_with(UNCOUNTED_PREFIX));
        let differences = counted.filter_map(|endpoint| {
            let Counts { sent, succeeded, .. } = endpoint.tally_all().counts;
            let truth = self.endpoints.get(&endpoint.name).copied().unwrap_or_default();
            let measured = EndpointTruth { received: sent, correct: succeeded };
            (measured != truth).then(|| {
                format!(
                    "{}: {sent} sent, {succeeded} succeeded; the server received {} and answered {} \
                     correctly",
                    endpoint.name, truth.received, truth.correct
                )
            })
        });
        differences.collect()
    }

    /// Returns a sentence if P50 or P95 of the service time in `outcome` differ from the log.
    pub(super) fn compare_latency(&self, outcome: &Outcome) -> Option<String> {
        let mut measured = Distribution::default();
        for endpoint in &outcome.endpoints {
            measured.merge(&endpoint.service_time);
        }
        let differs = |quantile: f64| {
            let (measured, truth) =
                (measured.quantile_ms(quantile)?, self.processing_times.quantile_ms(quantile)?);
            let tolerated = LATENCY_TOLERANCE.max(truth * LATENCY_TOLERANCE / 100.0);
            ((measured - truth).abs() > tolerated).then(|| {
                format!("P{:.0} {measured:.2} ms, {truth:.2} by the server", quantile * 100.0)
            })
        };
        differs(0.5).or_else(|| differs(0.95))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_difference_of_one_request_is_found() {
        let outcome = example::outcome();
        let mut truth = Truth::default();
        for endpoint in &outcome.endpoints {
            let counts = endpoint.tally_all().counts;
            for _ in 0..counts.sent {
                truth.add(&format!("received {}", endpoint.name));
            }
            for _ in 0..counts.succeeded {
                truth.add(&format!("answered {} correct 5000", endpoint.name));
            }
        }
        assert_eq!(truth.compare_counts(&outcome), Vec::<String>::new());
        truth.add("received GET /health");
        truth.add("answered GET /health faulty 5000");
        assert_eq!(truth.compare_counts(&outcome).len(), 1);
    }

    #[test]
    fn percentiles_may_differ_by_a_millisecond() {
        let mut outcome = example::outcome();
        outcome.endpoints.truncate(1);
        let of = |millis| {
            let mut times = Distribution::default();
            times.record(Duration::from_micros(millis));
            times
        };
        let truth = Truth { processing_times: of(10_000), ..Truth::default() };
        for (micros, is_right) in [(10_900, true), (11_200, false), (8_800, false)] {
            outcome.endpoints[0].service_time = of(micros);
            assert_eq!(truth.compare_latency(&outcome).is_none(), is_right, "{micros}");
        }
    }
}
