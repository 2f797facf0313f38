//! Many tests at once: which of them still count.

use super::count;

/// The chances of `p`, raised for how many there are (Benjamini and Hochberg, 1995): calling every
/// test a discovery whose adjusted chance is at most `a` keeps the expected share of false ones
/// among the discoveries at or below `a`. In the order of `p`.
#[must_use]
pub fn adjusted(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|left, right| p[*right].total_cmp(&p[*left]));
    let mut adjusted = vec![1.0; p.len()];
    let mut lowest = 1.0_f64;
    for (from_last, index) in order.into_iter().enumerate() {
        let rank = p.len() - from_last;
        lowest = lowest.min(p[index] * count(p.len()) / count(rank));
        adjusted[index] = lowest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_grow_with_the_number_of_tests() {
        let adjusted = adjusted(&[0.01, 0.04, 0.03, 0.5]);
        for (got, expected) in adjusted.iter().zip([0.04, 0.16 / 3.0, 0.16 / 3.0, 0.5]) {
            assert!((got - expected).abs() < 1e-12, "{adjusted:?}");
        }
    }

    #[test]
    fn a_single_test_stays_as_it_is() {
        assert_eq!(adjusted(&[0.03]), [0.03]);
        assert!(adjusted(&[]).is_empty());
    }
}
