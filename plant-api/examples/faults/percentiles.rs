//! Percentiles of waits.

use std::time::Duration;

/// The wait that `share` (0 to 1) of `waits` do not exceed.
pub fn percentile(waits: &mut [Duration], share: f64) -> Duration {
    waits.sort_unstable();
    let index = (waits.len() as f64 * share).ceil() as usize;
    waits.get(index.saturating_sub(1)).copied().unwrap_or_default()
}
