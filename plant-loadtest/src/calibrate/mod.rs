//! Calibration: runs both load models against a stub with a known latency distribution and compares
//! the measured percentiles with the known ones.

pub mod known_distribution;

use std::time::Duration;

use crate::{
    built_in::FileLoadError,
    distribution::Distribution,
    harness::Harness,
    load::Model,
    outcome::{Counts, Outcome},
    profile::{Overrides, Plan, Profile},
    run::{self, RunError, Settings},
    sla::Sla,
    stub::{Behavior, Latency, Stall, Stub},
};
use known_distribution::KnownDistribution;

/// Maximum relative error of a percentile.
const TOLERANCE: f64 = 0.01;

/// Maximum relative error of a percentile with a stall, where the reference value is computed and
/// not measured.
const STALL_TOLERANCE: f64 = 0.03;

/// Percentiles to compare, as quantile (0 to 1) and name.
pub const QUANTILES: [(f64, &str); 3] = [(0.50, "P50"), (0.95, "P95"), (0.99, "P99")];

const FIXED: Duration = Duration::from_millis(200);
const TYPICAL: Duration = Duration::from_millis(100);
const RARE: Duration = Duration::from_millis(500);
const RARE_ONE_IN: u64 = 25;
const STALL_DURATION: Duration = Duration::from_secs(3);
const STALL_LATENCY: Duration = Duration::from_millis(50);

/// Length of the warm-up in seconds, which is not judged: connecting makes the first requests
/// slower.
const WARM_UP_S: u32 = 3;

/// One latency distribution measured with one load model.
#[derive(Clone, Debug)]
pub struct Case {
    /// Description of the stub's latency.
    pub latency: &'static str,
    /// Load model.
    pub model: Model,
    behavior: Behavior,
    profile: String,
    distribution: KnownDistribution,
}

/// Result of a case.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// The percentiles [`QUANTILES`] as the load generator measured them, in milliseconds.
    pub measured_ms: Vec<Option<f64>>,
    /// The same percentiles, computed from the known distribution.
    pub computed_ms: Vec<f64>,
    /// The same percentiles, of the processing times that the stub itself measured.
    pub stub_ms: Vec<Option<f64>>,
    /// The values that `measured_ms` is compared with: `stub_ms`; with a stall `computed_ms`, because
    /// in the closed model the stub receives too few requests during the stall.
    pub reference_ms: Vec<f64>,
    /// Requests by result.
    pub counts: Counts,
    /// Number of requests that the stub received.
    pub requests_received: u64,
    /// P99 of the dispatch lag, in milliseconds.
    pub dispatch_lag_p99_ms: Option<f64>,
    /// Whether no request failed, the stub received as many requests as were sent, and all
    /// percentiles are within the tolerance: 1 % of the reference, 3 % with a stall. If the case
    /// expects coordinated omission ([`Case::expects_coordinated_omission`]), at least one percentile
    /// must be outside the tolerance instead.
    pub passed: bool,
}

/// Error of a calibration.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The stub cannot be started.
    #[error("stub server could not be started: {0}")]
    Stub(#[from] std::io::Error),
    /// A run failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The profile of a case is invalid. Not expected: a test checks the profiles of all cases.
    #[error("{0}")]
    Profile(String),
}

impl From<FileLoadError> for CalibrationError {
    fn from(error: FileLoadError) -> Self {
        Self::Profile(error.to_string())
    }
}

impl From<String> for CalibrationError {
    fn from(error: String) -> Self {
        Self::Profile(error)
    }
}

/// Returns all cases in the order in which they run. Cases with a stall run for `seconds`, the
/// others for half of that.
#[must_use]
pub fn cases(seconds: u32) -> Vec<Case> {
    let short = (seconds / 2).max(2);
    let fixed = Behavior { latency: Latency::Fixed(FIXED), ..Behavior::default() };
    let bimodal = Latency::Bimodal { typical: TYPICAL, rare: RARE, one_in: RARE_ONE_IN };
    let bimodal = Behavior { latency: bimodal, ..Behavior::default() };
    let stall = Stall {
        start_after: Duration::from_secs(u64::from(WARM_UP_S + seconds / 3)),
        duration: STALL_DURATION,
    };
    let latency = Latency::Fixed(STALL_LATENCY);
    let stalling = Behavior { latency, stall: Some(stall), ..Behavior::default() };
    let known_bimodal =
        KnownDistribution::Bimodal { typical: TYPICAL, rare: RARE, one_in: RARE_ONE_IN };
    let known_stall = KnownDistribution::Stall {
        latency: STALL_LATENCY,
        duration: STALL_DURATION,
        run_time: Duration::from_secs(seconds.into()),
    };
    let case = |latency, model, behavior, seconds, distribution| Case {
        latency,
        model,
        behavior,
        profile: profile(model, seconds, matches!(distribution, KnownDistribution::Stall { .. })),
        distribution,
    };
    vec![
        case("fixed 200 ms", Model::Open, fixed, short, KnownDistribution::Fixed(FIXED)),
        case("fixed 200 ms", Model::Closed, fixed, short, KnownDistribution::Fixed(FIXED)),
        case("100 ms, every 25th 500 ms", Model::Open, bimodal, short, known_bimodal),
        case("100 ms, every 25th 500 ms", Model::Closed, bimodal, short, known_bimodal),
        case("50 ms, one stall of 3 s", Model::Open, stalling, seconds, known_stall),
        case("50 ms, one stall of 3 s", Model::Closed, stalling, seconds, known_stall),
    ]
}

/// Returns a profile with 100 arrivals per second, or with ten users without think time. The pool
/// of the open model is large enough that no arrival waits for a user in a stall; without a stall
/// it is small enough that all connections stay in use.
fn profile(model: Model, seconds: u32, stalls: bool) -> String {
    let pool_size = if stalls { 400 } else { 50 };
    let (head, level) = match model {
        Model::Open => (format!("model = \"open\"\nusers = {pool_size}\n"), "rate = 100"),
        Model::Closed => (String::new(), "users = 10"),
    };
    format!(
        "name = \"calibration\"\ndescription = \"Known latency.\"\nsaturate = true\n{head}\
         [[stage]]\nname = \"warm-up\"\n{level}\nlasts = \"{WARM_UP_S}s\"\njudged = false\n\
         [[stage]]\nname = \"all\"\n{level}\nlasts = \"{seconds}s\"\n\
         [[class]]\nname = \"PingUser\"\nweight = 1\n"
    )
}

fn parse_profile(text: &str) -> Result<Profile, FileLoadError> {
    Profile::parse(&Harness::new("calibration"), "calibration", text)
}

impl Case {
    /// Returns whether the load model cannot measure this distribution, because users of the closed
    /// model send no requests while they wait for a response (coordinated omission).
    #[must_use]
    pub fn expects_coordinated_omission(&self) -> bool {
        self.model == Model::Closed && matches!(self.distribution, KnownDistribution::Stall { .. })
    }

    fn tolerance(&self) -> f64 {
        if matches!(self.distribution, KnownDistribution::Stall { .. }) {
            STALL_TOLERANCE
        } else {
            TOLERANCE
        }
    }

    /// Runs the load against a stub and compares the results.
    ///
    /// # Errors
    /// When the stub cannot be started or the run fails.
    pub async fn measure(&self) -> Result<CaseResult, CalibrationError> {
        let stub = Stub::start(0, self.behavior)?;
        let plan = Plan::new(&parse_profile(&self.profile)?, &Overrides::default())?;
        let settings = Settings::new(plan, Sla::empty(), stub.host());
        let outcome = run::run(&settings).await?;
        Ok(self.compare(&outcome, &stub))
    }

    fn compare(&self, outcome: &Outcome, stub: &Stub) -> CaseResult {
        let requests_received = stub.requests();
        let processing_times = stub.processing_times();
        let latency = outcome.tally_judged().latency;
        let measured_ms: Vec<Option<f64>> =
            QUANTILES.iter().map(|(quantile, _)| latency.quantile_ms(*quantile)).collect();
        let computed_ms: Vec<f64> = QUANTILES
            .iter()
            .map(|(quantile, _)| self.distribution.quantile_ms(*quantile))
            .collect();
        let stub_ms: Vec<Option<f64>> =
            QUANTILES.iter().map(|(quantile, _)| processing_times.quantile_ms(*quantile)).collect();
        let use_computed = matches!(self.distribution, KnownDistribution::Stall { .. });
        let pairs = computed_ms.iter().zip(&stub_ms);
        let reference_ms: Vec<f64> = pairs
            .map(|(computed, by_stub)| by_stub.filter(|_| !use_computed).unwrap_or(*computed))
            .collect();
        let is_within_tolerance = |(measured, reference): (&Option<f64>, &f64)| {
            measured.is_some_and(|ms| (ms - reference).abs() <= reference * self.tolerance())
        };
        let all_within_tolerance = measured_ms.iter().zip(&reference_ms).all(is_within_tolerance);
        let counts = outcome.tally_all().counts;
        // Two more requests are the health checks before and after the run.
        let counts_match =
            counts.is_consistent() && counts.errors() == 0 && counts.sent + 2 == requests_received;
        let mut dispatch_lag = Distribution::default();
        for cell in &outcome.arrivals {
            dispatch_lag.merge(&cell.dispatch_lag);
        }
        let passed = counts_match && all_within_tolerance != self.expects_coordinated_omission();
        let dispatch_lag_p99_ms = dispatch_lag.quantile_ms(0.99);
        CaseResult {
            measured_ms,
            computed_ms,
            stub_ms,
            reference_ms,
            counts,
            requests_received,
            dispatch_lag_p99_ms,
            passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_of_all_cases_are_valid_and_warm_up_is_not_judged() {
        for case in cases(20) {
            let profile = parse_profile(&case.profile).unwrap();
            let plan = Plan::new(&profile, &Overrides::default()).unwrap();
            assert_eq!(plan.model, case.model);
            assert_eq!(plan.stages[0].seconds(), 0..WARM_UP_S);
            assert!(!plan.stages[0].judged && plan.stages[1].judged);
        }
    }
}
