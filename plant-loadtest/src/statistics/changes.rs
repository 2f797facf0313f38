//! Where a series of runs changed its level.

use super::{count, median, ranks};

/// Fewer values than this on a side are no level.
const LEAST: usize = 4;

/// How often the series is shuffled to see what chance alone can do.
const SHUFFLES: usize = 1999;

/// One place where a series changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The index of the first value of the new level.
    pub at: usize,
    /// How far the new level lies from the old one, by [`ranks::shift`].
    pub shift: f64,
    /// How likely shuffled values would show as clear a change.
    pub p: f64,
}

/// The places where `values` changed their level, in their order: the clearest one first sought
/// (by ranks, as Pettitt did in 1979, its chance from shuffling), then on both sides of it.
///
/// `alpha` is how likely a series without any change may be cut.
#[must_use]
pub fn changes(values: &[f64], alpha: f64) -> Vec<Change> {
    // The same series always gets the same answer.
    let mut random = fastrand::Rng::with_seed(0x50_6c61_6e74);
    let mut cuts = Vec::new();
    cut(values, 0, alpha, &mut random, &mut cuts);
    cuts.sort_unstable_by_key(|(at, _)| *at);
    let borders: Vec<usize> =
        [0].into_iter().chain(cuts.iter().map(|(at, _)| *at)).chain([values.len()]).collect();
    let changes = cuts.iter().zip(borders.windows(3)).filter_map(|((at, p), border)| {
        let shift = ranks::shift(&values[border[0]..*at], &values[*at..border[2]])?;
        Some(Change { at: *at, shift, p: *p })
    });
    changes.collect()
}

fn cut(
    values: &[f64],
    offset: usize,
    alpha: f64,
    random: &mut fastrand::Rng,
    cuts: &mut Vec<(usize, f64)>,
) {
    let mut ranks = midranks(values);
    let Some(clearness) = clearest(&ranks) else { return };
    let as_clear = (0..SHUFFLES)
        .filter(|_| {
            random.shuffle(&mut ranks);
            clearest(&ranks).is_some_and(|by_chance| by_chance >= clearness)
        })
        .count();
    let p = (count(as_clear) + 1.0) / (count(SHUFFLES) + 1.0);
    if p > alpha {
        return;
    }
    let Some(at) = place(values) else { return };
    cuts.push((offset + at, p));
    cut(&values[..at], offset, alpha, random, cuts);
    cut(&values[at..], offset + at, alpha, random, cuts);
}

fn midranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let equal = values.iter().filter(|other| *other == value).count();
        count(below) + f64::midpoint(count(equal), 1.0)
    };
    values.iter().map(rank).collect()
}

/// How far the ranks before and after the best cut differ, allowing for the lengths of both sides.
fn clearest(ranks: &[f64]) -> Option<f64> {
    let candidates = LEAST..=ranks.len().checked_sub(LEAST)?;
    let mean = (count(ranks.len()) + 1.0) / 2.0;
    let mut before = 0.0;
    let mut best: Option<f64> = None;
    for at in 1..ranks.len() {
        before += ranks[at - 1] - mean;
        if candidates.contains(&at) {
            let clearness = before.abs() / (count(at) * count(ranks.len() - at)).sqrt();
            best = Some(best.map_or(clearness, |known| known.max(clearness)));
        }
    }
    best
}

/// Where two levels fit the values best. Ranks alone would be off by one where sides are unequal.
fn place(values: &[f64]) -> Option<usize> {
    let misfit = |side: &[f64]| {
        let level = median(side).unwrap_or_default();
        side.iter().map(|value| (value - level).abs()).sum::<f64>()
    };
    let total = |at: &usize| misfit(&values[..*at]) + misfit(&values[*at..]);
    let candidates = LEAST..=values.len().checked_sub(LEAST)?;
    candidates.min_by(|left, right| total(left).total_cmp(&total(right)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::normal;

    fn series(random: &mut fastrand::Rng, levels: &[(usize, f64)]) -> Vec<f64> {
        let mut values = Vec::new();
        for (length, level) in levels {
            values.extend((0..*length).map(|_| level + normal(random)));
        }
        values
    }

    #[test]
    fn two_changes_are_found_where_they_are() {
        let mut random = fastrand::Rng::with_seed(1);
        let values = series(&mut random, &[(12, 100.0), (10, 110.0), (14, 95.0)]);
        let found = changes(&values, 0.05);
        assert_eq!(found.iter().map(|change| change.at).collect::<Vec<_>>(), [12, 22]);
        assert!((found[0].shift - 10.0).abs() < 2.0 && (found[1].shift + 15.0).abs() < 2.0);
    }

    #[test]
    fn noise_alone_is_rarely_cut() {
        let mut random = fastrand::Rng::with_seed(2);
        let cut = (0..40)
            .filter(|_| !changes(&series(&mut random, &[(30, 100.0)]), 0.01).is_empty())
            .count();
        assert!(cut <= 2, "{cut} of 40");
    }

    #[test]
    fn a_short_series_has_no_levels() {
        assert!(changes(&[1.0, 1.0, 1.0, 9.0, 9.0, 9.0], 0.05).is_empty());
    }
}
