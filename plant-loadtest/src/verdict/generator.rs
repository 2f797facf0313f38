//! Whether the load itself can be trusted.

use crate::outcome::Outcome;

/// Above this share of all processors the generator competes with what it measures.
const BUSY: f64 = 0.7;

/// What the generator says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratorHealth {
    /// Mean processor use in the judged seconds, as a share of all processors; `None` when the
    /// system does not tell.
    pub cpu: Option<f64>,
    /// Why the measurement cannot be trusted, if it cannot.
    pub fault: Option<String>,
}

impl GeneratorHealth {
    /// Looks at the judged seconds of `outcome`.
    ///
    /// A closed load has no schedule to be late against; a generator that is too busy shows in its
    /// processor use alone.
    pub(super) fn of(outcome: &Outcome) -> Self {
        let judged = outcome.judged_seconds();
        let samples = outcome.samples.iter().filter(|sample| judged.contains(&sample.second));
        let shares: Vec<f64> = samples.filter_map(|sample| sample.generator_cpu).collect();
        #[expect(clippy::cast_precision_loss, reason = "one sample a second stays below 2^53")]
        let cpu = (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64);
        let fault = cpu.filter(|share| *share > BUSY).map(|share| {
            format!(
                "the load generator used {:.0} % of all processors (more than {:.0} %), so its \
                 measurements cannot be trusted",
                share * 100.0,
                BUSY * 100.0
            )
        });
        Self { cpu, fault }
    }
}
