//! Pseudorandom samples from a hash, for simulations that can be repeated.

use std::f64::consts::TAU;
use std::time::Duration;

/// Upper limit of a simulated latency.
const MAX_LATENCY: Duration = Duration::from_secs(30);

/// Returns the eight bytes at `offset` as a number from 0 to 1, without 1.
pub fn uniform(bytes: &[u8; 32], offset: usize) -> f64 {
    let bits = bytes[offset..].iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns a log-normally distributed latency of at most 30 s, from the first sixteen bytes. `spread` is
/// the standard deviation of its logarithm.
pub fn latency(bytes: &[u8; 32], median: Duration, spread: f64) -> Duration {
    let [u1, u2] = [0, 8].map(|offset| uniform(bytes, offset));
    // Box-Muller transform: two uniform samples make one standard normal sample.
    let normal = (-2.0 * (1.0 - u1).ln()).sqrt() * (TAU * u2).cos();
    median.mul_f64((spread * normal).exp().min(1e6)).min(MAX_LATENCY)
}
