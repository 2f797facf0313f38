//! Simulated writer: the text of the template after the latency of a model. Latency and failure are
//! pure functions of the seed and the ticket, so a run can be repeated.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Source, template};
use crate::config::SimulatedWriterConfig;
use crate::sample;

const NEXT_STEP: &str = "Suggested next step: check these, the most similar one first.";

/// The simulated writer.
pub struct SimulatedWriter(pub SimulatedWriterConfig);

impl SimulatedWriter {
    pub(super) async fn write(&self, source: Source<'_>) -> Result<String, String> {
        let (latency, fails) = self.respond(source);
        tokio::time::sleep(latency).await;
        if fails {
            return Err("the simulated writer is overloaded".into());
        }
        Ok(format!("{}\n\n{NEXT_STEP}", template::write(source)))
    }

    /// Returns the latency of a text, and whether the writer fails.
    fn respond(&self, source: Source<'_>) -> (Duration, bool) {
        let SimulatedWriterConfig { seed, min_latency, max_latency, failure_rate } = self.0;
        let [latency, failure] = samples(seed, source);
        let range = max_latency.saturating_sub(min_latency);
        (min_latency + range.mul_f64(latency), failure < failure_rate)
    }
}

/// Returns two uniform numbers from 0 to 1, without 1.
fn samples(seed: u64, source: Source<'_>) -> [f64; 2] {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(seed.to_be_bytes())
        .chain_update(&source.ticket.ticket_id)
        .chain_update([0])
        .chain_update(&source.ticket.description)
        .finalize()
        .into();
    [0, 8].map(|offset| sample::uniform(&digest, offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enhancement::context::Context;
    use crate::enhancement::writer::tests::ticket;

    /// Returns the latencies in milliseconds and the failures of 10,000 tickets.
    fn respond(seed: u64) -> (Vec<f64>, usize) {
        let writer = SimulatedWriter(SimulatedWriterConfig {
            seed,
            min_latency: Duration::from_millis(100),
            max_latency: Duration::from_millis(150),
            failure_rate: 0.1,
        });
        let context = Context::default();
        let responses = (0..10_000).map(|n| {
            let ticket = ticket(&format!("Ticket {n}"));
            writer.respond(Source { ticket: &ticket, context: &context })
        });
        let (latencies, fails): (Vec<_>, Vec<_>) = responses.unzip();
        let milliseconds = latencies.iter().map(|latency| latency.as_secs_f64() * 1000.0);
        (milliseconds.collect(), fails.into_iter().filter(|fails| *fails).count())
    }

    #[test]
    fn latencies_are_uniform_and_failures_come_at_their_rate() {
        let (mut latencies, failures) = respond(42);
        latencies.sort_by(f64::total_cmp);
        let quantiles = [0, 2_500, 5_000, 7_500, 9_999].map(|n| latencies[n]);
        for (quantile, expected) in quantiles.into_iter().zip([100.0, 112.5, 125.0, 137.5, 150.0]) {
            assert!((quantile - expected).abs() < 1.0, "{quantiles:?}");
        }
        assert!((900..1_100).contains(&failures), "{failures}");
    }

    #[test]
    fn the_same_seed_gives_the_same_responses() {
        assert_eq!(respond(1), respond(1));
        assert_ne!(respond(1), respond(2));
    }
}
