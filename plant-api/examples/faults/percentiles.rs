//! Percentiles of latencies.

use std::time::Duration;

/// Sorts `latencies` and returns their `quantile` (0 to 1), or zero when there are none.
pub fn percentile(latencies: &mut [Duration], quantile: f64) -> Duration {
    latencies.sort_unstable();
    let index = (latencies.len() as f64 * quantile).ceil() as usize;
    latencies.get(index.saturating_sub(1)).copied().unwrap_or_default()
}
