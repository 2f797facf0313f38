//! Correction of p-values for multiple tests.

use super::as_f64;

/// Adjusts `p_values` for multiple tests (Benjamini and Hochberg, 1995): rejecting every test
/// whose adjusted p-value is at most `a` keeps the expected fraction of false positives among the
/// rejected tests at or below `a`. Returns them in the order of `p_values`.
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut descending: Vec<usize> = (0..p_values.len()).collect();
    descending.sort_by(|left, right| p_values[*right].total_cmp(&p_values[*left]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut lowest = 1.0_f64;
    for (from_last, index) in descending.into_iter().enumerate() {
        let rank = p_values.len() - from_last;
        lowest = lowest.min(p_values[index] * as_f64(p_values.len()) / as_f64(rank));
        adjusted[index] = lowest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_grow_with_the_number_of_tests() {
        let adjusted = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.5]);
        for (got, expected) in adjusted.iter().zip([0.04, 0.16 / 3.0, 0.16 / 3.0, 0.5]) {
            assert!((got - expected).abs() < 1e-12, "{adjusted:?}");
        }
    }

    #[test]
    fn the_p_value_of_a_single_test_is_unchanged() {
        assert_eq!(benjamini_hochberg(&[0.03]), [0.03]);
        assert!(benjamini_hochberg(&[]).is_empty());
    }
}
