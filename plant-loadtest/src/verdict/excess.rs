//! How far a measured value is beyond its threshold, to list the worst first.

use std::cmp::Ordering;

use super::{Grade, JudgedThreshold};

impl JudgedThreshold {
    /// Returns the measured value as a multiple of the limit, above 1 if it violates it; for a lower
    /// limit, the limit as a multiple of the value. Infinite where 0 is exceeded, and where the
    /// threshold is violated without a value.
    #[must_use]
    pub fn excess(&self) -> f64 {
        let limit = self.threshold.limit;
        let Some(measured) = self.measured else {
            return if self.grade == Grade::Fail { f64::INFINITY } else { 0.0 };
        };
        let (value, limit) = match limit.is_upper() {
            true => (measured, limit.value),
            false => (limit.value, measured),
        };
        match (value, limit) {
            (value, 0.0) if value > 0.0 => f64::INFINITY,
            (_, 0.0) => 0.0,
            (value, limit) => value / limit,
        }
    }

    /// Compares two thresholds so that the worse comes first: by the grade, then by how far it is
    /// beyond its limit.
    #[must_use]
    pub fn worse_first(&self, other: &Self) -> Ordering {
        let excess = other.excess().total_cmp(&self.excess());
        other.contribution().cmp(&self.contribution()).then(excess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::example, sla::Limit, verdict::Verdict};

    fn judged(grade: Grade, measured: Option<f64>, limit: Limit) -> JudgedThreshold {
        let outcome = example::outcome();
        let mut judged = Verdict::judge(&outcome, &outcome.sla).thresholds.swap_remove(0);
        judged.threshold.limit = limit;
        JudgedThreshold { grade, measured, ..judged }
    }

    #[test]
    fn the_excess_is_a_multiple_of_the_limit_whatever_its_direction() {
        let excess = |measured, limit| judged(Grade::Fail, measured, limit).excess();
        let lower = Limit::at_least(100.0);
        assert_eq!(excess(Some(300.0), Limit::below(100.0)), 3.0);
        assert_eq!(excess(Some(25.0), lower), 4.0);
        assert_eq!(excess(Some(1.0), Limit::at_most(0.0)), f64::INFINITY);
        assert_eq!(excess(Some(0.0), Limit::at_most(0.0)), 0.0);
        assert_eq!(excess(Some(0.0), lower), f64::INFINITY);
        assert_eq!(excess(None, lower), f64::INFINITY);
        assert_eq!(judged(Grade::Insufficient, None, lower).excess(), 0.0);
    }

    #[test]
    fn the_grade_decides_before_the_excess() {
        let limit = Limit::below(100.0);
        let mut order = [
            judged(Grade::Pass, Some(99.0), limit),
            judged(Grade::Warning, Some(900.0), limit),
            judged(Grade::Fail, Some(120.0), limit),
            judged(Grade::Fail, Some(500.0), limit),
        ];
        order.sort_by(JudgedThreshold::worse_first);
        let values = order.map(|judged| judged.measured.unwrap());
        assert_eq!(values, [500.0, 120.0, 900.0, 99.0]);
    }
}
