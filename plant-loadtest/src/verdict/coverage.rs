//! Whether enough of the seconds were sampled for a value to be met.

/// Fraction of the seconds in which a resource must have been sampled.
pub(super) const MIN_COVERAGE: f64 = 0.8;

/// Returns whether `samples`, one a second, cover enough of `seconds`.
pub(super) fn has_coverage(samples: u64, seconds: u32) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "samples of a run stay below 2^53")]
    let samples = samples as f64;
    // The first and the last second of a run may have none.
    let missing = if seconds < 10 { 0.0 } else { 2.0 };
    samples + missing >= (f64::from(seconds) * MIN_COVERAGE).floor()
}
