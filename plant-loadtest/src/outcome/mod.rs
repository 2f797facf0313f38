//! Everything that a run measured: the one value that verdicts and reports read.

mod completion;
mod counts;

use std::{collections::BTreeMap, ops::Range};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use completion::{Completion, CompletionSecond};
pub use counts::{Counts, FailureKind, Tally};

use crate::{distribution::Distribution, profile::Stage, sla::Sla};

/// The layout of [`Outcome`] as written to a file. Raised whenever older programs would misread it.
pub const VERSION: u32 = 1;

/// What a run measured, and under which promises it ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// See [`VERSION`].
    pub version: u32,
    /// What was run.
    pub load: Load,
    /// What it ran against.
    pub target: Target,
    /// Where the load came from.
    pub generator: Generator,
    /// When the first user started.
    pub started_at: DateTime<Utc>,
    /// Seconds from the first user's start until the last user was gone.
    pub duration_s: f64,
    /// How the run ended.
    pub ended: Ended,
    /// Every endpoint that was requested or that the classes could have requested.
    pub endpoints: Vec<Endpoint>,
    /// Every distinct failure.
    pub failures: Vec<Failure>,
    /// Once a second: the users, the service, the generator.
    pub samples: Vec<ResourceSample>,
    /// Second by second, what became of the arrivals; empty in the closed model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrivals: Vec<ArrivalSecond>,
    /// What became of the work that was accepted to be done later, a kind each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub completions: Vec<Completion>,
    /// Why figures may be looked at but not relied on, in a sentence each; mostly nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisory: Vec<String>,
    /// The promises, so that an outcome can be judged by itself.
    pub sla: Sla,
}

/// What was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// The profile's name.
    pub profile: String,
    /// The profile's sentence.
    pub description: String,
    /// What the command line changed in it.
    pub changes: Vec<String>,
    /// What every duration was multiplied by; 1 is the profile as written.
    pub time_scale: f64,
    /// Whether answers set the pace, or the clock.
    #[serde(default)]
    pub model: Model,
    /// How arrivals follow each other; without meaning in the closed model.
    #[serde(default)]
    pub spacing: Spacing,
    /// Users at the height of the load; in the open model the most that can be busy at once.
    pub users: u32,
    /// How many seconds each entry of [`Endpoint::seconds`] covers. More than one only in runs of
    /// hours; entries never cross the border of a stage.
    #[serde(default = "one")]
    pub cell_s: u32,
    /// The user classes.
    pub classes: Vec<Class>,
    /// The stages as planned.
    pub stages: Vec<Stage>,
    /// How long a request may take, in seconds.
    pub timeout_s: f64,
}

/// What decides when the next request starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// A number of users, each of whom waits for the answer, thinks, and asks again.
    #[default]
    Closed,
    /// So many requests a second, whatever the answers take. Latency counts from the moment at
    /// which a request was meant to start.
    Open,
}

/// How the arrivals of the open model follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spacing {
    /// At even distances.
    #[default]
    Steady,
    /// By chance, as independent people come; the rate is that of the mean.
    Poisson,
}

/// One user class of the load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Its weight in the profile.
    pub weight: u32,
    /// How many users of it really ran.
    pub users: u32,
    /// The mean wait between two tasks, in seconds.
    pub mean_wait_s: f64,
}

/// The service under load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Where it listens.
    pub host: String,
    /// The labels of its `build_info`, empty when it tells none.
    pub build: BTreeMap<String, String>,
    /// How users were logged in, where it demands tokens of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// Seconds until it answered `/health` after the run; `None` when it did not.
    pub healthy_after_s: Option<f64>,
}

/// The accounts that users acted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Access {
    /// How many were logged in before the load.
    pub accounts: usize,
    /// How often was logged in, before the load and while it lasted; no request of the load among
    /// them.
    pub logins: u64,
}

/// The machine and program that made the load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// This program's version.
    pub version: String,
    /// Operating system and processor family.
    pub system: String,
    /// The processor, as the system names it.
    pub processor: Option<String>,
    /// How many processors it could use.
    pub cpus: usize,
    /// Memory of the machine, in bytes.
    pub memory_bytes: Option<u64>,
    /// How many files it could have open, sockets included.
    pub open_files_limit: Option<u64>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// After its last stage.
    AsPlanned,
    /// By Ctrl-C or a signal.
    Interrupted,
    /// Without a chance to say so: this is what had been written until then.
    Killed,
}

/// What was measured on one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// Method and route template.
    pub name: String,
    /// How often each status was answered.
    pub statuses: BTreeMap<u16, u64>,
    /// Bytes of all bodies.
    pub bytes: u64,
    /// From the request until the answer's head had come, of all answers.
    pub first_byte: Distribution,
    /// From sending to the last byte, of successes and time-outs: what remains of the latency when
    /// the wait before sending is left out, and what a closed generator would have reported.
    #[serde(default, skip_serializing_if = "Distribution::is_empty")]
    pub service_time: Distribution,
    /// Second by second, by when a request was meant to start; idle seconds are left out.
    pub seconds: Vec<Second>,
}

/// What became of the arrivals that were meant for one second of an open run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ArrivalSecond {
    /// Counted from the start of the run.
    pub second: u32,
    /// How many were meant to start.
    pub due: u64,
    /// How many found every user busy and had to wait for one; their wait is part of their latency.
    pub waited: u64,
    /// How many gave up waiting, after as long as a request may take. They were never sent.
    pub dropped: u64,
    /// How late those started for whom a user was free: the generator's own fault.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub lag: Distribution,
}

/// One second of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Second {
    /// Counted from the start of the run.
    pub second: u32,
    /// How its requests ended.
    #[serde(flatten)]
    pub counts: Counts,
    /// From the intended start to the last byte, of successes and time-outs.
    ///
    /// A time-out belongs here, or percentiles would improve as the service gets worse. Other
    /// failures do not: a refusal is quick and would flatter them.
    #[serde(default, skip_serializing_if = "Distribution::is_empty")]
    pub latency: Distribution,
    /// Right answers of this second: those to requests that were meant for it, as far as they came
    /// within a second; later ones count where they came, a second earlier. So a stage has what it
    /// was answered while it lasted, and quick answers do not slip over its border.
    #[serde(default, skip_serializing_if = "counts::is_zero")]
    pub finished: u64,
}

/// One kind of failure of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Method and route template.
    pub endpoint: String,
    /// What went wrong.
    pub kind: FailureKind,
    /// In words.
    pub message: String,
    /// How often.
    pub count: u64,
    /// The first second in which it happened.
    pub first_second: u32,
    /// The last one.
    pub last_second: u32,
}

/// What was in use in one second. What the service does not tell stays `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResourceSample {
    /// Counted from the start of the run.
    pub second: u32,
    /// Users running.
    pub users: u32,
    /// The service.
    pub service: ServiceSample,
    /// The generator's processor time since the sample before, as a share of all processors.
    pub generator_cpu: Option<f64>,
    /// Of the time that the generator's threads could have worked since the sample before, the
    /// share in which they had to wait for a processor that somebody else was using.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator_waited: Option<f64>,
    /// The generator's resident memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator_memory_bytes: Option<f64>,
    /// How late the generator woke, of some dozen times since the sample before. Users that wake
    /// late measure late, and would blame the service for it.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub generator_lag: Distribution,
}

/// What the service said of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServiceSample {
    /// Processor seconds since the service started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// When it was started, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<f64>,
    /// Resident memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<f64>,
    /// Open files and sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<f64>,
    /// Pooled database connections in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_in_use: Option<f64>,
    /// Pooled database connections waiting for work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_idle: Option<f64>,
    /// The pool's limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_max: Option<f64>,
    /// Connections to the database, whoever holds them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_connections: Option<f64>,
    /// Connections to Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_connections: Option<f64>,
    /// Seconds that requests have waited for a pooled connection, since the service started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_wait_seconds: Option<f64>,
    /// Bytes read from disk by the service's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_read_bytes: Option<f64>,
    /// Bytes written to disk by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_written_bytes: Option<f64>,
    /// Bytes that the machine has sent and received, over all its interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_bytes: Option<f64>,
    /// Requests being served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_in_progress: Option<f64>,
    /// Cache look-ups that found something, since the service started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_hits: Option<f64>,
    /// Cache look-ups that did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_misses: Option<f64>,
    /// Jobs waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_depth: Option<f64>,
    /// Errors logged since the service started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logged_errors: Option<f64>,
}

fn one() -> u32 {
    1
}

impl Endpoint {
    /// What happened in the `seconds`.
    #[must_use]
    pub fn over(&self, seconds: &Range<u32>) -> Tally {
        let mut tally = Tally::default();
        for second in self.seconds.iter().filter(|second| seconds.contains(&second.second)) {
            tally.counts.add(&second.counts);
            tally.latency.merge(&second.latency);
            tally.finished += second.finished;
        }
        tally
    }

    /// What happened in the whole run, the users' way out included.
    #[must_use]
    pub fn whole(&self) -> Tally {
        self.over(&(0..u32::MAX))
    }
}

impl Outcome {
    /// What happened on all endpoints in the `seconds`.
    #[must_use]
    pub fn over(&self, seconds: &Range<u32>) -> Tally {
        let mut tally = Tally::default();
        for endpoint in &self.endpoints {
            tally.add(&endpoint.over(seconds));
        }
        tally
    }

    /// What happened in the whole run.
    #[must_use]
    pub fn whole(&self) -> Tally {
        self.over(&(0..u32::MAX))
    }

    /// What happened on all endpoints in the judged stages.
    #[must_use]
    pub fn judged(&self) -> Tally {
        let mut tally = Tally::default();
        for endpoint in &self.endpoints {
            tally.add(&self.judged_of(endpoint));
        }
        tally
    }

    /// What happened on `endpoint` in the judged stages.
    #[must_use]
    pub fn judged_of(&self, endpoint: &Endpoint) -> Tally {
        let mut tally = Tally::default();
        for stage in self.load.stages.iter().filter(|stage| stage.judged) {
            tally.add(&endpoint.over(&stage.seconds()));
        }
        tally
    }

    /// Whether this second belongs to a judged stage.
    #[must_use]
    pub fn is_judged(&self, second: u32) -> bool {
        let mut judged = self.load.stages.iter().filter(|stage| stage.judged);
        judged.any(|stage| stage.seconds().contains(&second))
    }

    /// From the first judged stage to the last, unjudged ones between them included.
    #[must_use]
    pub fn judged_seconds(&self) -> Range<u32> {
        let judged = || self.load.stages.iter().filter(|stage| stage.judged);
        match (judged().next(), judged().next_back()) {
            (Some(first), Some(last)) => first.from_s..last.to_s,
            _ => 0..0,
        }
    }

    /// How often the service was started anew during the run; `None` when it does not tell.
    #[must_use]
    pub fn restarts(&self) -> Option<u32> {
        let told = self.samples.iter().filter_map(|sample| sample.service.started_at);
        let starts: Vec<f64> = told.collect();
        if starts.is_empty() {
            return None;
        }
        // Less than a second apart is rounding: the time is reckoned from the system's clock ticks.
        let anew = starts.windows(2).filter(|pair| (pair[1] - pair[0]).abs() > 1.0).count();
        u32::try_from(anew).ok()
    }

    /// The seconds planned for the run.
    #[must_use]
    pub fn planned_seconds(&self) -> u32 {
        self.load.stages.last().map_or(0, |stage| stage.to_s)
    }
}
