//! Percentiles of latencies.

use std::time::Duration;

/// Returns the percentile `share` (0 to 1) of `latencies`, or zero when there are none. Sorts them.
pub fn percentile(latencies: &mut [Duration], share: f64) -> Duration {
    latencies.sort_unstable();
    let index = (latencies.len() as f64 * share).ceil() as usize;
    latencies.get(index.saturating_sub(1)).copied().unwrap_or_default()
}
