//! Known latency distributions: exact percentiles for arrivals that do not depend on the responses.

use std::time::Duration;

/// A known latency distribution.
#[derive(Clone, Copy, Debug)]
pub enum KnownDistribution {
    /// The same latency for every request.
    Fixed(Duration),
    /// A typical latency, and another one for every n-th request.
    Bimodal {
        /// Latency of most requests.
        typical: Duration,
        /// Latency of every n-th request.
        rare: Duration,
        /// n: one in this many requests has the rare latency.
        one_in: u64,
    },
    /// The same latency except for one stall, with arrivals at equal intervals. Requests that are in
    /// progress at the start of the stall, or arrive during it, are delayed until its end and then by
    /// `latency`.
    Stall {
        /// Latency outside the stall.
        latency: Duration,
        /// Duration of the stall.
        duration: Duration,
        /// Duration of the whole run.
        run_time: Duration,
    },
}

impl KnownDistribution {
    /// Returns the latency that a fraction `quantile` (0 to 1) of all requests does not exceed, in
    /// milliseconds.
    ///
    /// A stall of S seconds delays all requests that start between L before it and its end, where L
    /// is the latency. In a run of T seconds this is a fraction (S + L) ÷ T. Their responses come L
    /// after the end of the stall, so their latencies are uniformly distributed from L to S + 2 L.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        let seconds = match *self {
            Self::Fixed(latency) => latency.as_secs_f64(),
            #[expect(clippy::cast_precision_loss, reason = "a small whole number")]
            Self::Bimodal { typical, rare, one_in } => {
                let typical_fraction = 1.0 - 1.0 / one_in as f64;
                if quantile <= typical_fraction {
                    typical.as_secs_f64()
                } else {
                    rare.as_secs_f64()
                }
            }
            Self::Stall { latency, duration, run_time } => {
                let delayed_s = (duration + latency).as_secs_f64();
                let delayed_fraction = delayed_s / run_time.as_secs_f64();
                let position = (quantile - (1.0 - delayed_fraction)) / delayed_fraction;
                latency.as_secs_f64() + position.max(0.0) * delayed_s
            }
        };
        seconds * 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_in_a_stall_are_uniformly_distributed() {
        let distribution = KnownDistribution::Stall {
            latency: Duration::from_millis(20),
            duration: Duration::from_millis(2980),
            run_time: Duration::from_secs(20),
        };
        // Delayed: 3 s of 20, the slowest 15 %, from 20 ms to 3.02 s.
        for (quantile, expected) in [(0.5, 20.0), (0.85, 20.0), (0.95, 2020.0), (0.99, 2820.0)] {
            let ms = distribution.quantile_ms(quantile);
            assert!((ms - expected).abs() < 1e-6, "{quantile}: {ms}");
        }
    }

    #[test]
    fn percentiles_above_the_typical_fraction_are_the_rare_latency() {
        let (typical, rare) = (Duration::from_millis(50), Duration::from_millis(400));
        let distribution = KnownDistribution::Bimodal { typical, rare, one_in: 25 };
        for (quantile, expected) in [(0.95, 50.0), (0.97, 400.0), (0.99, 400.0)] {
            assert!((distribution.quantile_ms(quantile) - expected).abs() < 1e-9, "{quantile}");
        }
    }
}
