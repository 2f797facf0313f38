//! Change points: where the level of a series changes.

use super::{as_f64, median, rank_tests};

/// Fewest values on each side of a change point.
const MIN_SEGMENT: usize = 4;

/// Number of permutations of the series from which a p-value is estimated.
const PERMUTATIONS: usize = 1999;

/// A point at which the level of a series changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// Index of the first value of the new level.
    pub index: usize,
    /// Shift from the old level to the new one, by [`rank_tests::hodges_lehmann`].
    pub shift: f64,
    /// P-value of the permutation test.
    pub p_value: f64,
}

/// Returns the change points of `values` in their order. Binary segmentation: the point with the
/// highest rank statistic (Pettitt, 1979) is tested by permutation; if it is significant, both
/// sides of it are searched in turn.
///
/// `alpha` is the false-positive rate for a series without any change.
#[must_use]
pub fn change_points(values: &[f64], alpha: f64) -> Vec<ChangePoint> {
    // A fixed seed makes the result reproducible.
    let mut random = fastrand::Rng::with_seed(0x50_6c61_6e74);
    let mut splits = Vec::new();
    split(values, 0, alpha, &mut random, &mut splits);
    splits.sort_unstable_by_key(|(index, _)| *index);
    let bounds: Vec<usize> = [0]
        .into_iter()
        .chain(splits.iter().map(|(index, _)| *index))
        .chain([values.len()])
        .collect();
    let points = splits.iter().zip(bounds.windows(3)).filter_map(|((index, p_value), bound)| {
        let shift =
            rank_tests::hodges_lehmann(&values[bound[0]..*index], &values[*index..bound[2]])?;
        Some(ChangePoint { index: *index, shift, p_value: *p_value })
    });
    points.collect()
}

fn split(
    values: &[f64],
    offset: usize,
    alpha: f64,
    random: &mut fastrand::Rng,
    splits: &mut Vec<(usize, f64)>,
) {
    let mut ranks = midranks(values);
    let Some(statistic) = max_statistic(&ranks) else { return };
    let as_extreme = (0..PERMUTATIONS)
        .filter(|_| {
            random.shuffle(&mut ranks);
            max_statistic(&ranks).is_some_and(|permuted| permuted >= statistic)
        })
        .count();
    let p_value = (as_f64(as_extreme) + 1.0) / (as_f64(PERMUTATIONS) + 1.0);
    if p_value > alpha {
        return;
    }
    let Some(index) = best_fit(values) else { return };
    splits.push((offset + index, p_value));
    split(&values[..index], offset, alpha, random, splits);
    split(&values[index..], offset + index, alpha, random, splits);
}

fn midranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let equal = values.iter().filter(|other| *other == value).count();
        as_f64(below) + f64::midpoint(as_f64(equal), 1.0)
    };
    values.iter().map(rank).collect()
}

/// Returns the highest difference between the ranks before and after a point, over all points,
/// normalized by the lengths of both sides.
fn max_statistic(ranks: &[f64]) -> Option<f64> {
    let candidates = MIN_SEGMENT..=ranks.len().checked_sub(MIN_SEGMENT)?;
    let mean = (as_f64(ranks.len()) + 1.0) / 2.0;
    let mut before = 0.0;
    let mut highest: Option<f64> = None;
    for index in 1..ranks.len() {
        before += ranks[index - 1] - mean;
        if candidates.contains(&index) {
            let statistic = before.abs() / (as_f64(index) * as_f64(ranks.len() - index)).sqrt();
            highest = Some(highest.map_or(statistic, |other| other.max(statistic)));
        }
    }
    highest
}

/// Returns the index at which two constant levels fit `values` best. The index of the highest rank
/// statistic would be off by one where the sides have unequal lengths.
fn best_fit(values: &[f64]) -> Option<usize> {
    let deviation = |side: &[f64]| {
        let level = median(side).unwrap_or_default();
        side.iter().map(|value| (value - level).abs()).sum::<f64>()
    };
    let total = |index: &usize| deviation(&values[..*index]) + deviation(&values[*index..]);
    let candidates = MIN_SEGMENT..=values.len().checked_sub(MIN_SEGMENT)?;
    candidates.min_by(|left, right| total(left).total_cmp(&total(right)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::sample_normal;

    fn series(random: &mut fastrand::Rng, levels: &[(usize, f64)]) -> Vec<f64> {
        let mut values = Vec::new();
        for (length, level) in levels {
            values.extend((0..*length).map(|_| level + sample_normal(random)));
        }
        values
    }

    #[test]
    fn two_change_points_are_found_at_their_indices() {
        let mut random = fastrand::Rng::with_seed(1);
        let values = series(&mut random, &[(12, 100.0), (10, 110.0), (14, 95.0)]);
        let found = change_points(&values, 0.05);
        assert_eq!(found.iter().map(|point| point.index).collect::<Vec<_>>(), [12, 22]);
        assert!((found[0].shift - 10.0).abs() < 2.0 && (found[1].shift + 15.0).abs() < 2.0);
    }

    #[test]
    fn change_points_of_the_later_part_have_their_index_in_the_whole_series() {
        let mut random = fastrand::Rng::with_seed(7);
        let levels = [(10, 100.0), (10, 120.0), (10, 140.0), (10, 160.0)];
        let found = change_points(&series(&mut random, &levels), 0.01);
        assert_eq!(found.iter().map(|point| point.index).collect::<Vec<_>>(), [10, 20, 30]);
        assert!(found.iter().all(|point| point.p_value <= 0.01 && point.p_value > 0.0));
    }

    #[test]
    fn the_p_value_counts_the_permutations_that_are_as_extreme_and_the_series_itself() {
        let values: Vec<f64> = (0..40).map(|at| f64::from(at % 2 + at / 20 * 100)).collect();
        let found = change_points(&values, 0.01);
        assert_eq!((found.len(), found[0].index), (1, 20), "{found:?}");
        assert!((found[0].p_value - 1.0 / 2000.0).abs() < 1e-12, "{found:?}");
        assert_eq!(change_points(&values, 1.0 / 2000.0).len(), 1, "significant at its own p-value");
        assert!(change_points(&values, 0.9 / 2000.0).is_empty());
    }

    #[test]
    fn the_statistic_is_the_highest_difference_of_the_ranks() {
        assert_eq!(midranks(&[30.0, 10.0, 20.0, 20.0]), [4.0, 1.0, 2.5, 2.5]);
        // The mean rank is 4.5, so the first four are 8 below it; the sides have four values each.
        let ranks: Vec<f64> = (1..=8).map(f64::from).collect();
        assert_eq!(max_statistic(&ranks), Some(8.0 / 4.0));
        // After the fourth of nine they are 10 below it, and the sides have four and five values.
        let ranks: Vec<f64> = (1..=9).map(f64::from).collect();
        assert_eq!(max_statistic(&ranks), Some(10.0 / 20.0_f64.sqrt()));
        assert_eq!(max_statistic(&ranks[..7]), None, "too short for two sides");
    }

    #[test]
    fn noise_alone_rarely_has_a_change_point() {
        let mut random = fastrand::Rng::with_seed(2);
        let false_positives = (0..40)
            .filter(|_| !change_points(&series(&mut random, &[(30, 100.0)]), 0.01).is_empty())
            .count();
        assert!(false_positives <= 2, "{false_positives} of 40");
    }

    #[test]
    fn a_short_series_has_no_change_points() {
        assert!(change_points(&[1.0, 1.0, 1.0, 9.0, 9.0, 9.0], 0.05).is_empty());
    }
}
