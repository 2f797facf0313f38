//! The highest load that a service holds: raise it until a promise breaks, then halve the interval.

pub mod search;

use std::time::Duration;

use crate::{
    access,
    outcome::Model,
    profile::{Level, Overrides, Part, Plan, Profile, Schedule},
    run::{self, RunError, Settings},
    sla::{During, Figure, Promise, Sla, milliseconds},
    target,
    verdict::{Grade, Verdict},
};

/// Of the load offered, the share that must be answered rightly while it is offered. What is
/// answered only later piles up, and would break every promise if it went on.
const ANSWERED: f64 = 0.98;

/// Not judged, at the beginning of each trial.
const SETTLE_S: u64 = 2;

/// How long the service may take to be healthy before the next trial.
const REST: Duration = Duration::from_secs(30);

/// A load tried.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Users, or arrivals a second.
    pub level: f64,
    /// Right answers a second.
    pub answered: f64,
    /// In milliseconds.
    pub p95_ms: Option<f64>,
    /// Requests that failed.
    pub errors: u64,
    /// What became of the promises.
    pub found: Found,
}

/// What a trial tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Every promise that could be judged was kept.
    Held,
    /// These were not, in words, the first one first.
    Broke(String),
    /// The generator had enough before the service.
    GeneratorGaveUp(String),
}

/// What to try, and on what.
#[derive(Debug)]
pub struct Trials {
    profile: Profile,
    sla: Sla,
    host: String,
    timeout: Duration,
    step_s: u64,
    /// What accounts log in with, where the service demands tokens.
    pub password: String,
}

impl Trials {
    /// Trials of `step_s` seconds each with the classes of `profile`, judged by those promises of
    /// `sla` that do not belong to a ramp.
    #[must_use]
    pub fn new(
        profile: Profile,
        sla: &Sla,
        plan: &Plan,
        host: &str,
        timeout: Duration,
        step_s: u64,
    ) -> Self {
        let sla = Sla { promises: promises(sla, plan), ..sla.clone() };
        Self { profile, sla, host: host.into(), timeout, step_s, password: access::PASSWORD.into() }
    }

    /// Whether there is anything to break.
    #[must_use]
    pub fn promises(&self) -> usize {
        self.sla.promises.len()
    }

    /// Offers `level` users or arrivals a second for a while.
    ///
    /// # Errors
    /// When nothing could be measured.
    pub async fn try_level(&self, level: f64) -> Result<Trial, RunError> {
        let plan = self.plan(level).map_err(RunError::Plan)?;
        let password = self.password.clone();
        let settings = Settings {
            password,
            ..Settings::new(plan, self.sla.clone(), self.host.clone(), self.timeout)
        };
        let outcome = run::run(&settings).await?;
        let http = crate::client::transport(&self.host, self.timeout)?;
        // What piled up must not be charged to the next trial.
        target::seconds_to_healthy(&http, &self.host, REST).await;

        let verdict = Verdict::of(&outcome, &outcome.sla);
        let judged = outcome.judged();
        let seconds = outcome.judged_seconds();
        #[expect(clippy::cast_precision_loss, reason = "answers of a trial stay below 2^53")]
        let answered = judged.finished as f64 / f64::from((seconds.end - seconds.start).max(1));
        let found = self.found(&verdict, level, answered);
        Ok(Trial {
            level,
            answered,
            p95_ms: judged.latency.quantile_ms(0.95),
            errors: judged.counts.errors(),
            found,
        })
    }

    fn plan(&self, level: f64) -> Result<Plan, String> {
        let mut profile = self.profile.clone();
        let part = |name: &str, lasts_s, judged| Part {
            name: name.into(),
            lasts_s,
            level: Level::Hold(level),
            at_once: 0,
            judged,
        };
        let parts = vec![part("settle", SETTLE_S, false), part("hold", self.step_s, true)];
        profile.schedule = Schedule::Parts(parts);
        if profile.model == Model::Closed {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "levels are whole and positive in the closed model"
            )]
            let users = level.round() as u32;
            profile.users = users.max(1);
        }
        Plan::new(&profile, &Overrides::default())
    }

    fn found(&self, verdict: &Verdict, level: f64, answered: f64) -> Found {
        let broken = verdict
            .promises
            .iter()
            .filter(|judged| matches!(judged.grade, Grade::Fail | Grade::Warning));
        let mut broken: Vec<String> = broken.map(crate::verdict::Judged::sentence).collect();
        if self.profile.model == Model::Open && answered < level * ANSWERED {
            broken.push(format!(
                "{answered:.1} of {level:.1} requests a second were answered rightly in time"
            ));
        }
        match &verdict.generator.fault {
            Some(fault) if broken.is_empty() && verdict.generator.dropped > 0 => {
                Found::Broke(fault.clone())
            }
            Some(fault) if verdict.generator.dropped == 0 => Found::GeneratorGaveUp(fault.clone()),
            _ if broken.is_empty() => Found::Held,
            _ => Found::Broke(broken.join("; ")),
        }
    }
}

/// The promises of `sla` that make sense for a load that is held: those about ramps go, and so do
/// those of a throughput, which is what is being looked for. Windows become the whole of a trial.
fn promises(sla: &Sla, plan: &Plan) -> Vec<Promise> {
    let held = |name: &str| plan.stages.iter().any(|stage| stage.name == name && stage.judged);
    let ours = sla.promises.iter().filter(|promise| match &promise.during {
        _ if promise.figure == Figure::Throughput => false,
        During::Judged | During::Run => true,
        During::Stage(name) => held(name),
    });
    ours.map(|promise| {
        let during = match &promise.during {
            During::Run => During::Run,
            During::Judged | During::Stage(_) => During::Judged,
        };
        Promise { during, every_s: None, ..promise.clone() }
    })
    .collect()
}

impl Trial {
    /// A line of the table.
    #[must_use]
    pub fn cells(&self) -> [String; 5] {
        [
            level(self.level),
            format!("{:.1}", self.answered),
            self.p95_ms.map_or_else(|| "-".to_owned(), milliseconds),
            self.errors.to_string(),
            match &self.found {
                Found::Held => "held".to_owned(),
                Found::Broke(what) => format!("broke: {what}"),
                Found::GeneratorGaveUp(why) => format!("no answer: {why}"),
            },
        ]
    }
}

/// A level with as many digits as it deserves.
#[must_use]
pub fn level(level: f64) -> String {
    if level.fract() == 0.0 || level >= 100.0 {
        format!("{level:.0}")
    } else {
        format!("{level:.1}")
    }
}
