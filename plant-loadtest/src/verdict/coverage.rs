//! Whether enough of the seconds were sampled for a value to be met.

use std::ops::Range;

use crate::outcome::Outcome;

/// Fraction of the seconds in which a resource must have been sampled.
pub(super) const MIN_COVERAGE: f64 = 0.8;

/// Returns whether `samples`, at most one a second, cover enough of `spans`. The first and the last
/// second of the load, and those after it, need none: sampling starts and ends within them.
pub(super) fn has_coverage(outcome: &Outcome, samples: u64, spans: &[Range<u32>]) -> bool {
    let last = outcome.planned_seconds().saturating_sub(1);
    let seconds = spans.iter().map(|span| span.end.min(last).saturating_sub(span.start.max(1)));
    #[expect(clippy::cast_precision_loss, reason = "samples of a run stay below 2^53")]
    let samples = samples as f64;
    samples >= (f64::from(seconds.sum::<u32>()) * MIN_COVERAGE).ceil()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{load::Stage, report::example};

    #[test]
    fn four_fifths_of_the_seconds_must_be_sampled() {
        let mut outcome = example::outcome();
        outcome.load.stages = vec![Stage { to_s: 20, ..Stage::default() }];
        let covered = |samples, span: Range<u32>| has_coverage(&outcome, samples, &[span]);
        // Of ten seconds within the run, eight.
        assert!(covered(8, 5..15) && !covered(7, 5..15));
        // The first and the last second of the run need none.
        assert!(covered(8, 0..11) && !covered(7, 0..11));
        assert!(covered(15, 0..20) && !covered(14, 0..20), "of 18");
        assert!(covered(10, 7..20) && !covered(9, 7..20), "of 12");
        assert!(covered(10, 7..22), "nor those after it");
        // Of several spans, their sum.
        assert!(has_coverage(&outcome, 8, &[2..7, 9..14]));
        assert!(!has_coverage(&outcome, 7, &[2..7, 9..14]));
    }
}
