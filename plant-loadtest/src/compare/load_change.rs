//! Metrics of whole runs that latencies alone do not show: errors, shed load and achieved rate. A
//! service that answers faster because it refuses work has not improved.

use serde::Serialize;

use super::{Change, run_metrics::RunMetrics};
use crate::{
    statistics::{as_f64, rank_tests},
    verdict::Grade,
};

/// Highest p-value that counts as significant: 5 % divided by the four metrics (Bonferroni).
const ALPHA: f64 = 0.05 / 4.0;

/// Increase of errors or shed load that is tolerated, in percentage points.
const MARGIN_POINTS: f64 = 0.1;

/// Decrease of the achieved rate that is tolerated, in percent.
const RATE_MARGIN_PERCENT: f64 = 2.0;

/// Comparison of one metric of the whole run. It is REGRESSED, INCONCLUSIVE (worse by more than its
/// margin, but not significantly) or EQUIVALENT, never IMPROVED.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadChange {
    /// Name of the metric.
    pub name: &'static str,
    /// Unit of the values.
    pub unit: &'static str,
    /// Result for this metric.
    pub change: Change,
    /// Mean of the base runs.
    pub base: f64,
    /// Mean of the new runs.
    pub new: f64,
    /// P-value of the exact Mann–Whitney test with the alternative hypothesis that the new runs are
    /// worse, by however little.
    pub p_worse: f64,
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / as_f64(values.len().max(1))
}

fn failed_percent(grade: Grade) -> f64 {
    if grade == Grade::Fail { 100.0 } else { 0.0 }
}

/// Compares errors, shed load, verdicts and achieved rate. With `advisory` the means alone decide.
pub(super) fn compare(
    base: &[&RunMetrics],
    new: &[&RunMetrics],
    advisory: bool,
) -> Vec<LoadChange> {
    let metric = |name, unit, value: fn(&RunMetrics) -> f64, higher_is_worse: bool| {
        let values = |side: &[&RunMetrics]| side.iter().map(|run| value(run)).collect::<Vec<f64>>();
        let (base, new) = (values(base), values(new));
        let p_worse = match higher_is_worse {
            true => rank_tests::mann_whitney_greater(&base, &new),
            false => rank_tests::mann_whitney_greater(&new, &base),
        };
        // Not the median: errors in a few of the runs are errors.
        let (base, new) = (mean(&base), mean(&new));
        let is_worse = match higher_is_worse {
            true => new - base > MARGIN_POINTS,
            false => new < base * (1.0 - RATE_MARGIN_PERCENT / 100.0),
        };
        let change = match is_worse {
            true if advisory || p_worse <= ALPHA => Change::Regressed,
            true => Change::Inconclusive,
            false => Change::Equivalent,
        };
        LoadChange { name, unit, change, base, new, p_worse }
    };
    vec![
        metric("errors", "%", |run| run.error_percent, true),
        metric("shed load", "%", |run| run.shed_percent, true),
        metric("runs that FAIL", "%", |run| failed_percent(run.grade), true),
        metric("successful responses", "/s", |run| run.success_rate, false),
    ]
}
