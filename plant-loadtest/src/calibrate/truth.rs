//! What percentiles truly are, by arithmetic, when people come whatever happens.

use std::time::Duration;

/// A latency that is known.
#[derive(Clone, Copy, Debug)]
pub enum Truth {
    /// Always the same.
    Fixed(Duration),
    /// Every so many requests take longer.
    Bimodal {
        /// What most take.
        usual: Duration,
        /// What the others take.
        rare: Duration,
        /// Every how many.
        one_in: u64,
    },
    /// Always the same but for one pause, with arrivals at even distances.
    Stall {
        /// What answers take otherwise.
        latency: Duration,
        /// How long nothing is answered.
        lasts: Duration,
        /// How long people come, in all.
        of: Duration,
    },
}

impl Truth {
    /// The latency that a share `quantile` of all requests do not exceed, in milliseconds.
    ///
    /// In a stall of S seconds with a latency of L everybody is held who comes from L before it
    /// until its end, a share (S + L) ÷ T of all. Each is answered L after the end, so their
    /// latencies spread evenly from L to S + 2 L.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        let seconds = match *self {
            Self::Fixed(latency) => latency.as_secs_f64(),
            #[expect(clippy::cast_precision_loss, reason = "a small whole number")]
            Self::Bimodal { usual, rare, one_in } => {
                let usual_share = 1.0 - 1.0 / one_in as f64;
                if quantile <= usual_share { usual.as_secs_f64() } else { rare.as_secs_f64() }
            }
            Self::Stall { latency, lasts, of } => {
                let (latency, held_s) = (latency.as_secs_f64(), (lasts + latency).as_secs_f64());
                let held_share = held_s / of.as_secs_f64();
                let into = (quantile - (1.0 - held_share)) / held_share;
                latency + into.max(0.0) * held_s
            }
        };
        seconds * 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_spreads_evenly_over_those_who_come_meanwhile() {
        let truth = Truth::Stall {
            latency: Duration::from_millis(20),
            lasts: Duration::from_millis(2980),
            of: Duration::from_secs(20),
        };
        // Held: 3 s of 20, the slowest 15 %, from 20 ms to 3.02 s.
        for (quantile, expected) in [(0.5, 20.0), (0.85, 20.0), (0.95, 2020.0), (0.99, 2820.0)] {
            let ms = truth.quantile_ms(quantile);
            assert!((ms - expected).abs() < 1e-6, "{quantile}: {ms}");
        }
    }

    #[test]
    fn the_rare_ones_begin_where_the_usual_ones_end() {
        let (usual, rare) = (Duration::from_millis(50), Duration::from_millis(400));
        let truth = Truth::Bimodal { usual, rare, one_in: 25 };
        for (quantile, expected) in [(0.95, 50.0), (0.97, 400.0), (0.99, 400.0)] {
            assert!((truth.quantile_ms(quantile) - expected).abs() < 1e-9, "{quantile}");
        }
    }
}
