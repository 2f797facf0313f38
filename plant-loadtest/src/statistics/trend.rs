//! How steeply a figure rises over time, and how sure that is.

use super::{count, median};

/// A series is judged by the medians of this many blocks, which spikes and sawteeth cannot move.
const BLOCKS: usize = 12;

/// Values that a block needs for a median worth the name.
const LEAST_IN_BLOCK: usize = 3;

/// Waves of one, one and a half, two and two and a half turns over the series. How strongly they
/// are in the residuals tells how slow the noise is.
const WAVES: [f64; 4] = [2.0, 3.0, 4.0, 5.0];

/// How many standard errors the bounds lie from the slope.
///
/// Simulated: with noise that remembers for up to a third of the series (first order
/// autoregressive), one series in twenty without a trend has its lower bound above zero. The usual
/// 1.65 would raise an alarm in up to a third of them.
const BOUND: f64 = 4.4;

/// A straight line through a series, by the medians of twelve blocks.
///
/// The slope is the median of the slopes between all pairs of blocks (Theil, 1950; Sen, 1968). Its
/// standard error comes from slow cosine waves in the residuals (the equal-weighted cosine
/// estimator of Lazarus, Lewis, Stock and Watson, 2018), because the memory of a service wanders:
/// neighbouring values say much the same, and an error reckoned as if they were independent would
/// be far too small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// The line's value where the series begins.
    pub start: f64,
    /// Rise per second.
    pub slope: f64,
    /// The slope's standard error, per second.
    pub error: f64,
    /// The slope of the second half alone, per second.
    pub late_slope: f64,
    /// Seconds from the first value to the last.
    pub span_s: f64,
}

impl Trend {
    /// Fits `points`, pairs of seconds and values in the order of time; `None` when there are too
    /// few of them.
    #[must_use]
    pub fn fit(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < BLOCKS * LEAST_IN_BLOCK {
            return None;
        }
        let (first, last) = (points.first()?.0, points.last()?.0);
        let blocks: Vec<(f64, f64)> = (0..BLOCKS)
            .filter_map(|block| middle(&points[edge(points, block)..edge(points, block + 1)]))
            .collect();
        let slope = slope(&blocks)?;
        let level = median(&blocks.iter().map(|(x, y)| y - slope * x).collect::<Vec<f64>>())?;
        let residuals: Vec<f64> = blocks.iter().map(|(x, y)| y - level - slope * x).collect();
        Some(Self {
            start: level + slope * first,
            slope,
            error: error(&blocks, &residuals),
            late_slope: self::slope(&blocks[BLOCKS / 2..])?,
            span_s: last - first,
        })
    }

    /// The slope is hardly ever below this.
    #[must_use]
    pub fn lower(&self) -> f64 {
        self.slope - BOUND * self.error
    }

    /// The slope is hardly ever above this.
    #[must_use]
    pub fn upper(&self) -> f64 {
        self.slope + BOUND * self.error
    }

    /// A slope that would almost always have had its lower bound above zero.
    #[must_use]
    pub fn detectable(&self) -> f64 {
        (BOUND + 2.0) * self.error
    }
}

fn edge(points: &[(f64, f64)], block: usize) -> usize {
    points.len() * block / BLOCKS
}

fn middle(block: &[(f64, f64)]) -> Option<(f64, f64)> {
    let (times, values): (Vec<f64>, Vec<f64>) = block.iter().copied().unzip();
    Some((median(&times)?, median(&values)?))
}

fn slope(blocks: &[(f64, f64)]) -> Option<f64> {
    let pairs = blocks.iter().enumerate().flat_map(|(index, (x, y))| {
        blocks[index + 1..].iter().map(move |(later, value)| (value - y) / (later - x))
    });
    median(&pairs.filter(|slope| slope.is_finite()).collect::<Vec<f64>>())
}

fn error(blocks: &[(f64, f64)], residuals: &[f64]) -> f64 {
    let blocks_count = count(residuals.len());
    let power = |turns: &f64| {
        let waves = residuals.iter().enumerate().map(|(index, residual)| {
            let along = (count(index) + 0.5) / blocks_count;
            residual * std::f64::consts::SQRT_2 * (std::f64::consts::PI * turns * along).cos()
        });
        waves.sum::<f64>().powi(2) / blocks_count
    };
    let long_run_variance = WAVES.iter().map(power).sum::<f64>() / count(WAVES.len());
    let centre = blocks.iter().map(|(x, _)| x).sum::<f64>() / blocks_count;
    let spread: f64 = blocks.iter().map(|(x, _)| (x - centre).powi(2)).sum();
    if spread > 0.0 { (long_run_variance / spread).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_is_found_exactly() {
        let points: Vec<(f64, f64)> =
            (0..120).map(|at| (f64::from(at), 5.0 + 0.25 * f64::from(at))).collect();
        let trend = Trend::fit(&points).unwrap();
        assert!((trend.slope - 0.25).abs() < 1e-9 && (trend.start - 5.0).abs() < 1e-9);
        assert!(trend.error < 1e-9);
        assert!((trend.late_slope - 0.25).abs() < 1e-9);
    }

    #[test]
    fn spikes_do_not_tilt_the_line() {
        let mut points: Vec<(f64, f64)> = (0..240).map(|at| (f64::from(at), 10.0)).collect();
        for spike in [200, 210, 220, 230] {
            points[spike].1 = 10_000.0;
        }
        let trend = Trend::fit(&points).unwrap();
        assert!(trend.slope.abs() < 1e-9, "{trend:?}");
    }

    #[test]
    fn a_slow_wave_is_told_from_a_trend() {
        let wave = |at: i32| (f64::from(at) / 240.0 * std::f64::consts::TAU).sin();
        let points: Vec<(f64, f64)> = (0..240).map(|at| (f64::from(at), wave(at))).collect();
        let trend = Trend::fit(&points).unwrap();
        assert!(trend.lower() < 0.0 && trend.upper() > 0.0, "{trend:?}");
    }

    #[test]
    fn a_few_values_are_no_trend() {
        let points: Vec<(f64, f64)> = (0..35).map(|at| (f64::from(at), 1.0)).collect();
        assert_eq!(Trend::fit(&points), None);
    }
}
