//! Two groups of numbers compared by rank, without assuming how they are distributed.

use super::{count, median};

/// The shift from `base` to `new`: the median of all pairwise differences (Hodges and Lehmann,
/// 1963). `None` when a side is empty.
#[must_use]
pub fn shift(base: &[f64], new: &[f64]) -> Option<f64> {
    let differences: Vec<f64> =
        new.iter().flat_map(|new| base.iter().map(move |base| new - base)).collect();
    median(&differences)
}

/// How likely `new` would rank at least this high above `base` if both came from one source: the
/// exact one-sided test of Mann and Whitney (1947). Ties count half, and for them the exact
/// distribution of the tied ranks is counted.
///
/// 1 when a side is empty.
#[must_use]
pub fn p_greater(base: &[f64], new: &[f64]) -> f64 {
    if base.is_empty() || new.is_empty() {
        return 1.0;
    }
    let ranks = doubled_midranks(base, new);
    let observed: usize = ranks[base.len()..].iter().sum();
    let ways = ways_by_rank_sum(&ranks, new.len());
    let all: f64 = ways.iter().sum();
    ways.get(observed..).unwrap_or_default().iter().sum::<f64>() / all
}

/// The smallest chance that [`p_greater`] can yield with `runs` a side: that of complete
/// separation, one in "choose `runs` out of twice as many".
#[must_use]
pub fn least_p(runs: usize) -> f64 {
    (1..=runs).map(|step| count(step) / count(runs + step)).product()
}

/// Ranks of all values, base first, times two so that shared ranks stay whole.
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

/// In how many ways `chosen` of `ranks` add up to each sum. As floats, because there are too many
/// ways for an integer; the largest that comparisons meet are exact all the same.
fn ways_by_rank_sum(ranks: &[usize], chosen: usize) -> Vec<f64> {
    let most: usize = ranks.iter().sum();
    let mut ways = vec![vec![0.0; most + 1]; chosen + 1];
    ways[0][0] = 1.0;
    for rank in ranks {
        for taken in (1..=chosen).rev() {
            let (without, with) = ways.split_at_mut(taken);
            let before = &without[taken - 1];
            for (sum, more) in with[0].iter_mut().enumerate().skip(*rank) {
                *more += before[sum - rank];
            }
        }
    }
    ways.swap_remove(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_separation_is_one_way_in_all() {
        let (base, new) = ([1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0]);
        assert!((p_greater(&base, &new) - 1.0 / 252.0).abs() < 1e-12);
        assert!((p_greater(&new, &base) - 1.0).abs() < 1e-12);
        assert!((least_p(5) - 1.0 / 252.0).abs() < 1e-12);
    }

    #[test]
    fn the_chance_is_that_of_counting_all_ways() {
        // Sums of two ranks out of 1 to 5: 3 4 5 5 6 6 7 7 8 9. {2, 5} has 7, and 4 of 10 reach it.
        let chance = p_greater(&[1.0, 3.0, 4.0], &[2.0, 5.0]);
        assert!((chance - 0.4).abs() < 1e-12, "{chance}");
    }

    #[test]
    fn equal_values_prove_nothing() {
        assert!((p_greater(&[3.0; 5], &[3.0; 5]) - 1.0).abs() < 1e-12);
        // One value tied across the sides: {1, 2.5} and {2.5, 4}; 1 of 6 ways has both top ranks,
        // and one more swaps the tied pair.
        let chance = p_greater(&[1.0, 2.0], &[2.0, 3.0]);
        assert!((chance - 2.0 / 6.0).abs() < 1e-12, "{chance}");
    }

    #[test]
    fn the_shift_ignores_an_outlier() {
        let base = [10.0, 11.0, 12.0, 13.0, 500.0];
        let new: Vec<f64> = base.iter().map(|value| value + 2.0).collect();
        assert_eq!(shift(&base, &new), Some(2.0));
        assert_eq!(shift(&[], &new), None);
    }
}
