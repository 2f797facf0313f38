//! Rank statistics for two groups of values, which assume no distribution.

use super::{as_f64, median};

/// Returns the shift from `base` to `new`: the median of all pairwise differences (Hodges and
/// Lehmann, 1963). `None` when either group is empty.
#[must_use]
pub fn hodges_lehmann(base: &[f64], new: &[f64]) -> Option<f64> {
    let differences: Vec<f64> =
        new.iter().flat_map(|new| base.iter().map(move |base| new - base)).collect();
    median(&differences)
}

/// Returns the p-value of the exact one-sided test of Mann and Whitney (1947) that `new` is greater
/// than `base`. Tied values get their mean rank, and the p-value comes from the exact distribution
/// of these ranks.
///
/// It is 1 when either group is empty.
#[must_use]
pub fn mann_whitney_greater(base: &[f64], new: &[f64]) -> f64 {
    let ranks = doubled_midranks(base, new);
    let observed: usize = ranks[base.len()..].iter().sum();
    let subsets = subsets_by_rank_sum(&ranks, new.len());
    let total: f64 = subsets.iter().sum();
    subsets.get(observed..).unwrap_or_default().iter().sum::<f64>() / total
}

/// Returns the smallest p-value that [`mann_whitney_greater`] can return for two groups of `size`
/// values: that of complete separation, 1 / binomial(2 × `size`, `size`).
#[must_use]
pub fn min_p_value(size: usize) -> f64 {
    (1..=size).map(|step| as_f64(step) / as_f64(size + step)).product()
}

/// Returns twice the ranks of all values, `base` first; doubled, the mean ranks of ties are integers.
fn doubled_midranks(base: &[f64], new: &[f64]) -> Vec<usize> {
    let all: Vec<f64> = base.iter().chain(new).copied().collect();
    all.iter()
        .map(|value| {
            let below = all.iter().filter(|other| *other < value).count();
            let equal = all.iter().filter(|other| *other == value).count();
            2 * below + equal + 1
        })
        .collect()
}

/// Returns, indexed by sum, the number of subsets of `size` ranks with that sum. Floats, because
/// the numbers can exceed an integer; those of typical comparisons are exact nevertheless.
fn subsets_by_rank_sum(ranks: &[usize], size: usize) -> Vec<f64> {
    let max_sum: usize = ranks.iter().sum();
    let mut subsets = vec![vec![0.0; max_sum + 1]; size + 1];
    subsets[0][0] = 1.0;
    for rank in ranks {
        for length in (1..=size).rev() {
            let (shorter, rest) = subsets.split_at_mut(length);
            let shorter = &shorter[length - 1];
            for (sum, count) in rest[0].iter_mut().enumerate().skip(*rank) {
                *count += shorter[sum - rank];
            }
        }
    }
    subsets.swap_remove(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_separation_has_the_smallest_p_value() {
        let (base, new) = ([1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0]);
        assert!((mann_whitney_greater(&base, &new) - 1.0 / 252.0).abs() < 1e-12);
        assert!((mann_whitney_greater(&new, &base) - 1.0).abs() < 1e-12);
        assert!((min_p_value(5) - 1.0 / 252.0).abs() < 1e-12);
    }

    #[test]
    fn the_p_value_counts_all_subsets() {
        // Sums of two ranks out of 1 to 5: 3 4 5 5 6 6 7 7 8 9. {2, 5} has 7, and 4 of 10 reach it.
        let p_value = mann_whitney_greater(&[1.0, 3.0, 4.0], &[2.0, 5.0]);
        assert!((p_value - 0.4).abs() < 1e-12, "{p_value}");
    }

    #[test]
    fn equal_values_are_not_significant() {
        assert!((mann_whitney_greater(&[3.0; 5], &[3.0; 5]) - 1.0).abs() < 1e-12);
        // One value is tied across the groups, so the ranks are {1, 2.5} and {2.5, 4}: of 6 subsets,
        // the observed one and the one with the other tied value reach the sum.
        let p_value = mann_whitney_greater(&[1.0, 2.0], &[2.0, 3.0]);
        assert!((p_value - 2.0 / 6.0).abs() < 1e-12, "{p_value}");
        assert_eq!(doubled_midranks(&[1.0, 2.0], &[2.0, 3.0]), [2, 5, 5, 8]);
    }

    #[test]
    fn nothing_is_significant_without_values_on_both_sides() {
        for (base, new) in [(&[][..], &[1.0, 2.0][..]), (&[1.0, 2.0], &[]), (&[], &[])] {
            assert_eq!(mann_whitney_greater(base, new), 1.0, "{base:?} {new:?}");
        }
    }

    #[test]
    fn an_outlier_does_not_change_the_shift() {
        let base = [10.0, 11.0, 12.0, 13.0, 500.0];
        let new: Vec<f64> = base.iter().map(|value| value + 2.0).collect();
        assert_eq!(hodges_lehmann(&base, &new), Some(2.0));
        assert_eq!(hodges_lehmann(&[], &new), None);
    }
}
