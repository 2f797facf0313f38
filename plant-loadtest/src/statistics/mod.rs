//! Statistics for findings (memory growth, drift) and for comparisons of runs.

pub mod binomial;
pub mod change_points;
pub mod multiple_testing;
pub mod rank_tests;
pub mod trend;

/// Returns the median of `values`: of an even number of values, the mean of the two middle ones.
/// `None` when `values` is empty.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(sorted[sorted.len() / 2 - 1], upper))
}

/// Returns the quantile of `values` by nearest rank: the smallest value such that a fraction
/// `quantile` (0 to 1) of the values is less than or equal to it. `None` when `values` is empty.
#[must_use]
pub fn quantile(values: &[f64], quantile: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between zero and the number of values"
    )]
    let rank = (quantile.clamp(0.0, 1.0) * as_f64(sorted.len())).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Converts a count for floating-point arithmetic.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "as many values as fit in memory stay below 2^53")]
pub fn as_f64(count: usize) -> f64 {
    count as f64
}

/// Samples the standard normal distribution: mean 0, standard deviation 1 (Box and Muller, 1958).
pub fn sample_normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_samples_have_mean_0_and_standard_deviation_1() {
        let mut random = fastrand::Rng::with_seed(1);
        let samples: Vec<f64> = (0..4000).map(|_| sample_normal(&mut random)).collect();
        let mean = samples.iter().sum::<f64>() / 4000.0;
        let variance = samples.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / 4000.0;
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.1, "{mean} {variance}");
    }

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle_two() {
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[2.0, 1.0]), Some(1.5));
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 4.0, 1.0, 2.0, 3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.95), Some(19.0));
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&values, 1.0), Some(20.0));
    }
}
