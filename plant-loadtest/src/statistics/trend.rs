//! The slope of a series over time, with confidence bounds.

use super::{as_f64, median};

/// Blocks that a series is divided into, with equally many values. The line is fitted to their
/// medians, which spikes and sawtooth patterns hardly change.
const BLOCKS: usize = 12;

/// Values needed in each block.
const MIN_BLOCK_VALUES: usize = 3;

/// Frequencies of the cosine waves for the variance estimate, in half periods over the series.
/// Their power in the residuals reflects how slowly the noise varies.
const HALF_PERIODS: [f64; 4] = [2.0, 3.0, 4.0, 5.0];

/// Distance from the slope to each of its bounds, in standard errors.
///
/// Found by simulation: with first-order autoregressive noise whose correlation time is up to a
/// third of the series, one series in twenty without a trend has its lower bound above zero. The
/// textbook value 1.65 gives false positives in up to a third of them.
const BOUND_ERRORS: f64 = 4.4;

/// A straight line fitted to the medians of twelve blocks of a series.
///
/// The slope is the median of the slopes between all pairs of blocks (Theil, 1950; Sen, 1968). Its
/// standard error comes from slow cosine waves in the residuals (the equal-weighted cosine
/// estimator of Lazarus, Lewis, Stock and Watson, 2018), because the memory use of a service is
/// autocorrelated: an error that assumes independent values would be far too small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Value of the line at the time of the first point.
    pub start: f64,
    /// Slope per second.
    pub slope: f64,
    /// Standard error of the slope, per second.
    pub standard_error: f64,
    /// Slope of the second half alone, per second.
    pub second_half_slope: f64,
    /// Seconds from the first value to the last.
    pub span_s: f64,
}

impl Trend {
    /// Fits a line to `points`, pairs of seconds and values in the order of time. `None` when there
    /// are fewer than 36, or when all have the same time.
    #[must_use]
    pub fn fit(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < BLOCKS * MIN_BLOCK_VALUES {
            return None;
        }
        let (first, last) = (points.first()?.0, points.last()?.0);
        let blocks: Vec<(f64, f64)> = (0..BLOCKS)
            .filter_map(|block| {
                block_median(&points[block_start(points, block)..block_start(points, block + 1)])
            })
            .collect();
        let slope = slope(&blocks)?;
        let level = median(&blocks.iter().map(|(x, y)| y - slope * x).collect::<Vec<f64>>())?;
        let residuals: Vec<f64> = blocks.iter().map(|(x, y)| y - level - slope * x).collect();
        Some(Self {
            start: level + slope * first,
            slope,
            standard_error: standard_error(&blocks, &residuals),
            second_half_slope: self::slope(&blocks[BLOCKS / 2..])?,
            span_s: last - first,
        })
    }

    /// Returns the lower confidence bound of the slope, per second: 4.4 standard errors below it. Of
    /// simulated series without a trend one in twenty has its lower bound above zero.
    #[must_use]
    pub fn lower_bound(&self) -> f64 {
        self.slope - BOUND_ERRORS * self.standard_error
    }

    /// Returns the upper confidence bound of the slope, per second: 4.4 standard errors above it.
    #[must_use]
    pub fn upper_bound(&self) -> f64 {
        self.slope + BOUND_ERRORS * self.standard_error
    }

    /// Returns the smallest slope, per second, whose lower bound would almost always be above zero:
    /// 6.4 standard errors.
    #[must_use]
    pub fn detectable_slope(&self) -> f64 {
        (BOUND_ERRORS + 2.0) * self.standard_error
    }
}

fn block_start(points: &[(f64, f64)], block: usize) -> usize {
    points.len() * block / BLOCKS
}

fn block_median(block: &[(f64, f64)]) -> Option<(f64, f64)> {
    let (times, values): (Vec<f64>, Vec<f64>) = block.iter().copied().unzip();
    Some((median(&times)?, median(&values)?))
}

fn slope(blocks: &[(f64, f64)]) -> Option<f64> {
    let pairs = blocks.iter().enumerate().flat_map(|(index, (x, y))| {
        blocks[index + 1..].iter().map(move |(later, value)| (value - y) / (later - x))
    });
    median(&pairs.filter(|slope| slope.is_finite()).collect::<Vec<f64>>())
}

fn standard_error(blocks: &[(f64, f64)], residuals: &[f64]) -> f64 {
    let block_count = as_f64(residuals.len());
    let power = |half_periods: &f64| {
        let terms = residuals.iter().enumerate().map(|(index, residual)| {
            let position = (as_f64(index) + 0.5) / block_count;
            residual
                * std::f64::consts::SQRT_2
                * (std::f64::consts::PI * half_periods * position).cos()
        });
        terms.sum::<f64>().powi(2) / block_count
    };
    let long_run_variance =
        HALF_PERIODS.iter().map(power).sum::<f64>() / as_f64(HALF_PERIODS.len());
    let mean = blocks.iter().map(|(x, _)| x).sum::<f64>() / block_count;
    let spread: f64 = blocks.iter().map(|(x, _)| (x - mean).powi(2)).sum();
    if spread > 0.0 { (long_run_variance / spread).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_is_fitted_exactly() {
        let points: Vec<(f64, f64)> =
            (0..120).map(|at| (f64::from(at), 5.0 + 0.25 * f64::from(at))).collect();
        let trend = Trend::fit(&points).unwrap();
        assert!((trend.slope - 0.25).abs() < 1e-9 && (trend.start - 5.0).abs() < 1e-9);
        assert!(trend.standard_error < 1e-9);
        assert!((trend.second_half_slope - 0.25).abs() < 1e-9);
    }

    #[test]
    fn spikes_do_not_change_the_slope() {
        let mut points: Vec<(f64, f64)> = (0..240).map(|at| (f64::from(at), 10.0)).collect();
        for spike in [200, 210, 220, 230] {
            points[spike].1 = 10_000.0;
        }
        let trend = Trend::fit(&points).unwrap();
        assert!(trend.slope.abs() < 1e-9, "{trend:?}");
    }

    #[test]
    fn a_slow_wave_is_not_a_trend() {
        let wave = |at: i32| (f64::from(at) / 240.0 * std::f64::consts::TAU).sin();
        let points: Vec<(f64, f64)> = (0..240).map(|at| (f64::from(at), wave(at))).collect();
        let trend = Trend::fit(&points).unwrap();
        assert!(trend.lower_bound() < 0.0 && trend.upper_bound() > 0.0, "{trend:?}");
    }

    #[test]
    fn the_bounds_lie_at_their_distance_from_the_slope() {
        let trend = Trend {
            start: 0.0,
            slope: 10.0,
            standard_error: 2.0,
            second_half_slope: 10.0,
            span_s: 1.0,
        };
        assert!((trend.lower_bound() - 1.2).abs() < 1e-9, "4.4 standard errors");
        assert!((trend.upper_bound() - 18.8).abs() < 1e-9);
        assert!((trend.detectable_slope() - 12.8).abs() < 1e-9, "6.4 standard errors");
    }

    #[test]
    fn the_standard_error_is_that_of_the_four_slow_waves() {
        // Residuals that are the second cosine wave: its power is all there is.
        let wave = |index: u32, half_periods: f64| {
            (std::f64::consts::PI * half_periods * (f64::from(index) + 0.5) / 12.0).cos()
        };
        let blocks: Vec<(f64, f64)> = (0..12).map(|x| (f64::from(x), 0.0)).collect();
        let residuals: Vec<f64> = (0..12).map(|index| wave(index, 3.0)).collect();
        // The sum of twelve squared cosines is 6: (6 √2)² / 12 = 6, a quarter of which is the mean
        // power; the spread of 0 to 11 around their mean is 143.
        let expected = (1.5_f64 / 143.0).sqrt();
        assert!((standard_error(&blocks, &residuals) - expected).abs() < 1e-9);
        let fast: Vec<f64> = (0..12).map(|index| wave(index, 7.0)).collect();
        assert!(standard_error(&blocks, &fast) < 1e-9, "fast noise does not look like a trend");
        assert!(standard_error(&[(1.0, 0.0); 12], &residuals) < 1e-9, "all at the same time");
    }

    #[test]
    fn time_and_level_may_start_anywhere() {
        let points: Vec<(f64, f64)> =
            (100..220).map(|at| (f64::from(at), 5.0 + 0.25 * f64::from(at))).collect();
        let trend = Trend::fit(&points).unwrap();
        assert!((trend.start - 30.0).abs() < 1e-9, "{trend:?}");
        assert!((trend.span_s - 119.0).abs() < 1e-9);
        let bent: Vec<(f64, f64)> =
            (0..120).map(|at| (f64::from(at), f64::from(at.min(60)))).collect();
        assert!(Trend::fit(&bent).unwrap().second_half_slope < 0.1);
    }

    #[test]
    fn too_few_values_give_no_trend() {
        let points: Vec<(f64, f64)> = (0..36).map(|at| (f64::from(at), 1.0)).collect();
        assert!(Trend::fit(&points).is_some());
        assert_eq!(Trend::fit(&points[1..]), None);
    }
}
