//! Measures the measuring: both load models against a server whose latency is known.

pub mod truth;

use std::time::Duration;

use crate::{
    outcome::{Counts, Model, Outcome},
    profile::{Overrides, Plan, Profile, ProfileError},
    run::{self, RunError, Settings},
    sla::Sla,
    stub::{Behaviour, Latency, Stall, Stub},
};
use truth::Truth;

/// How far a percentile may be from the truth, as a share of it.
const EXACT: f64 = 0.01;

/// The same where the truth itself comes from arithmetic over a whole run.
const ARITHMETIC: f64 = 0.03;

/// The percentiles that are compared, as quantile and name.
pub const QUANTILES: [(f64, &str); 3] = [(0.50, "P50"), (0.95, "P95"), (0.99, "P99")];

const FIXED: Duration = Duration::from_millis(200);
const USUAL: Duration = Duration::from_millis(100);
const RARE: Duration = Duration::from_millis(500);
const RARE_ONE_IN: u64 = 25;
const STALL: Duration = Duration::from_secs(3);
const STALL_LATENCY: Duration = Duration::from_millis(50);

/// Connecting and the first steps of a program are not what is calibrated.
const WARM_UP_S: u32 = 3;

/// One latency, one load model.
#[derive(Clone, Debug)]
pub struct Case {
    /// What the server does.
    pub latency: &'static str,
    /// Which model is measured.
    pub model: Model,
    behaviour: Behaviour,
    profile: String,
    truth: Truth,
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What was measured of each of [`QUANTILES`], in milliseconds.
    pub quantiles: Vec<Option<f64>>,
    /// What each of them truly was, by arithmetic.
    pub truths: Vec<f64>,
    /// What each of them was by the server's own clock, which tells of its own lateness too.
    pub served: Vec<Option<f64>>,
    /// What the measurement was compared with: arithmetic where people wait before the server
    /// knows of them, else what it did.
    pub compared: Vec<f64>,
    /// How the requests ended.
    pub counts: Counts,
    /// How many requests the server saw.
    pub seen: u64,
    /// How late the generator was, at P99, in milliseconds.
    pub lag_ms: Option<f64>,
    /// Whether figures and counts are right; of a blind spot, whether it was found.
    pub right: bool,
}

/// Why there is no calibration.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The stub does not start.
    #[error("the stub does not start: {0}")]
    Stub(#[from] std::io::Error),
    /// A run did not come about.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The bundled profile is mistaken, which its test rules out.
    #[error("{0}")]
    Profile(String),
}

impl From<ProfileError> for CalibrationError {
    fn from(error: ProfileError) -> Self {
        Self::Profile(error.to_string())
    }
}

impl From<String> for CalibrationError {
    fn from(error: String) -> Self {
        Self::Profile(error)
    }
}

/// Every case, in the order in which they run. `seconds` is how long those with a stall last; the
/// others take half of it.
#[must_use]
pub fn cases(seconds: u32) -> Vec<Case> {
    let short = (seconds / 2).max(2);
    let fixed = Behaviour { latency: Latency::Fixed(FIXED), ..Behaviour::default() };
    let two = Latency::Bimodal { usual: USUAL, rare: RARE, one_in: RARE_ONE_IN };
    let two = Behaviour { latency: two, ..Behaviour::default() };
    let stall =
        Stall { after: Duration::from_secs(u64::from(WARM_UP_S + seconds / 3)), lasts: STALL };
    let latency = Latency::Fixed(STALL_LATENCY);
    let stalling = Behaviour { latency, stall: Some(stall), ..Behaviour::default() };
    let truly_two = Truth::Bimodal { usual: USUAL, rare: RARE, one_in: RARE_ONE_IN };
    let truly_stalling = Truth::Stall {
        latency: STALL_LATENCY,
        lasts: STALL,
        of: Duration::from_secs(seconds.into()),
    };
    let case = |latency, model, behaviour, seconds, truth| Case {
        latency,
        model,
        behaviour,
        profile: profile(model, seconds, matches!(truth, Truth::Stall { .. })),
        truth,
    };
    vec![
        case("fixed 200 ms", Model::Open, fixed, short, Truth::Fixed(FIXED)),
        case("fixed 200 ms", Model::Closed, fixed, short, Truth::Fixed(FIXED)),
        case("100 ms, every 25th 500 ms", Model::Open, two, short, truly_two),
        case("100 ms, every 25th 500 ms", Model::Closed, two, short, truly_two),
        case("50 ms, one stall of 3 s", Model::Open, stalling, seconds, truly_stalling),
        case("50 ms, one stall of 3 s", Model::Closed, stalling, seconds, truly_stalling),
    ]
}

/// 100 requests a second, or ten users without a thought. The open crew is large enough that nobody
/// waits for a user even in a stall, or small enough that everybody's connection stays warm.
fn profile(model: Model, seconds: u32, stalls: bool) -> String {
    let crew = if stalls { 400 } else { 50 };
    let (head, level) = match model {
        Model::Open => (format!("model = \"open\"\nusers = {crew}\n"), "rate = 100"),
        Model::Closed => (String::new(), "users = 10"),
    };
    format!(
        "name = \"calibration\"\ndescription = \"Known latency.\"\nsaturate = true\n{head}\
         [[stage]]\nname = \"warm-up\"\n{level}\nlasts = \"{WARM_UP_S}s\"\njudged = false\n\
         [[stage]]\nname = \"all\"\n{level}\nlasts = \"{seconds}s\"\n\
         [[class]]\nname = \"HealthCheckUser\"\nweight = 1\n"
    )
}

impl Case {
    /// Whether the model cannot see what happens here: users who wait for an answer do not come
    /// when it hurts.
    #[must_use]
    pub fn is_blind_spot(&self) -> bool {
        self.model == Model::Closed && matches!(self.truth, Truth::Stall { .. })
    }

    fn tolerance(&self) -> f64 {
        if matches!(self.truth, Truth::Stall { .. }) { ARITHMETIC } else { EXACT }
    }

    /// Starts a stub, loads it, compares.
    ///
    /// # Errors
    /// When nothing could be measured.
    pub async fn measure(&self) -> Result<Measured, CalibrationError> {
        let stub = Stub::start(0, self.behaviour)?;
        let plan =
            Plan::new(&Profile::parse("calibration", &self.profile)?, &Overrides::default())?;
        let settings = Settings::new(plan, Sla::none(), stub.host(), Duration::from_secs(30));
        let outcome = run::run(&settings).await?;
        Ok(self.compare(&outcome, &stub))
    }

    fn compare(&self, outcome: &Outcome, stub: &Stub) -> Measured {
        let seen = stub.requests();
        let held = stub.held();
        let latency = outcome.judged().latency;
        let quantiles: Vec<Option<f64>> =
            QUANTILES.iter().map(|(quantile, _)| latency.quantile_ms(*quantile)).collect();
        let truths: Vec<f64> =
            QUANTILES.iter().map(|(quantile, _)| self.truth.quantile_ms(*quantile)).collect();
        let served: Vec<Option<f64>> =
            QUANTILES.iter().map(|(quantile, _)| held.quantile_ms(*quantile)).collect();
        let by_arithmetic = matches!(self.truth, Truth::Stall { .. });
        let pairs = truths.iter().zip(&served);
        let compared: Vec<f64> = pairs
            .map(|(truth, served)| served.filter(|_| !by_arithmetic).unwrap_or(*truth))
            .collect();
        let near = |(measured, truth): (&Option<f64>, &f64)| {
            measured.is_some_and(|ms| (ms - truth).abs() <= truth * self.tolerance())
        };
        let near = quantiles.iter().zip(&compared).all(near);
        let counts = outcome.whole().counts;
        // The server was asked twice more: whether it is healthy, before and after.
        let counted = counts.reconcile() && counts.errors() == 0 && counts.sent + 2 == seen;
        let mut lag = crate::distribution::Distribution::default();
        for second in &outcome.arrivals {
            lag.merge(&second.lag);
        }
        let right = counted && near != self.is_blind_spot();
        let lag_ms = lag.quantile_ms(0.99);
        Measured { quantiles, truths, served, compared, counts, seen, lag_ms, right }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_profiles_are_right_and_offer_what_the_truth_assumes() {
        for case in cases(20) {
            let profile = Profile::parse("calibration", &case.profile).unwrap();
            let plan = Plan::new(&profile, &Overrides::default()).unwrap();
            assert_eq!(plan.model, case.model);
            assert_eq!(plan.stages[0].seconds(), 0..WARM_UP_S);
            assert!(!plan.stages[0].judged && plan.stages[1].judged);
        }
    }
}
