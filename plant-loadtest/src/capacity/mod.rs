//! Search for the highest level of load at which a service meets all thresholds: raise the level
//! until one is violated, then bisect. A level is a number of users, or of arrivals per second. A
//! trial is a short run at one level.

pub mod curve;
pub mod search;

use std::time::Duration;

use crate::{
    class_options::ClassOptions,
    load::Model,
    outcome::Outcome,
    profile::{Level, Overrides, Plan, Profile, Schedule, StageSpec},
    run::{self, RunError, Settings},
    service::Service,
    sla::{During, Metric, Sla, Threshold, format_ms},
    target,
    verdict::{Grade, Verdict},
};

/// Minimum fraction of the arrivals that must succeed during a trial, in the open model. Otherwise
/// requests queue up, and a longer trial would violate every threshold.
const MIN_SUCCESS_FRACTION: f64 = 0.98;

/// Length of the warm-up of each trial in seconds, which is not judged.
const WARM_UP_S: u64 = 2;

/// How many times longer than asked a trial may become until its thresholds are decided.
const MAX_TRIAL_FACTOR: u64 = 8;

/// How long to wait after a trial for the service to become healthy.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(30);

/// A trial: the level of load and the results.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Level: number of users, or of arrivals per second.
    pub level: f64,
    /// Successful responses per second.
    pub throughput: f64,
    /// P95 of latency in milliseconds.
    pub p95_ms: Option<f64>,
    /// Number of failed requests.
    pub errors: u64,
    /// Whether the thresholds were met.
    pub result: TrialResult,
}

/// Whether a trial met the thresholds.
#[derive(Clone, Debug, PartialEq)]
pub enum TrialResult {
    /// All required thresholds were met.
    Met,
    /// Thresholds were violated; a description of each.
    Violated(String),
    /// None was violated, but a required one is not decidable; the reason.
    Undecided(String),
    /// The load generator reached its limit before the service; the reason.
    GeneratorLimited(String),
}

/// Runs trials against a service and judges them.
#[derive(Debug)]
pub struct TrialRunner {
    profile: Profile,
    sla: Sla,
    host: String,
    trial_s: u64,
    /// The service: its health check and metrics.
    pub service: Service,
    /// Password of the test accounts, for the checks of the user classes.
    pub password: Option<String>,
    /// Values of the program's options, for the user classes.
    pub options: ClassOptions,
}

impl TrialRunner {
    /// Returns a runner of trials with the user classes and the load model of `profile`. `host` is
    /// the base URL of the service. The judged stage of each trial lasts `trial_s` seconds, after a warm-up
    /// of 2 s.
    ///
    /// Trials are judged by the thresholds of `sla` that apply to a constant load. Thresholds for
    /// stages that are not judged in `plan`, the plan of `profile`, are left out.
    #[must_use]
    pub fn new(profile: Profile, sla: &Sla, plan: &Plan, host: &str, trial_s: u64) -> Self {
        let sla = Sla { thresholds: applicable_thresholds(sla, plan), ..sla.clone() };
        Self {
            profile,
            sla,
            host: host.into(),
            trial_s,
            service: Service::default(),
            password: None,
            options: ClassOptions::default(),
        }
    }

    /// Returns the number of thresholds that apply.
    #[must_use]
    pub fn threshold_count(&self) -> usize {
        self.sla.thresholds.len()
    }

    /// Runs a trial at `level` and judges it. If its thresholds are not decidable, runs it again and
    /// twice as long, up to eight times the asked duration.
    ///
    /// # Errors
    /// When the run cannot start or has no measurements.
    pub async fn run_trial(&self, level: f64) -> Result<Trial, RunError> {
        let mut factor = 1;
        loop {
            let trial = self.run_once(level, self.trial_s * factor).await?;
            let is_undecided = matches!(trial.result, TrialResult::Undecided(_));
            factor *= 2;
            if !is_undecided || factor > MAX_TRIAL_FACTOR || goose::is_killswitch_triggered() {
                return Ok(trial);
            }
        }
    }

    async fn run_once(&self, level: f64, trial_s: u64) -> Result<Trial, RunError> {
        let plan = self.plan(level, trial_s).map_err(RunError::Plan)?;
        let password = self.password.clone();
        let settings = Settings {
            password,
            options: self.options.clone(),
            service: self.service.clone(),
            ..Settings::new(plan, self.sla.clone(), self.host.clone())
        };
        let outcome = run::run(&settings).await?;
        let http = crate::client::checks_client(
            &self.host,
            settings.plan.timeout,
            &self.profile.target.http,
        )?;
        // Requests still queued must not slow down the next trial.
        target::wait_until_healthy(&http, &self.host, &self.service, HEALTH_TIMEOUT).await;

        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let tally = outcome.tally_judged();
        let seconds = outcome.judged_span();
        #[expect(clippy::cast_precision_loss, reason = "the responses of a trial stay below 2^53")]
        let throughput =
            tally.throughput_count as f64 / f64::from((seconds.end - seconds.start).max(1));
        let offered = match outcome.load.model {
            Model::Open => scheduled_rate(&outcome),
            Model::Closed => level,
        };
        let result = self.judge(&verdict, offered, throughput);
        Ok(Trial {
            level,
            throughput,
            p95_ms: tally.latency.quantile_ms(0.95),
            errors: tally.counts.errors(),
            result,
        })
    }

    fn plan(&self, level: f64, trial_s: u64) -> Result<Plan, String> {
        let mut profile = self.profile.clone();
        let stages = vec![
            StageSpec::new("warm-up", WARM_UP_S, Level::Hold(level), false),
            StageSpec::new("hold", trial_s, Level::Hold(level), true),
        ];
        profile.schedule = Schedule::Stages(stages);
        if profile.model == Model::Closed {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "levels are positive integers in the closed model"
            )]
            let users = level.round() as u32;
            profile.users = users.max(1);
        }
        Plan::new(&profile, &Overrides::default())
    }

    fn judge(&self, verdict: &Verdict, offered: f64, throughput: f64) -> TrialResult {
        let violated = verdict
            .thresholds
            .iter()
            .filter(|judged| matches!(judged.contribution(), Grade::Fail | Grade::Warning));
        let mut violated: Vec<String> =
            violated.map(crate::verdict::JudgedThreshold::summary).collect();
        if self.profile.model == Model::Open && throughput < offered * MIN_SUCCESS_FRACTION {
            violated.push(format!(
                "{throughput:.1} of {offered:.1} requests per second succeeded in time"
            ));
        }
        match &verdict.generator.invalid_reason {
            Some(reason) if violated.is_empty() && verdict.generator.dropped_arrivals > 0 => {
                TrialResult::Violated(reason.clone())
            }
            Some(reason) if violated.is_empty() && verdict.generator.dropped_arrivals == 0 => {
                TrialResult::GeneratorLimited(reason.clone())
            }
            _ if violated.is_empty() => {
                undecided(verdict).map_or(TrialResult::Met, TrialResult::Undecided)
            }
            _ => TrialResult::Violated(violated.join("; ")),
        }
    }
}

/// Returns the arrivals per second that were scheduled in the judged stage.
fn scheduled_rate(outcome: &Outcome) -> f64 {
    let judged = outcome.judged_span();
    let cells = outcome.arrivals.iter().filter(|cell| judged.contains(&cell.second));
    #[expect(clippy::cast_precision_loss, reason = "the arrivals of a trial stay below 2^53")]
    let scheduled = cells.map(|cell| cell.scheduled).sum::<u64>() as f64;
    scheduled / f64::from((judged.end - judged.start).max(1))
}

/// Returns why a trial without violations is not decided; `None` if it is.
fn undecided(verdict: &Verdict) -> Option<String> {
    let is_decided = matches!(verdict.grade, Grade::Pass | Grade::Warning);
    (!is_decided).then(|| verdict.reason.clone())
}

/// Returns the thresholds of `sla` that apply to a constant load. Thresholds of ramps are left out,
/// and so are lower limits of rates and counters, which follow from the load. Windows are replaced by the
/// whole trial, which is never aborted.
fn applicable_thresholds(sla: &Sla, plan: &Plan) -> Vec<Threshold> {
    let is_judged_stage =
        |name: &str| plan.stages.iter().any(|stage| stage.name == name && stage.judged);
    let applicable = sla.thresholds.iter().filter(|threshold| match &threshold.during {
        _ if is_amount(&threshold.metric) && !threshold.limit.is_upper() => false,
        During::Judged | During::Run => true,
        During::Stages(names) => names.iter().all(|name| is_judged_stage(name)),
    });
    applicable
        .map(|threshold| {
            let during = match &threshold.during {
                During::Run => During::Run,
                During::Judged | During::Stages(_) => During::Judged,
            };
            Threshold { during, window_s: None, abort_after_s: None, ..threshold.clone() }
        })
        .collect()
}

/// Returns whether a metric is an amount that grows with the load.
fn is_amount(metric: &Metric) -> bool {
    matches!(metric, Metric::Rate | Metric::Count(_) | Metric::CountRate(_))
}

impl Trial {
    /// Returns the cells of the table row: level, throughput, P95, errors, result.
    #[must_use]
    pub fn table_row(&self) -> [String; 5] {
        [
            format_level(self.level),
            format!("{:.1}", self.throughput),
            self.p95_ms.map_or_else(|| "-".to_owned(), format_ms),
            self.errors.to_string(),
            match &self.result {
                TrialResult::Met => "met".to_owned(),
                TrialResult::Violated(thresholds) => format!("violated: {thresholds}"),
                TrialResult::Undecided(reason) | TrialResult::GeneratorLimited(reason) => {
                    format!("not decidable: {reason}")
                }
            },
        ]
    }
}

/// Formats a level: one decimal digit below 100, none above or for whole numbers.
#[must_use]
pub fn format_level(level: f64) -> String {
    if level.fract() == 0.0 || level >= 100.0 {
        format!("{level:.0}")
    } else {
        format!("{level:.1}")
    }
}
