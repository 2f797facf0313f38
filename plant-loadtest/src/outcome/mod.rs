//! The outcome: everything that a run measured, and the only input of verdicts and reports.

mod actions;
mod completion;
mod counter;
mod counts;
mod iterations;
mod restarts;
mod worker;

use std::{collections::BTreeMap, ops::Range};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use actions::ActionResult;
pub use completion::{Completion, CompletionCell, ItemProblem};
pub use counter::{Counter, CounterCell};
pub use counts::{Counts, Tally};
pub use iterations::StageIterations;
pub use worker::Worker;

use crate::{
    distribution::Distribution,
    failure::FailureKind,
    load::{Action, Model, Share, Spacing, Stage},
    sla::{AllowedNames, Sla, Subject, Threshold},
};

/// Format version of the outcome file; incremented when older versions of this program would
/// misread it. Version 2 renamed fields of version 1, and version 3 changed thresholds; both are still
/// read.
pub const VERSION: u32 = 3;

/// The oldest format version that this program reads.
pub const MIN_VERSION: u32 = 1;

/// The measurements of a run, its plan and its SLA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// Format version of this file.
    pub version: u32,
    /// The load that was run.
    pub load: Load,
    /// The service under test.
    pub target: Target,
    /// The machine and the program that generated the load.
    pub generator: Generator,
    /// Start of the run: after the checks, before the first user.
    pub started_at: DateTime<Utc>,
    /// Seconds from the start of the first user until the end of the last one.
    pub duration_s: f64,
    /// How the run ended.
    pub ended: Ended,
    /// The threshold whose violation aborted the run; `None` unless one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<Aborted>,
    /// All endpoints of the user classes, requested or not.
    pub endpoints: Vec<EndpointResults>,
    /// All distinct failures.
    pub failures: Vec<Failure>,
    /// Resource usage of the service and the load generator, once per second.
    pub samples: Vec<ResourceSample>,
    /// Arrivals by cell; empty in the closed model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrivals: Vec<ArrivalCell>,
    /// What was run of each stage with a fixed number of iterations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub iterations: Vec<StageIterations>,
    /// The actions that were started, in the order of their starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ActionResult>,
    /// Custom counters of the user classes, incremented or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<Counter>,
    /// Results of accepted work, one entry for each kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub completions: Vec<Completion>,
    /// The load generators whose outcomes were merged into this one; empty in the outcome of one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<Worker>,
    /// Reasons why the measurements are advisory only, one sentence each; usually empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisory: Vec<String>,
    /// The thresholds, so that the file can be judged without the SLA file.
    pub sla: Sla,
}

/// The load of a run, as planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// The profile's name.
    pub profile: String,
    /// The profile's description.
    pub description: String,
    /// Values of the profile that the command line overrode, as text such as `4 users`.
    #[serde(alias = "changes")]
    pub overrides: Vec<String>,
    /// Factor applied to every duration; 1 is the profile as written.
    pub time_scale: f64,
    /// Load model: closed or open.
    #[serde(default)]
    pub model: Model,
    /// Spacing of arrivals; unused in the closed model.
    #[serde(default)]
    pub spacing: Spacing,
    /// Peak number of users; in the open model the size of the virtual user pool.
    pub users: u32,
    /// Length of a cell in seconds. Each entry of [`EndpointResults::cells`] is one cell. More than 1 only
    /// in runs of more than two hours. The last cell of a stage may be shorter.
    #[serde(default = "default_cell_s")]
    pub cell_s: u32,
    /// The share of this load generator, to which all numbers here apply; `None` for the whole load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// The user classes.
    pub classes: Vec<Class>,
    /// The stages as planned.
    pub stages: Vec<Stage>,
    /// The actions as planned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// Timeout for one request, in seconds.
    pub timeout_s: f64,
    /// The command line that repeats the run: the program and its arguments, without report files and
    /// secrets. Empty in older outcomes, and if the run was not started by the command `run`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
}

impl Load {
    /// Returns the longest time from the start of a request until it is recorded, in seconds: its
    /// timeout and a margin.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a timeout is positive, and a float's cast to an integer saturates"
    )]
    pub fn max_request_s(&self) -> u32 {
        const MARGIN_S: u32 = 2;
        (self.timeout_s.ceil() as u32).saturating_add(MARGIN_S)
    }
}

/// One user class of the load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Class {
    /// Name of the class.
    pub name: String,
    /// Weight in the profile.
    pub weight: u32,
    /// Number of users that actually ran.
    pub users: u32,
    /// Mean think time between two tasks, in seconds; 0 without think time. Unused in the open model.
    pub mean_wait_s: f64,
    /// The endpoints that its tasks request; empty in format versions 1 and 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<ClassEndpoint>,
    /// Names of the endpoints that only users who start or stop request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outside_tasks: Vec<String>,
}

/// An endpoint that a user class requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassEndpoint {
    /// Method and route template.
    pub name: String,
    /// Its tags, by which thresholds can name it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// The end of a run by a threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Aborted {
    /// Second of the run at which the threshold was violated. What was measured later is not judged.
    pub after_s: u32,
    /// The threshold.
    pub threshold: Threshold,
}

/// The service under test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Its base URL.
    pub host: String,
    /// Labels of its metric `build_info`; empty if it exports none.
    pub build: BTreeMap<String, String>,
    /// The logins of the run; absent if the service does not require authentication, or no class
    /// uses the accounts of the test customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<LoginSummary>,
    /// Seconds until the health check succeeded, counted from the end of the load; `None` if it
    /// did not respond in time.
    pub healthy_after_s: Option<f64>,
    /// Whether the user ended the run while it waited for a successful health check.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub health_cut_short: bool,
    /// Number of waiting jobs after the accepted work has ended, or the wait for it has timed out; `None`
    /// unless a threshold limits it, if the service does not export it, or if the wait for an empty queue was
    /// cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_after: Option<f64>,
}

/// The logins to the accounts of the test customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoginSummary {
    /// Number of accounts logged in before the load.
    pub accounts: usize,
    /// Number of logins before and during the load. They are not recorded as requests. Exception:
    /// if the service rejects a token, the new login is part of the latency of the request that is
    /// sent again.
    pub logins: u64,
}

/// The load generator: machine and program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// Version of this program.
    pub version: String,
    /// Operating system and CPU architecture.
    pub system: String,
    /// CPU model, as reported by the operating system.
    #[serde(alias = "processor")]
    pub cpu_model: Option<String>,
    /// Number of CPUs available to the program.
    pub cpus: usize,
    /// Total memory of the machine, in bytes.
    pub memory_bytes: Option<u64>,
    /// Limit of open files, sockets included.
    pub open_files_limit: Option<u64>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// After its last stage.
    AsPlanned,
    /// By SIGINT (Ctrl-C) or SIGTERM.
    Interrupted,
    /// By a violated threshold ([`Outcome::aborted`]).
    Aborted,
    /// The process was killed (SIGKILL) or crashed; the outcome contains what had been written to
    /// the journal until then.
    Killed,
}

/// The measurements of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointResults {
    /// Method and route template.
    pub name: String,
    /// Number of responses by status code.
    pub statuses: BTreeMap<u16, u64>,
    /// Total size of all response bodies, in bytes.
    pub bytes: u64,
    /// Time from sending a request until the headers of its response had arrived, for all
    /// responses.
    pub first_byte: Distribution,
    /// Service time, for successes and timeouts: from sending a request to the last byte of its
    /// response. A load generator without intended starts would report it as the latency.
    #[serde(default, skip_serializing_if = "Distribution::is_empty")]
    pub service_time: Distribution,
    /// Requests outside the load: those of `on_start` and `on_stop` in the open model. No other count
    /// includes them, but their failures are among those of the outcome.
    #[serde(default, skip_serializing_if = "Counts::is_zero")]
    pub outside_load: Counts,
    /// Number of requests that were left out because the responses before did not contain a value that
    /// they need.
    #[serde(default, skip_serializing_if = "counts::is_zero")]
    pub skipped: u64,
    /// The slowest requests that can be found in the service, by a trace or a request id, the slowest
    /// first: five of all, and five of those with the sampled flag. Empty in the outcome of a killed run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slowest: Vec<SlowRequest>,
    /// Measurements by the cell of the intended start; cells without requests are left out.
    #[serde(rename = "seconds")]
    pub cells: Vec<EndpointCell>,
}

/// A slow request, with the ids by which the service may have recorded it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlowRequest {
    /// Id of its trace, as sent in `traceparent`; empty if it was sent without one.
    pub trace_id: String,
    /// The header `X-Request-ID` of the response; `None` in older outcomes, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whether the sampled flag was sent.
    pub sampled: bool,
    /// Latency in milliseconds, counted like that of [`EndpointCell`].
    pub latency_ms: f64,
    /// Second of its intended start: the first second of its cell.
    pub second: u32,
    /// Status code of the response; `None` after a timeout.
    pub status: Option<u16>,
}

/// The arrivals scheduled for one cell (a second, or several in long runs) in the open model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ArrivalCell {
    /// First second of the cell, counted from the start of the run.
    pub second: u32,
    /// Number of arrivals scheduled.
    #[serde(alias = "due")]
    pub scheduled: u64,
    /// Number of arrivals that waited because all users were busy; the wait is part of their latency.
    pub waited: u64,
    /// How long those that waited and were not dropped waited for a user.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub wait: Distribution,
    /// Number of arrivals dropped because no user became free within the request timeout. Their
    /// requests were never sent.
    pub dropped: u64,
    /// Dispatch lag of arrivals for which a user was free, caused by the load generator itself.
    #[serde(skip_serializing_if = "Distribution::is_empty", alias = "lag")]
    pub dispatch_lag: Distribution,
}

/// The measurements of one endpoint in one cell (a second, or several in long runs).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointCell {
    /// First second of the cell, counted from the start of the run.
    pub second: u32,
    /// Counts of requests by result.
    #[serde(flatten)]
    pub counts: Counts,
    /// Time from the intended start to the last byte, for successes and timeouts.
    ///
    /// Timeouts are included: otherwise percentiles would improve as the service gets slower. Other
    /// failures are excluded: they are often fast and would lower the percentiles.
    #[serde(default, skip_serializing_if = "Distribution::is_empty")]
    pub latency: Distribution,
    /// Time from the intended start to the end of the request, for failures other than timeouts.
    #[serde(default, skip_serializing_if = "Distribution::is_empty")]
    pub failure_latency: Distribution,
    /// Successful responses, for throughput. Each counts at its intended start, or one second before
    /// its completion if that is later. So a slow response counts in the stage in which it
    /// completed, and a fast one does not move to the next stage.
    #[serde(default, skip_serializing_if = "counts::is_zero", alias = "finished")]
    pub throughput_count: u64,
    /// Number of responses by status code; empty in format versions 1 and 2.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub statuses: BTreeMap<u16, u64>,
}

/// A distinct failure of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Method and route template.
    pub endpoint: String,
    /// Kind of failure.
    pub kind: FailureKind,
    /// Description.
    pub message: String,
    /// Number of occurrences.
    pub count: u64,
    /// Second of the first occurrence: the first second of its cell.
    pub first_second: u32,
    /// Second of the last occurrence: the first second of its cell.
    pub last_second: u32,
}

/// Resource usage in one second. Values that are not available are `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResourceSample {
    /// Second, counted from the start of the run.
    pub second: u32,
    /// Active users: those that run, in the open model those that are busy.
    pub users: u32,
    /// Resource usage of the service.
    pub service: ServiceSample,
    /// CPU time of the load generator since the previous sample, as a fraction (0 to 1) of all CPUs.
    pub generator_cpu: Option<f64>,
    /// Run-queue delay of the load generator since the previous sample: of the time in which its
    /// threads were runnable, the fraction (0 to 1) in which they waited for a CPU.
    #[serde(skip_serializing_if = "Option::is_none", alias = "generator_waited")]
    pub generator_cpu_wait: Option<f64>,
    /// Resident memory of the load generator, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator_memory_bytes: Option<f64>,
    /// How late timers of the load generator fired since the previous sample. Late timers delay
    /// users and inflate measured latencies.
    #[serde(skip_serializing_if = "Distribution::is_empty", alias = "generator_lag")]
    pub generator_timer_lag: Distribution,
}

/// Resource usage of the service, from its `/metrics` or the operating system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServiceSample {
    /// CPU time since the service started, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// Number of CPUs available to the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// Start time of the process, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<f64>,
    /// Resident memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<f64>,
    /// Number of open files and sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<f64>,
    /// Number of pooled database connections in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_in_use: Option<f64>,
    /// Number of idle pooled database connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_idle: Option<f64>,
    /// Maximum number of pooled database connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_max: Option<f64>,
    /// Number of connections to the database, from all clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_connections: Option<f64>,
    /// Number of connections from the service to Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_connections: Option<f64>,
    /// Total time that requests have waited for a pooled connection since the service started, in
    /// seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_wait_seconds: Option<f64>,
    /// Bytes read from disk by the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_read_bytes: Option<f64>,
    /// Bytes written to disk by the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_written_bytes: Option<f64>,
    /// Bytes sent and received by the machine, over all network interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_bytes: Option<f64>,
    /// Number of requests in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_in_progress: Option<f64>,
    /// Number of cache hits since the service started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_hits: Option<f64>,
    /// Number of cache misses since the service started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_misses: Option<f64>,
    /// Number of jobs that wait for a worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_depth: Option<f64>,
    /// Number of errors logged since the service started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logged_errors: Option<f64>,
}

/// The parts of an outcome that are known at the start of a run.
#[derive(Clone, Debug)]
pub struct RunStart {
    /// The load as planned.
    pub load: Load,
    /// The service under test.
    pub target: Target,
    /// The load generator.
    pub generator: Generator,
    /// Start of the run: after the checks, before the first user.
    pub started_at: DateTime<Utc>,
    /// Every endpoint that the user classes can request, without measurements.
    pub endpoints: Vec<EndpointResults>,
    /// Every counter of the user classes, without values.
    pub counters: Vec<Counter>,
    /// The thresholds.
    pub sla: Sla,
}

impl RunStart {
    /// Returns the outcome of a run that is killed before it has measured anything.
    #[must_use]
    pub fn into_outcome(self) -> Outcome {
        Outcome {
            version: VERSION,
            load: self.load,
            target: self.target,
            generator: self.generator,
            started_at: self.started_at,
            duration_s: 0.0,
            ended: Ended::Killed,
            aborted: None,
            endpoints: self.endpoints,
            failures: Vec::new(),
            samples: Vec::new(),
            arrivals: Vec::new(),
            iterations: Vec::new(),
            actions: Vec::new(),
            counters: self.counters,
            completions: Vec::new(),
            workers: Vec::new(),
            advisory: Vec::new(),
            sla: self.sla,
        }
    }
}

fn default_cell_s() -> u32 {
    1
}

impl Class {
    /// Returns whether its tasks request the endpoint `name`, one with this `tag` if it is given.
    fn requests(&self, name: &str, tag: Option<&str>) -> bool {
        let mut endpoints = self.endpoints.iter().filter(|endpoint| endpoint.name == name);
        endpoints.any(|endpoint| tag.is_none_or(|tag| endpoint.tags.iter().any(|one| one == tag)))
    }
}

impl EndpointResults {
    /// Returns counts and latencies of the requests in `seconds`.
    #[must_use]
    pub fn tally_in(&self, seconds: &Range<u32>) -> Tally {
        let cells = || self.cells.iter().filter(|cell| seconds.contains(&cell.second));
        Tally {
            counts: self.counts_in(seconds),
            latency: Distribution::sum(cells().map(|cell| &cell.latency)),
            failure_latency: Distribution::sum(cells().map(|cell| &cell.failure_latency)),
            throughput_count: cells().map(|cell| cell.throughput_count).sum(),
            statuses: counts::sum_statuses(cells().map(|cell| &cell.statuses)),
        }
    }

    /// Returns the counts of the requests in `seconds`; much faster than [`Self::tally_in`].
    #[must_use]
    pub fn counts_in(&self, seconds: &Range<u32>) -> Counts {
        let mut counts = Counts::default();
        for cell in self.cells.iter().filter(|cell| seconds.contains(&cell.second)) {
            counts.add(&cell.counts);
        }
        counts
    }

    /// Returns whether a request has finished, in the load or outside of it.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        let in_load = self.cells.iter().any(|cell| cell.counts.finished() > 0);
        in_load || self.outside_load.finished() > 0
    }

    /// Returns counts and latencies of the whole run, including the time after the last stage in
    /// which running requests finish.
    #[must_use]
    pub fn tally_all(&self) -> Tally {
        self.tally_in(&(0..u32::MAX))
    }
}

impl Outcome {
    /// Returns whether the requests to the endpoint `name` belong to `subject`.
    #[must_use]
    pub fn is_of_subject(&self, name: &str, subject: &Subject) -> bool {
        let mut classes = self.load.classes.iter();
        match subject {
            Subject::Endpoint(endpoint) => endpoint == name,
            Subject::AllRequests | Subject::Service | Subject::Run => true,
            Subject::Work(_) => false,
            Subject::Class(class) => {
                classes.filter(|one| one.name == *class).any(|one| one.requests(name, None))
            }
            Subject::Tag(tag) => classes.any(|one| one.requests(name, Some(tag))),
        }
    }

    /// Returns counts and latencies of all endpoints in `seconds`.
    #[must_use]
    pub fn tally_in(&self, seconds: &Range<u32>) -> Tally {
        let mut tally = Tally::default();
        for endpoint in &self.endpoints {
            tally.add(&endpoint.tally_in(seconds));
        }
        tally
    }

    /// Returns the counts of all endpoints in the whole run; much faster than [`Self::tally_all`].
    #[must_use]
    pub fn counts_all(&self) -> Counts {
        let mut counts = Counts::default();
        for endpoint in &self.endpoints {
            counts.add(&endpoint.counts_in(&(0..u32::MAX)));
        }
        counts
    }

    /// Returns counts and latencies of all endpoints in the whole run.
    #[must_use]
    pub fn tally_all(&self) -> Tally {
        self.tally_in(&(0..u32::MAX))
    }

    /// Returns counts and latencies of all endpoints in the judged stages.
    #[must_use]
    pub fn tally_judged(&self) -> Tally {
        let mut tally = Tally::default();
        for endpoint in &self.endpoints {
            tally.add(&self.tally_judged_of(endpoint));
        }
        tally
    }

    /// Returns counts and latencies of `endpoint` in the judged stages.
    #[must_use]
    pub fn tally_judged_of(&self, endpoint: &EndpointResults) -> Tally {
        let mut tally = Tally::default();
        for stage in self.load.stages.iter().filter(|stage| stage.judged) {
            tally.add(&endpoint.tally_in(&stage.seconds()));
        }
        tally
    }

    /// Returns whether `second` belongs to a judged stage.
    #[must_use]
    pub fn is_judged(&self, second: u32) -> bool {
        let mut judged = self.load.stages.iter().filter(|stage| stage.judged);
        judged.any(|stage| stage.seconds().contains(&second))
    }

    /// Returns the judged span: the seconds from the first judged stage to the last, including
    /// unjudged stages between them.
    #[must_use]
    pub fn judged_span(&self) -> Range<u32> {
        let judged = || self.load.stages.iter().filter(|stage| stage.judged);
        match (judged().next(), judged().next_back()) {
            (Some(first), Some(last)) => first.from_s..last.to_s,
            _ => 0..0,
        }
    }

    /// Returns the seconds of the samples that show whether the service has restarted.
    pub fn seconds_of_process(&self) -> impl DoubleEndedIterator<Item = u32> {
        let samples = self.samples.iter().filter(|sample| sample.service.identifies_process());
        samples.map(|sample| sample.second)
    }

    /// Returns the names that thresholds of this run may contain.
    #[must_use]
    pub fn allowed_names(&self) -> AllowedNames<'_> {
        let classes = &self.load.classes;
        let tags = classes.iter().flat_map(|class| &class.endpoints).flat_map(|one| &one.tags);
        // A killed run has no completions.
        let of_sla = self.sla.thresholds.iter().filter_map(|threshold| match &threshold.subject {
            Subject::Work(work) => Some(work.as_str()),
            _ => None,
        });
        let work = self.completions.iter().map(|completion| completion.work.as_str());
        let endpoints = || self.endpoints.iter().map(|endpoint| endpoint.name.as_str());
        let is_outside = |name: &str| {
            let mut requesting =
                classes.iter().filter(|class| class.requests(name, None)).peekable();
            requesting.peek().is_some()
                && requesting.all(|class| class.outside_tasks.iter().any(|outside| outside == name))
        };
        AllowedNames {
            endpoints: endpoints().collect(),
            outside_tasks: endpoints().filter(|name| is_outside(name)).collect(),
            classes: classes.iter().map(|class| class.name.as_str()).collect(),
            tags: tags.map(String::as_str).collect(),
            work: work.chain(of_sla).collect(),
            counters: self.counters.iter().map(|counter| counter.name.as_str()).collect(),
            stages: self.load.stages.iter().map(|stage| stage.name.as_str()).collect(),
            ..AllowedNames::default()
        }
    }

    /// Returns the planned duration of the run in seconds.
    #[must_use]
    pub fn planned_seconds(&self) -> u32 {
        self.load.stages.last().map_or(0, |stage| stage.to_s)
    }
}
